//! Blobs in containerd.

use std::collections::HashMap;
use std::io::{Read, Write};

use bytes::Bytes;
use tonic::{Code, Status};

use super::api::content::{
    self, AbortRequest, Action, Info, InfoRequest, InfoResponse, ReadRequest, ReadResponse, UpdateRequest,
    WriteRequest, WriteResponse,
};
use super::api::{Empty, FieldMask};
use super::client::{Client, Talk, is_there};
use super::error::Error;
use crate::digest::MeteredWriter;
use crate::error::{Error as Fault, Result};

/// What is sent at once: containerd takes 16 MiB, its own clients send this.
const PIECE: usize = 1 << 20;

/// A blob on its way to containerd.
pub(super) struct Blob<'a> {
    /// `sha256:...`.
    pub(super) digest: String,
    pub(super) size: u64,
    /// What holds it, and what it holds.
    pub(super) labels: HashMap<String, String>,
    pub(super) content: &'a mut dyn Read,
}

impl Client {
    /// Stores a blob, unless containerd has it. Whether it was sent.
    pub(super) async fn put(&self, lease: &str, blob: Blob<'_>) -> Result<bool> {
        let (digest, labels) = (blob.digest.clone(), blob.labels.clone());
        // The lease's own name: nobody else writes to it, and waits.
        let r#ref = format!("{lease}-{digest}");
        match self.send(&r#ref, blob).await? {
            Ok(sent) => {
                if !sent && !labels.is_empty() {
                    self.label(&digest, labels).await?;
                }
                Ok(sent)
            }
            Err(status) => {
                let _: Result<Empty, _> = self.call(content::ABORT, AbortRequest { r#ref }).await;
                Err(Error::refused(format!("take the blob {digest}"), &status).into())
            }
        }
    }

    /// The inner error is containerd's.
    async fn send(&self, r#ref: &str, blob: Blob<'_>) -> Result<Result<bool, Status>> {
        let Blob { digest, size, labels, content } = blob;
        let total = i64::try_from(size).unwrap_or(i64::MAX);
        let question = |action: Action, offset: u64, data: Bytes| WriteRequest {
            action: action.into(),
            r#ref: r#ref.to_owned(),
            total,
            expected: digest.clone(),
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            data,
            labels: HashMap::new(),
        };
        let begun = async {
            let mut talk: Talk<_, WriteResponse> =
                self.talk(content::WRITE, question(Action::Stat, 0, Bytes::new())).await?;
            let state = talk.answer().await?;
            Ok((talk, u64::try_from(state.offset).unwrap_or_default()))
        };
        let (mut talk, mut offset) = match begun.await {
            Ok(begun) => begun,
            Err(status) if is_there(&status) => return Ok(Ok(false)),
            Err(status) => return Ok(Err(status)),
        };
        // Another namespace may have it: then all of it is there.
        let mut piece = vec![0; PIECE];
        while offset < size {
            let most = usize::try_from(size - offset).unwrap_or(PIECE).min(PIECE);
            let read = |source| Fault::Read { path: digest.clone().into(), source };
            content.read_exact(&mut piece[..most]).map_err(read)?;
            let data = Bytes::copy_from_slice(&piece[..most]);
            if let Err(status) = talk.ask(question(Action::Write, offset, data)).await {
                return Ok(Err(status));
            }
            offset += most as u64;
        }
        let commit = WriteRequest { labels, ..question(Action::Commit, size, Bytes::new()) };
        Ok(match talk.ask(commit).await {
            Ok(_) => Ok(true),
            Err(status) if is_there(&status) => Ok(false),
            Err(status) => Err(status),
        })
    }

    /// Adds labels to a blob.
    pub(super) async fn label(&self, digest: &str, labels: HashMap<String, String>) -> Result<()> {
        let paths = labels.keys().map(|key| format!("labels.{key}")).collect();
        let info = Info { digest: digest.to_owned(), size: 0, labels };
        let request = UpdateRequest { info: Some(info), update_mask: Some(FieldMask { paths }) };
        let answer: Result<InfoResponse, _> = self.call(content::UPDATE, request).await;
        Ok(answer
            .map(|_| ())
            .map_err(|status| Error::refused(format!("label the blob {digest}"), &status))?)
    }

    /// Whether containerd has a blob.
    pub(super) async fn has(&self, digest: &str) -> Result<bool> {
        let request = InfoRequest { digest: digest.to_owned() };
        match self.call::<_, InfoResponse>(content::INFO, request).await {
            Ok(_) => Ok(true),
            Err(status) if status.code() == Code::NotFound => Ok(false),
            Err(status) => Err(Error::refused(format!("look for the blob {digest}"), &status).into()),
        }
    }

    /// Writes the content of a blob, and checks that it is that.
    pub(super) async fn get(&self, digest: &str, to: &mut dyn Write) -> Result<()> {
        let refused = |status: Status| Error::refused(format!("give the blob {digest}"), &status);
        let request = ReadRequest { digest: digest.to_owned(), offset: 0, size: 0 };
        let mut pieces = self.answers::<_, ReadResponse>(content::READ, request).await.map_err(refused)?;
        let mut meter = MeteredWriter::new(to);
        while let Some(piece) = pieces.message().await.map_err(refused)? {
            let write = |source| Fault::Write { path: "the image".into(), source };
            meter.write_all(&piece.data).map_err(write)?;
        }
        let actual = meter.finish().1.name();
        if actual == digest {
            return Ok(());
        }
        Err(Fault::Damaged(format!("containerd gave {actual} for {digest}")))
    }
}

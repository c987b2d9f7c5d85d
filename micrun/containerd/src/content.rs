//! Blobs in containerd.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use bytes::Bytes;
use micrun_firmware::Sha256Digest;
use sha2::{Digest as _, Sha256};
use tonic::Status;

use crate::api::content::{
    self, AbortRequest, Action, Info, InfoRequest, InfoResponse, ReadRequest, ReadResponse, UpdateRequest,
    WriteRequest, WriteResponse,
};
use crate::api::{Empty, FieldMask};
use crate::client::{Client, Talk, is_there};
use crate::error::{Error, Result};

/// What is sent at once: containerd takes 16 MiB, its own clients send this.
const PIECE: usize = 1 << 20;

/// containerd's own limit for a manifest.
const MAX_DOCUMENT: usize = 8 << 20;

/// A blob on its way to containerd.
pub struct Blob<'a> {
    /// `sha256:...`.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// What holds it, and what it holds.
    pub labels: HashMap<String, String>,
    /// Where it is read from.
    pub content: &'a mut dyn Read,
}

impl Client {
    /// Stores a blob, unless containerd has it. Whether it was sent.
    pub async fn put(&self, lease: &str, blob: Blob<'_>) -> Result<bool> {
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
                Err(Error::refused(format!("take the blob {digest}"), &status))
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
            let read = |source| Error::Read { digest: digest.clone(), source };
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
    pub async fn label(&self, digest: &str, labels: HashMap<String, String>) -> Result<()> {
        let paths = labels.keys().map(|key| format!("labels.{key}")).collect();
        let info = Info { digest: digest.to_owned(), size: 0, labels };
        let request = UpdateRequest { info: Some(info), update_mask: Some(FieldMask { paths }) };
        let what = format!("label the blob {digest}");
        self.ask::<_, InfoResponse>(content::UPDATE, request, what).await.map(|_| ())
    }

    /// Whether containerd has a blob.
    pub async fn has(&self, digest: &str) -> Result<bool> {
        let request = InfoRequest { digest: digest.to_owned() };
        let what = format!("look for the blob {digest}");
        Ok(self.ask_of::<_, InfoResponse>(content::INFO, request, what).await?.is_some())
    }

    /// Writes the content of a blob, and checks that it is that.
    pub async fn get(&self, digest: &str, to: &mut dyn Write) -> Result<()> {
        let refused = |status: Status| Error::refused(format!("give the blob {digest}"), &status);
        let request = ReadRequest { digest: digest.to_owned(), offset: 0, size: 0 };
        let mut pieces = self.answers::<_, ReadResponse>(content::READ, request).await.map_err(refused)?;
        let mut hasher = Sha256::new();
        while let Some(piece) = pieces.message().await.map_err(refused)? {
            hasher.update(&piece.data);
            to.write_all(&piece.data).map_err(|source| Error::Write { digest: digest.to_owned(), source })?;
        }
        let actual = Sha256Digest::from(hasher).to_string();
        if actual == digest {
            return Ok(());
        }
        Err(Error::Differs { digest: digest.to_owned(), actual })
    }

    /// The content of a manifest, an index or a config.
    pub async fn document(&self, digest: &str) -> Result<Vec<u8>> {
        let mut bytes = Limited(Vec::new());
        self.get(digest, &mut bytes).await?;
        Ok(bytes.0)
    }
}

/// A document in memory.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_DOCUMENT {
            return Err(io::Error::other("the manifest is larger than any that containerd takes"));
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

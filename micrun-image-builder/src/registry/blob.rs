//! Blobs: looked for before they are sent, mounted where they can be, sent whole or in chunks, resumed.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use bytes::Bytes;
use oci_spec::image::Descriptor;
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, LOCATION, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::error::Error;
use super::progress::Bar;
use super::repository::Repository;
use super::retry::{Attempts, repeat};
use super::transport::{Request, shown};
use crate::digest::Meter;
use crate::error::{Error as Fault, Result};

/// The least size of a chunk that a registry takes (distribution-spec, "Pushing a blob in chunks").
const LEAST_CHUNK: HeaderName = HeaderName::from_static("oci-chunk-min-length");
const BUFFER: usize = 128 * 1024;

/// What became of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was there.
    Present,
    /// The registry took it from another repository of its own.
    Mounted,
    /// It was sent.
    Sent,
}

/// Opens the content of a blob, as often as it has to be sent.
pub(super) type Open<'a> = &'a (dyn Fn() -> Result<Box<dyn Read + 'a>> + Sync);

impl Repository<'_> {
    /// Sees to it that the repository has a blob. `mount_from` is a repository of the same registry that may
    /// have it.
    pub(super) fn push_blob(
        &self,
        blob: &Descriptor,
        mount_from: Option<&str>,
        open: Open<'_>,
        bar: &Bar,
    ) -> Result<Outcome> {
        if self.has_blob(blob)? {
            return Ok(Outcome::Present);
        }
        if let Some(from) = mount_from
            && self.mount(blob, from)?
        {
            return Ok(Outcome::Mounted);
        }
        repeat(|| {
            bar.at(0);
            self.upload(blob, open, bar)
        })?;
        Ok(Outcome::Sent)
    }

    fn has_blob(&self, blob: &Descriptor) -> Result<bool> {
        let request = self.request(Method::HEAD, &format!("blobs/{}", blob.digest()))?;
        repeat(|| Ok(self.endpoint.send(&request, &[StatusCode::NOT_FOUND])?.status().is_success()))
    }

    /// Asks the registry to take the blob from another repository. A registry that does not, or forbids it,
    /// says so
    /// by another answer, and the blob is sent.
    fn mount(&self, blob: &Descriptor, from: &str) -> Result<bool> {
        let scope = format!("{} repository:{from}:pull", self.scope);
        let mut url = self.url("blobs/uploads/")?;
        url.query_pairs_mut().append_pair("mount", blob.digest().as_ref()).append_pair("from", from);
        let request = Request::new(Method::POST, url, &scope).body(Bytes::new());
        match repeat(|| self.endpoint.send(&request, &[])) {
            Ok(answer) => Ok(answer.status() == StatusCode::CREATED),
            Err(Fault::Registry(Error::Denied { .. } | Error::Status { .. })) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// One attempt. What can be resumed is; everything else is repeated by the caller.
    fn upload(&self, blob: &Descriptor, open: Open<'_>, bar: &Bar) -> Result<()> {
        let request = self.request(Method::POST, "blobs/uploads/")?.body(Bytes::new());
        let answer = self.endpoint.send(&request, &[])?;
        let least =
            answer.headers().get(LEAST_CHUNK).and_then(|it| it.to_str().ok()?.parse().ok()).unwrap_or(0);
        let mut location = location(&request.url, &answer)?;
        let mut content = open()?;
        let mut meter = Meter::default();
        let (mut sent, size) = (0, blob.size());
        let chunk = self.endpoint.chunk.max(least);
        if size <= chunk {
            let whole = read(&mut content, size, blob)?;
            meter.update(&whole);
            check(blob, meter, &mut content)?;
            self.finish(blob, location, whole)?;
            bar.at(size);
            return Ok(());
        }
        while sent < size {
            let bytes = read(&mut content, chunk.min(size - sent), blob)?;
            meter.update(&bytes);
            let end = sent + bytes.len() as u64;
            location = self.send_chunk(blob, location, sent, &bytes)?;
            sent = end;
            bar.at(sent);
        }
        check(blob, meter, &mut content)?;
        self.finish(blob, location, Bytes::new())
    }

    /// Sends a chunk that begins at `start`. After a fault, the registry says how much of it has arrived.
    fn send_chunk(&self, blob: &Descriptor, mut location: Url, start: u64, bytes: &Bytes) -> Result<Url> {
        let end = start + bytes.len() as u64;
        let mut at = start;
        let mut attempts = Attempts::new();
        loop {
            let rest = bytes.slice(usize::try_from(at - start).unwrap_or(usize::MAX)..);
            let request = Request::new(Method::PATCH, location.clone(), &self.scope)
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_RANGE, &format!("{at}-{}", end - 1))
                .body(rest);
            let sent = self.endpoint.send(&request, &[StatusCode::RANGE_NOT_SATISFIABLE]);
            match sent {
                Ok(answer) if answer.status().is_success() => return self::location(&request.url, &answer),
                Ok(_) => {}
                Err(error) => attempts.again(error)?,
            }
            (at, location) = self.arrived(blob, location)?;
            if at == end {
                return Ok(location);
            }
            if !(start..end).contains(&at) {
                let (host, digest) = (self.endpoint.host(), blob.digest().to_string());
                return Err(Error::UploadLost { host, digest }.into());
            }
        }
    }

    /// How many bytes of an upload the registry has, and where it goes on.
    fn arrived(&self, blob: &Descriptor, at: Url) -> Result<(u64, Url)> {
        let request = Request::new(Method::GET, at, &self.scope);
        let gone = [StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST];
        let answer = repeat(|| self.endpoint.send(&request, &gone))?;
        let last = answer
            .headers()
            .get(RANGE)
            .and_then(|it| it.to_str().ok()?.rsplit('-').next()?.parse::<u64>().ok());
        match last {
            // `0-0` is also how nothing is written.
            Some(0) if answer.status().is_success() => Ok((0, location(&request.url, &answer)?)),
            Some(last) if answer.status().is_success() => Ok((last + 1, location(&request.url, &answer)?)),
            _ => {
                let (host, digest) = (self.endpoint.host(), blob.digest().to_string());
                Err(Error::UploadLost { host, digest }.into())
            }
        }
    }

    /// Ends an upload with its last bytes. If no answer comes, the blob may be there all the same.
    fn finish(&self, blob: &Descriptor, mut location: Url, bytes: Bytes) -> Result<()> {
        location.query_pairs_mut().append_pair("digest", blob.digest().as_ref());
        let request = Request::new(Method::PUT, location, &self.scope)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(bytes);
        let Err(error) = self.endpoint.send(&request, &[]) else { return Ok(()) };
        match &error {
            Fault::Registry(fault) if fault.passes() || fault.status() == Some(StatusCode::NOT_FOUND) => {
                if self.has_blob(blob)? {
                    Ok(())
                } else {
                    Err(error)
                }
            }
            _ => Err(error),
        }
    }

    /// Fetches a blob into a file without a name, verified. What was cut off goes on where it ended.
    pub(super) fn pull_blob(&self, blob: &Descriptor, bar: &Bar) -> Result<File> {
        let full = |source| Fault::Write { path: std::env::temp_dir(), source };
        let mut file = tempfile::tempfile().map_err(full)?;
        let mut meter = Meter::default();
        let mut got = 0;
        let mut attempts = Attempts::new();
        while got < blob.size() || blob.size() == 0 {
            let before = got;
            let step = self.fetch(blob, got, |bytes| {
                file.write_all(bytes).map_err(full)?;
                meter.update(bytes);
                got += bytes.len() as u64;
                bar.at(got);
                Ok(())
            });
            if got > before {
                attempts.progressed();
            }
            match step {
                Ok(()) => break,
                Err(error) => attempts.again(error)?,
            }
        }
        let found = meter.finish();
        if found.size != blob.size() || found.name() != blob.digest().to_string() {
            return Err(Fault::Damaged(format!(
                "{} gave {} bytes of the digest sha256:{} for the blob {} of {} bytes",
                self.endpoint.host(),
                found.size,
                found.digest.digest(),
                blob.digest(),
                blob.size()
            )));
        }
        file.rewind().map_err(full)?;
        Ok(file)
    }

    /// Reads a blob from byte `start` on.
    fn fetch(&self, blob: &Descriptor, start: u64, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut request = self.request(Method::GET, &format!("blobs/{}", blob.digest()))?;
        if start > 0 {
            request = request.header(RANGE, &format!("bytes={start}-"));
        }
        let mut answer = self.endpoint.send(&request, &[])?;
        let named = || format!("GET {}", shown(&request.url));
        let cut = |source| Error::Cut { request: named(), source };
        // A registry without ranges begins anew.
        let mut skip = if answer.status() == StatusCode::PARTIAL_CONTENT { 0 } else { start };
        if answer.status() == StatusCode::PARTIAL_CONTENT && !begins_at(&answer, start) {
            return Err(Error::Protocol { request: named(), reason: "it is another range".to_owned() }.into());
        }
        let mut left = blob.size() - start;
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = match answer.read(&mut buffer) {
                Ok(0) if left > 0 => return Err(cut(io::ErrorKind::UnexpectedEof.into()).into()),
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(cut(e).into()),
            };
            let skipped = skip.min(read as u64);
            skip -= skipped;
            let bytes = &buffer[usize::try_from(skipped).unwrap_or(read)..read];
            if bytes.len() as u64 > left {
                return Err(Fault::Damaged(format!("{} gives more than {} bytes", named(), blob.size())));
            }
            left -= bytes.len() as u64;
            take(bytes)?;
        }
    }
}

fn begins_at(answer: &Response, start: u64) -> bool {
    let range = answer.headers().get(CONTENT_RANGE).and_then(|it| it.to_str().ok());
    range.is_some_and(|it| it.starts_with(&format!("bytes {start}-")))
}

/// Where an upload goes on.
fn location(asked: &Url, answer: &Response) -> Result<Url> {
    let found = answer.headers().get(LOCATION).and_then(|it| asked.join(it.to_str().ok()?).ok());
    found.ok_or_else(|| {
        let reason = "it does not say where the upload goes".to_owned();
        Error::Protocol { request: shown(asked), reason }.into()
    })
}

fn read(content: &mut impl Read, size: u64, blob: &Descriptor) -> Result<Bytes> {
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    let read = content.take(size).read_to_end(&mut bytes);
    read.map_err(|source| Fault::Read { path: blob.digest().to_string().into(), source })?;
    Ok(bytes.into())
}

/// Refuses to finish a blob that is not what its digest says.
fn check(blob: &Descriptor, meter: Meter, rest: &mut impl Read) -> Result<()> {
    let found = meter.finish();
    let more = rest
        .read(&mut [0])
        .map_err(|source| Fault::Read { path: blob.digest().to_string().into(), source })?;
    if more == 0 && found.size == blob.size() && found.name() == blob.digest().to_string() {
        return Ok(());
    }
    Err(Fault::Damaged(format!(
        "the content of blob {} has the digest sha256:{}; fetch or pack the image again",
        blob.digest(),
        found.digest.digest()
    )))
}

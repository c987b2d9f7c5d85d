//! Reading an image: an oci-archive, an archive of Docker's or an oci-layout directory, all hostile until checked.

mod artifacts;
mod docker;
mod file;

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, ImageIndex, OciLayout};
use serde::de::DeserializeOwned;

use crate::digest::MeteredReader;
use crate::error::{Error, Result};
use crate::layers::Budget;
use crate::{names, say};
pub(crate) use artifacts::{is_image_config, is_index, is_manifest};

/// containerd's own limit for a manifest is 8 MiB; an index may list many.
const MAX_DOCUMENT: u64 = 16 << 20;
/// Entries of an archive that are looked at.
const MAX_ENTRIES: usize = 100_000;

/// An image opened for reading.
pub(crate) struct Source {
    path: PathBuf,
    store: Store,
    /// Files that the archive does not have, for one of Docker's.
    made: HashMap<String, Vec<u8>>,
}

enum Store {
    /// Where each regular file of the tar stands: offset and size.
    Archive {
        file: File,
        files: HashMap<String, (u64, u64)>,
    },
    Layout,
}

impl Source {
    /// Opens an image and checks that it is one. Its name list is `index`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let store = if file::is_directory(path)? {
            Store::Layout
        } else {
            let file = file::open(path)?;
            let files = list(&file).map_err(|source| match source.raw_os_error() {
                Some(_) => Error::Read { path: path.to_owned(), source },
                None => Error::NotImage {
                    path: path.to_owned(),
                    reason: format!("it is not a tar archive, compressed or not ({source})"),
                },
            })?;
            Store::Archive { file, files }
        };
        let mut source = Self { path: path.to_owned(), store, made: HashMap::new() };
        source.check_layout()?;
        Ok(source)
    }

    fn check_layout(&mut self) -> Result<()> {
        let refuse = |path: &Path, reason| Err(Error::NotImage { path: path.to_owned(), reason });
        let Some(bytes) = self.small_file("oci-layout")? else {
            if matches!(self.store, Store::Archive { .. }) && self.adopt_docker()? {
                return Ok(());
            }
            return refuse(&self.path, "the file oci-layout is missing".to_owned());
        };
        let layout: OciLayout = parse("oci-layout", &bytes)?;
        match layout.image_layout_version().as_str() {
            "1.0.0" => Ok(()),
            other => refuse(&self.path, format!("its layout version is {other}; this program knows 1.0.0")),
        }
    }

    /// The document `index.json`. Each name in it stands for one image.
    pub(crate) fn index(&self) -> Result<ImageIndex> {
        let Some(bytes) = self.small_file("index.json")? else {
            return Err(Error::NotImage {
                path: self.path.clone(),
                reason: "it has no index.json".to_owned(),
            });
        };
        let index: ImageIndex = parse("index.json", &bytes)?;
        names::check(index.manifests())?;
        Ok(index)
    }

    /// A JSON blob, verified.
    pub(crate) fn document<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T> {
        parse(descriptor.digest().as_ref(), &self.small_blob(descriptor)?)
    }

    /// A JSON blob, verified, that counts for what reading may cost.
    pub(crate) fn counted<T: DeserializeOwned>(
        &self,
        descriptor: &Descriptor,
        budget: &mut Budget,
    ) -> Result<T> {
        parse(descriptor.digest().as_ref(), &self.counted_blob(descriptor, budget)?)
    }

    /// A blob that fits into memory, verified, that counts for what reading may cost.
    pub(crate) fn counted_blob(&self, descriptor: &Descriptor, budget: &mut Budget) -> Result<Vec<u8>> {
        budget.document(descriptor.size()).map_err(|e| Error::Unreadable(e.to_string()))?;
        self.small_blob(descriptor)
    }

    /// A blob that fits into memory, verified.
    fn small_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        if descriptor.size() > MAX_DOCUMENT {
            return Err(Error::Damaged(format!(
                "the document {} is said to have {} bytes; at most {MAX_DOCUMENT} are read",
                descriptor.digest(),
                descriptor.size()
            )));
        }
        let mut blob = self.blob(descriptor)?;
        let mut bytes = Vec::new();
        blob.read_to_end(&mut bytes).map_err(|source| Error::Read { path: self.path.clone(), source })?;
        blob.verify()?;
        Ok(bytes)
    }

    /// A blob, to be read and then verified.
    pub(crate) fn blob<'a>(&'a self, descriptor: &'a Descriptor) -> Result<Blob<'a>> {
        let Some(hex) = descriptor.as_digest_sha256() else {
            return Err(Error::Damaged(format!(
                "{} is not a sha256 digest, the only kind this program checks",
                descriptor.digest()
            )));
        };
        let Some((content, size)) = self.file(&format!("blobs/sha256/{hex}"))? else {
            return Err(missing(descriptor));
        };
        if size != descriptor.size() {
            return Err(Error::Damaged(format!(
                "the blob {} has {size} bytes, but its descriptor says {}",
                descriptor.digest(),
                descriptor.size()
            )));
        }
        Ok(Blob { content: MeteredReader::new(content), descriptor, image: &self.path })
    }

    /// The digests of all blobs, in hexadecimal digits.
    pub(crate) fn blobs(&self) -> Result<BTreeSet<String>> {
        const FOLDER: &str = "blobs/sha256";
        let made = self.made.keys().filter_map(|it| it.strip_prefix(FOLDER)?.strip_prefix('/'));
        let mut blobs: BTreeSet<_> = made.map(str::to_owned).collect();
        match &self.store {
            Store::Archive { files, .. } => {
                let stored = files.keys().filter_map(|it| it.strip_prefix(FOLDER)?.strip_prefix('/'));
                blobs.extend(stored.map(str::to_owned));
            }
            Store::Layout => {
                let folder = self.path.join(FOLDER);
                let read = |source| Error::Read { path: folder.clone(), source };
                for entry in fs::read_dir(&folder).map_err(read)? {
                    blobs.extend(entry.map_err(read)?.file_name().into_string());
                }
            }
        }
        Ok(blobs)
    }

    /// A blob by its digest, to be checked by who reads it, and its size.
    pub(crate) fn stored(&self, hex: &str) -> Result<(Box<dyn Read + '_>, u64)> {
        let missing = || Error::Damaged(format!("the blob sha256:{hex} is missing"));
        self.file(&format!("blobs/sha256/{hex}"))?.ok_or_else(missing)
    }

    /// The document `manifest.json` of an archive of Docker's, if there is one.
    pub(crate) fn docker_manifest(&self) -> Result<Option<serde_json::Value>> {
        self.small_file("manifest.json")?.map(|bytes| parse("manifest.json", &bytes)).transpose()
    }

    /// Whether a blob is there, whatever it holds.
    pub(crate) fn has(&self, descriptor: &Descriptor) -> Result<bool> {
        let hex = descriptor.as_digest_sha256().unwrap_or_default();
        Ok(self.file(&format!("blobs/sha256/{hex}"))?.is_some())
    }

    /// The content of a blob, by its digest, unchecked.
    #[cfg(feature = "registry")]
    pub(crate) fn content(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + '_>> {
        let hex = descriptor.as_digest_sha256().unwrap_or_default();
        match self.file(&format!("blobs/sha256/{hex}"))? {
            Some((content, _)) => Ok(content),
            None => Err(missing(descriptor)),
        }
    }

    /// The error when the image, or what it is in, cannot be read.
    pub(crate) fn unreadable(&self, source: io::Error) -> Error {
        Error::Read { path: self.path.clone(), source }
    }

    fn small_file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some((content, _)) = self.file(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        content
            .take(MAX_DOCUMENT)
            .read_to_end(&mut bytes)
            .map_err(|source| Error::Read { path: self.path.clone(), source })?;
        Ok(Some(bytes))
    }

    /// A file by its name inside the layout, and its size.
    fn file(&self, name: &str) -> Result<Option<(Box<dyn Read + '_>, u64)>> {
        if let Some(made) = self.made.get(name) {
            return Ok(Some((Box::new(made.as_slice()), made.len() as u64)));
        }
        match &self.store {
            Store::Archive { file, files } => {
                let section = |&(start, size)| -> (Box<dyn Read + '_>, u64) {
                    (
                        Box::new(BufReader::with_capacity(1 << 17, Section { file, at: start, left: size })),
                        size,
                    )
                };
                Ok(files.get(name).map(section))
            }
            Store::Layout => {
                let path = self.path.join(name);
                let read = |source| Error::Read { path: path.clone(), source };
                match path.metadata() {
                    Ok(found) if found.is_file() => {
                        let file = File::open(&path).map_err(read)?;
                        let content = BufReader::with_capacity(1 << 17, file.take(found.len()));
                        Ok(Some((Box::new(content), found.len())))
                    }
                    Ok(_) => Ok(None),
                    Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
                    Err(e) => Err(read(e)),
                }
            }
        }
    }
}

fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| Error::Json { name: name.to_owned(), source })
}

fn missing(descriptor: &Descriptor) -> Error {
    Error::Incomplete(format!("the blob {} is missing", descriptor.digest()))
}

/// Where the regular files of a tar stand.
fn list(file: &File) -> io::Result<HashMap<String, (u64, u64)>> {
    let mut files = HashMap::new();
    for entry in tar::Archive::new(file).entries_with_seek()?.take(MAX_ENTRIES) {
        let entry = entry?;
        if entry.header().entry_type().is_file() {
            let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
            files.insert(name, (entry.raw_file_position(), entry.size()));
        }
    }
    Ok(files)
}

/// A range of a file, read without moving the file's position.
struct Section<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// The content of a blob; not to be believed before `verify`.
pub(crate) struct Blob<'a> {
    content: MeteredReader<Box<dyn Read + 'a>>,
    descriptor: &'a Descriptor,
    image: &'a Path,
}

impl Blob<'_> {
    /// Reads what is left and compares the digest.
    pub(crate) fn verify(self) -> Result<()> {
        let found =
            self.content.drain().map_err(|source| Error::Read { path: self.image.to_owned(), source })?;
        let expected = self.descriptor.digest();
        if expected.digest() == found.digest.digest() && self.descriptor.size() == found.size {
            say::verbose(format_args!("blob {expected}, {} bytes", found.size));
            return Ok(());
        }
        Err(Error::Damaged(format!(
            "the content of blob {expected} has the digest sha256:{}; fetch or pack the image again",
            found.digest.digest()
        )))
    }
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.content.read(buffer)
    }
}

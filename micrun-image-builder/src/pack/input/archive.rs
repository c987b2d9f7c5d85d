//! A zip archive, as CI systems hand out what they have built.
//!
//! Names and sizes are hostile until checked: nothing is extracted under a name of the archive, and no entry
//! gives more bytes than it is allowed to.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use flate2::read::DeflateDecoder;
use rawzip::{
    CompressionMethod, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder, ZipLocator,
};

use super::fault::{Fault, Result};
use super::tree::Tree;

/// The most entries that are looked at.
const MAX_ENTRIES: usize = 100_000;
/// The most bytes that their names may have together.
const MAX_NAMES: usize = 16 << 20;

/// Whether these first bytes of a file are those of a zip archive.
pub(crate) fn is_zip(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")
}

/// An archive, open.
pub(crate) struct Archive<R> {
    zip: ZipArchive<R>,
    files: BTreeMap<String, Place>,
}

/// Where a file is, and how it is stored.
struct Place {
    way: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    encrypted: bool,
}

impl<R: ReaderAt> Archive<R> {
    /// Reads the directory of an archive of `size` bytes. A folder that holds everything is left out of all names.
    pub(crate) fn open(file: R, size: u64) -> Result<Self> {
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let located = ZipLocator::new().locate_in_reader(file, &mut buffer, size);
        let zip = located.map_err(|(_, error)| damaged(error))?;
        let mut files = BTreeMap::new();
        let mut names = 0;
        let mut entries = zip.entries(&mut buffer);
        while let Some(entry) = entries.next_entry().map_err(damaged)? {
            // A path that cannot be one of a build's files is none that is looked for.
            let Ok(path) = entry.file_path().try_normalize() else { continue };
            if entry.is_dir() {
                continue;
            }
            let place = Place {
                way: entry.wayfinder(),
                method: entry.compression_method(),
                encrypted: entry.flags().is_encrypted(),
            };
            names += path.as_str().len();
            if files.len() == MAX_ENTRIES || names > MAX_NAMES {
                return Err(Fault::refused(format!("the archive has more than {MAX_ENTRIES} files")));
            }
            if files.insert(path.as_str().to_owned(), place).is_some() {
                return Err(Fault::refused(format!(
                    "the archive has {:?} twice; make it again",
                    path.as_str()
                )));
            }
        }
        while let Some(folder) = common_folder(&files) {
            files = files.into_iter().map(|(name, place)| (name[folder..].to_owned(), place)).collect();
        }
        Ok(Self { zip, files })
    }
}

/// The length of the folder, slash included, that all names begin with.
fn common_folder(files: &BTreeMap<String, Place>) -> Option<usize> {
    let folder = files.keys().next()?.find('/')? + 1;
    let (first, last) = (files.keys().next()?, files.keys().next_back()?);
    (first[..folder] == *last.get(..folder)?).then_some(folder)
}

#[expect(clippy::needless_pass_by_value, reason = "it is the shape of map_err")]
fn damaged(error: rawzip::Error) -> Fault {
    Fault::refused(format!("the zip archive is damaged: {error}; copy or make it again"))
}

impl<R: ReaderAt> Tree for Archive<R> {
    fn name(&self) -> Option<String> {
        None
    }

    fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    fn elves(&self, folder: &str) -> Result<Vec<String>> {
        let inside = |name: &&String| name.starts_with(folder) && name.to_ascii_lowercase().ends_with(".elf");
        Ok(self.files.keys().filter(inside).cloned().collect())
    }

    fn copy(&self, path: &str, limit: u64, out: &mut dyn Write) -> Result<()> {
        let Some(place) = self.files.get(path) else {
            return Err(Fault::refused(format!("the archive has no file {path:?}")));
        };
        let refuse = |reason: String| Err(Fault::refused(format!("{path:?} of the archive: {reason}")));
        if place.encrypted {
            return refuse("it is encrypted; unpack the archive and give the file".to_owned());
        }
        let size = place.way.uncompressed_size_hint();
        if size > limit {
            return refuse(format!("it has {size} bytes, more than the {limit} that are read"));
        }
        let entry = self.zip.get_entry(place.way).map_err(damaged)?;
        let mut content: Box<dyn Read> = match place.method {
            CompressionMethod::STORE => Box::new(entry.verifying_reader(entry.reader())),
            CompressionMethod::DEFLATE => {
                Box::new(entry.verifying_reader(DeflateDecoder::new(entry.reader())))
            }
            other => {
                let number = other.as_u16();
                return refuse(format!("it is compressed by method {number}; use deflate (8) or store (0)"));
            }
        };
        // The reader fails when there is more or less than the directory says.
        let mut buffer = vec![0; 64 << 10];
        loop {
            match content.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => out.write_all(&buffer[..read]).map_err(Fault::Temporary)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return refuse(format!("{error}; copy or make the archive again")),
            }
        }
    }
}

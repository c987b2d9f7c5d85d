//! Further files of an image, which its firmware's users want beside it: tables, certificates, notices.

use std::fs::{self, File};
use std::path::PathBuf;
use std::str::FromStr;

use micrun_firmware::MAX_FIRMWARE_SIZE;

use super::contents::{self, Contents};
use super::mode::Mode;
use crate::error::{Error, Result};
use crate::image_path::ImagePath;

/// Where the image keeps what is its own.
const OURS: &str = ".micrun";

/// A file and its place in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExtraFile {
    pub(crate) from: PathBuf,
    pub(crate) place: ImagePath,
    pub(crate) mode: Mode,
}

impl FromStr for ExtraFile {
    type Err = String;

    /// `FILE=PATH[,mode=MODE]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (from, place) = text.split_once('=').ok_or("write it as FILE=PATH, or FILE=PATH,mode=0755")?;
        let (place, mode) = match place.rsplit_once(",mode=") {
            Some((place, mode)) => (place, mode.parse()?),
            None => (place, Mode::default()),
        };
        if from.is_empty() {
            return Err("no file is named before the =".to_owned());
        }
        Ok(Self { from: from.into(), place: place.parse()?, mode })
    }
}

impl ExtraFile {
    /// Adds it to the files of the image.
    pub(super) fn add_to(&self, contents: &mut Contents) -> Result<()> {
        let place = self.place.as_str();
        if place == OURS || place.starts_with(&format!("{OURS}/")) {
            return Err(Error::Argument {
                what: "file",
                value: self.place.to_string(),
                reason: format!("/{OURS} is for what describes the image"),
            });
        }
        let read = |source| Error::Read { path: self.from.clone(), source };
        // Looked at before it is opened: opening a fifo would wait for a writer.
        let found = fs::metadata(&self.from).map_err(read)?;
        if !found.is_file() || found.len() > MAX_FIRMWARE_SIZE {
            let reason = format!("it is not a regular file of at most {MAX_FIRMWARE_SIZE} bytes");
            return Err(Error::Refused { path: self.from.clone(), reason });
        }
        let file = File::open(&self.from).map_err(read)?;
        let (content, sum) = contents::measure(&file, self.mode.0).map_err(read)?;
        contents.put_file(place, content, &file, &self.from, sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_a_path_and_a_mode() {
        let read =
            |text: &str| text.parse::<ExtraFile>().map(|it| (it.from, it.place.to_string(), it.mode.0));
        assert_eq!(read("a.bin=/etc/a"), Ok(("a.bin".into(), "/etc/a".to_owned(), 0o644)));
        assert_eq!(read("a=b,mode=0755"), Ok(("a".into(), "/b".to_owned(), 0o755)));
        assert_eq!(read("a=b,mode=0o600"), Ok(("a".into(), "/b".to_owned(), 0o600)));
        assert_eq!(read("a=b=c,d"), Ok(("a".into(), "/b=c,d".to_owned(), 0o644)));
        for wrong in ["a", "=b", "a=", "a=../b", "a=b,mode=4755", "a=b,mode=rw", "a=b,mode=", "a=b,mode=8"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}

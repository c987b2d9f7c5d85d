//! An image of an archive or a layout, as the command line names it: `FILE.tar`, `DIR`, `DIR:NAME`, `-`, or any of these
//! with `--image NAME`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use oci_spec::image::Descriptor;

use crate::error::{Error, Result};
use crate::names;
use crate::source::Source;

/// Where an image is, and which one it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) path: PathBuf,
    pub(crate) name: Option<String>,
    /// How it is given a name.
    by: By,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Colon,
    Option,
}

impl FromStr for Located {
    type Err = std::convert::Infallible;

    /// What is behind a colon is a name, unless the file is called so.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let split = |at: usize| (&text[..at], &text[at + 1..]);
        let is_there = |path: &str| path == "-" || Path::new(path).exists();
        let named = text.match_indices(':').map(|(at, _)| split(at)).find(|(path, _)| is_there(path));
        Ok(match named.filter(|_| !is_there(text)) {
            Some((path, name)) => Self { path: path.into(), name: Some(name.to_owned()), by: By::Colon },
            None => Self { path: text.into(), name: None, by: By::Colon },
        })
    }
}

impl Located {
    /// One with the name that `--image` gives.
    pub(crate) fn new(path: &Path, name: Option<&str>) -> Self {
        Self { path: path.to_owned(), name: name.map(str::to_owned), by: By::Option }
    }

    /// What it names in its `index.json`: one entry if it has a name, else all.
    pub(crate) fn entries(&self, source: &Source) -> Result<Vec<Descriptor>> {
        let all = source.images()?;
        if all.is_empty() {
            let reason = "its index.json lists no image".to_owned();
            return Err(Error::NotImage { path: self.path.clone(), reason });
        }
        let Some(name) = &self.name else { return Ok(all) };
        let found: Vec<_> = all.iter().filter(|it| names::is_called(it, name)).cloned().collect();
        if found.is_empty() {
            return Err(self.refuse(&all, &format!("it holds no image {name}, but")));
        }
        Ok(found)
    }

    /// The one image that it names.
    pub(crate) fn entry(&self, source: &Source) -> Result<Descriptor> {
        let entries = self.entries(source)?;
        match entries.as_slice() {
            [first, others @ ..] if others.iter().all(|it| it.digest() == first.digest()) => {
                Ok(first.clone())
            }
            _ => Err(self.refuse(&entries, &format!("it holds several images; name one {}", self.how()))),
        }
    }

    fn how(&self) -> String {
        match self.by {
            By::Colon => format!("as {}:NAME", self.path.display()),
            By::Option => "with --image NAME".to_owned(),
        }
    }

    fn refuse(&self, entries: &[Descriptor], reason: &str) -> Error {
        let names: Vec<_> = entries.iter().filter_map(names::of).collect();
        Error::Argument {
            what: "image",
            value: self.path.display().to_string(),
            reason: format!("{reason}: {}", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_behind_a_colon() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().to_str().unwrap();
        let read = |text: &str| {
            let Located { path, name, .. } = text.parse().unwrap();
            (path.display().to_string(), name)
        };
        assert_eq!(
            read(&format!("{at}:example.org:5000/a:1")),
            (at.to_owned(), Some("example.org:5000/a:1".to_owned()))
        );
        assert_eq!(read(at), (at.to_owned(), None));
        let odd = format!("{at}/a:b.tar");
        std::fs::write(&odd, "").unwrap();
        assert_eq!(read(&odd), (odd.clone(), None));
        assert_eq!(read(&format!("{odd}:1")), (odd, Some("1".to_owned())));
        assert_eq!(read("missing:1"), ("missing:1".to_owned(), None));
        assert_eq!(read("-:1"), ("-".to_owned(), Some("1".to_owned())));
    }
}

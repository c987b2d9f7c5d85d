//! A file's path in an image, as the command line and micrun.yaml name it.

use std::fmt;
use std::str::FromStr;

use tar::Header;

/// A path below the image's root, without the leading `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ImagePath(String);

impl ImagePath {
    /// As tars have it, without a leading `/`.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ImagePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.trim_start_matches('/');
        if path.split('/').any(|name| matches!(name, "" | "." | "..")) || path.chars().any(char::is_control) {
            return Err("write a path of the image as /etc/table.bin");
        }
        if path.split('/').any(|name| name.starts_with(".wh.")) {
            return Err("names that begin with .wh. delete files in a layer");
        }
        // ustar's own limit: 155 bytes of directories and 100 of a name.
        if Header::new_ustar().set_path(path).is_err() {
            return Err("it is too long: a tar has 155 bytes for its directories and 100 for its name");
        }
        Ok(Self(path.to_owned()))
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_file_below_the_root() {
        assert_eq!("/etc/table.bin".parse::<ImagePath>().unwrap().as_str(), "etc/table.bin");
        assert_eq!("a b/é".parse::<ImagePath>().unwrap().to_string(), "/a b/é");
        let long = format!("{}/x", "d".repeat(156));
        for wrong in ["", "/", "a//b", "a/", "./a", "a/../b", "..", "a\n", ".wh.a", "a/.wh..wh..opq", &long] {
            assert!(wrong.parse::<ImagePath>().is_err(), "{wrong:?}");
        }
    }
}

//! The names an image is found by.

use std::collections::{HashMap, HashSet};

use oci_spec::image::{ANNOTATION_REF_NAME, Descriptor};

use crate::error::{Error, Result};

/// Where containerd looks for the full name of an image that it imports (its `images.AnnotationImageName`).
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";

const DEFAULT_HOST: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";
/// The limits of distribution/reference.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// The name of an image, in full: `docker.io/library/demo:latest` for `demo`.
///
/// nerdctl, crictl and Kubernetes complete a short name in the same way before they look it up. The grammar is
/// that of <https://pkg.go.dev/github.com/distribution/reference>. Read by hand: the regular expressions of
/// oci-spec's reader take 40 ms to compile, four times what a whole pack may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageName {
    full: String,
    tag: String,
}

impl ImageName {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        read(text).map_err(|reason| Error::Argument {
            what: "image name",
            value: text.to_owned(),
            reason: format!("{reason}; a name is [HOST[:PORT]/]PATH[:TAG], the path in lower case"),
        })
    }

    /// A name made of a file name: `My_App v2.elf` gives `my-app-v2`, one without any letter `firmware`.
    pub(crate) fn from_stem(stem: &str) -> Result<Self> {
        let lower = stem.to_lowercase();
        let words: Vec<_> =
            lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
        Self::parse(if words.is_empty() { "firmware".to_owned() } else { words.join("-") }.as_str())
    }

    pub(crate) fn full(&self) -> &str {
        &self.full
    }

    /// The last word of its path.
    pub(crate) fn short(&self) -> &str {
        let path = self.full.strip_suffix(&self.tag).unwrap_or(&self.full).trim_end_matches(':');
        path.rsplit('/').next().unwrap_or(path)
    }

    /// The annotations of the entry in `index.json`: the full name for containerd, the tag for everyone else.
    pub(crate) fn annotations(&self) -> HashMap<String, String> {
        HashMap::from([
            (IMAGE_NAME.to_owned(), self.full.clone()),
            (ANNOTATION_REF_NAME.to_owned(), self.tag.clone()),
        ])
    }
}

fn read(text: &str) -> Result<ImageName, &'static str> {
    if text.contains('@') {
        return Err("it has a digest, which packing computes; give a name without one");
    }
    // A colon before the last slash belongs to the host's port.
    let (name, tag) = match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (text, DEFAULT_TAG),
    };
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host == "localhost" || host.contains(['.', ':']) => (host, path.to_owned()),
        Some(_) => (DEFAULT_HOST, name.to_owned()),
        None => (DEFAULT_HOST, format!("library/{name}")),
    };
    if !is_host(host) {
        return Err("its host is none");
    }
    if !path.split('/').all(is_component) {
        return Err(
            "its path has a part that is not words of a-z and 0-9 joined by one of . _ __ or by dashes",
        );
    }
    if !is_tag(tag) {
        return Err(
            "its tag must be at most 128 of a-z, A-Z, 0-9, _ . and -, and must not begin with . or -",
        );
    }
    if host.len() + 1 + path.len() > MAX_NAME {
        return Err("it is longer than 255 characters");
    }
    Ok(ImageName { full: format!("{host}/{path}:{tag}"), tag: tag.to_owned() })
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let label = |label: &str| {
        label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.split('.').all(label) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

fn is_component(part: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let joint = |joint: &[u8]| matches!(joint, b"" | b"." | b"_" | b"__") || joint.iter().all(|b| *b == b'-');
    let bytes = part.as_bytes();
    bytes.first().is_some_and(|b| is_word(*b))
        && bytes.last().is_some_and(|b| is_word(*b))
        && bytes.split(|b| is_word(*b)).all(joint)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

/// The name that an entry of `index.json` carries: the full one, or its reference if it has no other.
pub(crate) fn of(entry: &Descriptor) -> Option<&str> {
    annotation(entry, IMAGE_NAME).or_else(|| reference(entry))
}

/// Whether an entry is found by a name, complete or not.
pub(crate) fn is_called(entry: &Descriptor, name: &str) -> bool {
    let full = ImageName::parse(name).ok();
    of(entry).is_some_and(|it| it == name || full.as_ref().is_some_and(|full| it == full.full()))
        || reference(entry) == Some(name)
}

/// What skopeo, oras and umoci find an entry by.
pub(crate) fn reference(entry: &Descriptor) -> Option<&str> {
    annotation(entry, ANNOTATION_REF_NAME)
}

fn annotation<'a>(entry: &'a Descriptor, key: &str) -> Option<&'a str> {
    entry.annotations().as_ref()?.get(key).map(String::as_str)
}

/// Adds an image to those of a layout. Every name and every reference then stands for one image.
///
/// An image of the same name is replaced. If another one has the new one's reference (its tag), its full name becomes
/// its reference. Without a full name it is replaced, as skopeo and umoci do.
pub(crate) fn insert(entries: &mut Vec<Descriptor>, new: Descriptor) {
    let same = |other: &Descriptor| match of(&new) {
        Some(name) => of(other) == Some(name),
        None => of(other).is_none() && other.digest() == new.digest(),
    };
    entries.retain(|other| !same(other));
    let taken = reference(&new);
    entries.retain_mut(|other| {
        if taken.is_none() || reference(other) != taken {
            return true;
        }
        let Some(full) = annotation(other, IMAGE_NAME).map(str::to_owned) else { return false };
        let mut annotations = other.annotations().clone().unwrap_or_default();
        annotations.insert(ANNOTATION_REF_NAME.to_owned(), full);
        other.set_annotations(Some(annotations));
        true
    });
    entries.push(new);
}

/// Refuses two different images of one name.
pub(crate) fn check(entries: &[Descriptor]) -> Result<()> {
    match doubled(entries, of).next() {
        Some((name, _)) => Err(Error::Ambiguous { name: name.to_owned() }),
        None => Ok(()),
    }
}

/// A warning for each image whose reference is also that of another. Their full names tell them apart.
pub(crate) fn warnings(entries: &[Descriptor]) -> HashMap<String, String> {
    let sentence = |name: &str| {
        format!(
            "another image here has the same {ANNOTATION_REF_NAME} {name:?}: tools that look for it find either"
        )
    };
    doubled(entries, reference).map(|(name, it)| (it.digest().to_string(), sentence(name))).collect()
}

/// The entries whose name is also that of an entry with another digest.
fn doubled(
    entries: &[Descriptor],
    name: fn(&Descriptor) -> Option<&str>,
) -> impl Iterator<Item = (&str, &Descriptor)> {
    let mut named: HashMap<&str, HashSet<&str>> = HashMap::new();
    for entry in entries {
        if let Some(it) = name(entry) {
            named.entry(it).or_default().insert(entry.digest().as_ref());
        }
    }
    entries
        .iter()
        .filter_map(move |entry| Some((name(entry)?, entry)))
        .filter(move |(name, _)| named.get(name).is_some_and(|digests| digests.len() > 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_docker_does() {
        for (short, full) in [
            ("demo", "docker.io/library/demo:latest"),
            ("demo:1.0", "docker.io/library/demo:1.0"),
            ("team/demo", "docker.io/team/demo:latest"),
            ("localhost/demo", "localhost/demo:latest"),
            ("example.org/a/b__c.d--e_f:v1", "example.org/a/b__c.d--e_f:v1"),
            ("registry:5000/demo", "registry:5000/demo:latest"),
            ("registry:5000/demo:_x", "registry:5000/demo:_x"),
        ] {
            assert_eq!(ImageName::parse(short).unwrap().full(), full);
        }
        assert_eq!(ImageName::parse("registry:5000/team/demo:1").unwrap().short(), "demo");
    }

    #[test]
    fn what_a_registry_refuses_is_refused_here() {
        let long = "a".repeat(260);
        for wrong in [
            "",
            ":",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a/B",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a._b",
            "a:",
            "a:.x",
            "a:-x",
            "a:b:c",
            "a b",
            "a\n",
            "é",
            "exa_mple.org/a",
            "-x.org/a",
            "x.org:/a",
            "x.org:p/a",
            "a@sha256:00",
            &long,
        ] {
            assert!(ImageName::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn file_names_become_names() {
        assert_eq!(ImageName::from_stem("My_App v2").unwrap().full(), "docker.io/library/my-app-v2:latest");
        assert_eq!(ImageName::from_stem("___").unwrap().full(), "docker.io/library/firmware:latest");
    }
}

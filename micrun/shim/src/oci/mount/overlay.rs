//! Overlay options that do not fit into a page: a list of layers is shortened by its common directory, or the layers
//! are given to the kernel one by one.
//!
//! mount(2) takes one page of options and cuts the rest off without an error, so that a layer more or less is missing
//! or, where the cut falls behind a `/`, a directory of the host becomes the lowest layer. Nothing longer is passed.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// The most bytes of options that mount(2) takes whole: the smallest page of all machines, less the final NUL.
pub(super) const MOST: usize = 4095;
/// The option that names the layers, topmost first.
pub(super) const LOWER: &str = "lowerdir=";

/// How options can be handed to the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As they are.
    Whole(String),
    /// By a thread that is in this directory: the layers are relative to it.
    Within(PathBuf, String),
    /// Neither fits.
    Piecewise,
}

impl Way {
    /// The first way that fits.
    pub(super) fn of(options: &[String]) -> Self {
        let whole = options.join(",");
        if whole.len() <= MOST {
            return Self::Whole(whole);
        }
        match compact(options) {
            Some((directory, options)) if options.len() <= MOST => Self::Within(directory, options),
            _ => Self::Piecewise,
        }
    }
}

/// The layers among the options, with their backslashes. None when there are none, several lists, or data-only
/// layers (`::`).
pub(super) fn layers(options: &[String]) -> Option<Vec<&str>> {
    let mut lists = options.iter().filter_map(|option| option.strip_prefix(LOWER));
    let (list, None) = (lists.next()?, lists.next()) else { return None };
    let layers = split(list);
    layers.iter().all(|layer| !layer.is_empty()).then_some(layers)
}

/// Splits at every colon that has no backslash before it.
fn split(list: &str) -> Vec<&str> {
    let mut layers = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, byte) in list.bytes().enumerate() {
        if byte == b':' && !escaped {
            layers.push(&list[start..at]);
            start = at + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    layers.push(&list[start..]);
    layers
}

/// Takes the backslashes away that overlayfs has before `:`, `,` and `\`.
pub(super) fn unescape(path: &str) -> Cow<'_, str> {
    if !path.contains('\\') {
        return path.into();
    }
    let mut plain = String::with_capacity(path.len());
    let mut escaped = false;
    for letter in path.chars() {
        escaped = letter == '\\' && !escaped;
        if !escaped {
            plain.push(letter);
        }
    }
    plain.into()
}

/// The directory that all layers share, and the options with the layers relative to it.
fn compact(options: &[String]) -> Option<(PathBuf, String)> {
    let layers = layers(options)?;
    let elsewhere = ["upperdir=", "workdir="].iter().any(|key| {
        let mut paths = options.iter().filter_map(|option| option.strip_prefix(key));
        paths.any(|path| !path.starts_with('/'))
    });
    let common = common_directory(&layers)?;
    if elsewhere {
        return None;
    }
    let relative: Vec<_> = layers.iter().map(|layer| &layer[common.len()..]).collect();
    let list = format!("{LOWER}{}", relative.join(":"));
    let replaced =
        options.iter().map(|option| if option.starts_with(LOWER) { &list } else { option.as_str() });
    Some((Path::new(&*unescape(common)).to_owned(), replaced.collect::<Vec<_>>().join(",")))
}

/// The longest beginning of all paths that ends with a slash and is more than the root; none of them is all of its path.
fn common_directory<'a>(paths: &[&'a str]) -> Option<&'a str> {
    let (first, rest) = paths.split_first()?;
    let shared = rest.iter().fold(first.len(), |shared, path| {
        first.bytes().zip(path.bytes()).take(shared).take_while(|(a, b)| a == b).count()
    });
    // A slash is one byte, and no byte of another character.
    let end = first.as_bytes()[..shared].iter().rposition(|byte| *byte == b'/')? + 1;
    let usable =
        first.starts_with('/') && paths.iter().all(|path| path.len() > end && !path[end..].starts_with('/'));
    (usable && end > 1).then(|| &first[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn options(layers: &[String], rest: &str) -> Vec<String> {
        let mut options: Vec<_> = rest.split_whitespace().map(str::to_owned).collect();
        options.insert(options.len().min(1), format!("{LOWER}{}", layers.join(":")));
        options
    }

    fn snapshots(root: &str, count: usize) -> Vec<String> {
        (1..=count)
            .rev()
            .map(|id| format!("{root}/io.containerd.snapshotter.v1.overlayfs/snapshots/{id}/fs"))
            .collect()
    }

    #[test]
    fn what_fits_is_passed_as_it_is() {
        let options = options(&snapshots("/var/lib/containerd", 20), "index=off upperdir=/u workdir=/w");
        assert_eq!(Way::of(&options), Way::Whole(options.join(",")));
    }

    #[test]
    fn the_limit_is_exact() {
        let of = |length: usize| vec!["x".repeat(length)];
        assert_eq!(Way::of(&of(MOST)), Way::Whole("x".repeat(MOST)));
        assert_eq!(Way::of(&of(MOST + 1)), Way::Piecewise);
    }

    #[test]
    fn containerd_2497_long_lists_become_relative_to_their_directory() {
        for count in [60, 70, 127, 300] {
            let options =
                options(&snapshots("/var/lib/containerd", count), "index=off upperdir=/u workdir=/w");
            let Way::Within(directory, short) = Way::of(&options) else { panic!("{count} layers") };
            let expected = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/";
            assert_eq!(directory, Path::new(expected));
            assert!(short.starts_with(&format!("index=off,lowerdir={count}/fs:")), "{short}");
            assert!(short.ends_with(":2/fs:1/fs,upperdir=/u,workdir=/w"), "{short}");
        }
    }

    #[test]
    fn ids_that_begin_alike_are_not_cut_apart() {
        let paths = ["/s/100/fs", "/s/101/fs", "/s/10/fs"];
        assert_eq!(common_directory(&paths), Some("/s/"));
        assert_eq!(common_directory(&["/s/1/fs"]), Some("/s/1/"));
    }

    #[test]
    fn lists_without_a_common_directory_are_not_shortened() {
        for paths in [
            &["/a/fs", "/b/fs"] as &[&str],
            &["a/1", "a/2"],
            &["/a/", "/a/b"],
            &["/a//b", "/a/c"],
            &["/", "/a"],
        ] {
            assert_eq!(common_directory(paths), None, "{paths:?}");
        }
        let relative_upper = options(&snapshots("/v", 200), "upperdir=u workdir=/w");
        assert_eq!(Way::of(&relative_upper), Way::Piecewise);
        let data_only = options(&[snapshots("/v", 200).join(":"), String::new(), "/v/d".into()], "");
        assert_eq!(Way::of(&data_only), Way::Piecewise);
    }

    #[test]
    fn an_escaped_colon_is_part_of_a_path() {
        assert_eq!(split(r"/a\:b/1:/a\:b/2"), [r"/a\:b/1", r"/a\:b/2"]);
        assert_eq!(split(r"/a\\:/b"), [r"/a\\", "/b"]);
        assert_eq!(unescape(r"/a\:b\\c\,d"), r"/a:b\c,d");
        let layers: Vec<_> = (0..400).map(|id| format!(r"/a\:b/{id}/fs")).collect();
        let options = options(&layers, "");
        let Way::Within(directory, short) = Way::of(&options) else { panic!("{options:?}") };
        assert_eq!(directory, Path::new("/a:b/"));
        assert!(short.starts_with("lowerdir=0/fs:1/fs:"), "{short}");
    }

    proptest! {
        /// What is mounted is what was asked for, and whatever is passed fits.
        #[test]
        fn the_layers_stay_the_same(
            root in r"(/([a-zäß.]|\\:|\\\\){1,60}){0,8}",
            ids in prop::collection::vec("[0-9]{1,6}(/fs)?", 1..500),
        ) {
            let asked: Vec<_> = ids.iter().map(|id| format!("{root}/{id}")).collect();
            let options = options(&asked, "index=off upperdir=/u workdir=/w");
            match Way::of(&options) {
                Way::Whole(data) => {
                    prop_assert!(data.len() <= MOST);
                    prop_assert_eq!(data, options.join(","));
                }
                Way::Within(directory, data) => {
                    prop_assert!(data.len() <= MOST);
                    let list = data.strip_prefix("index=off,lowerdir=").and_then(|rest| rest.strip_suffix(",upperdir=/u,workdir=/w"));
                    let given: Vec<_> = split(list.unwrap()).iter().map(|layer| directory.join(&*unescape(layer))).collect();
                    let wanted: Vec<_> = asked.iter().map(|path| PathBuf::from(&*unescape(path))).collect();
                    prop_assert_eq!(given, wanted);
                }
                Way::Piecewise => prop_assert!(compact(&options).is_none_or(|(_, data)| data.len() > MOST)),
            }
        }
    }
}

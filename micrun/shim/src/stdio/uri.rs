//! What Create's strings for the streams mean: the same as to containerd's own shim (containerd,
//! `cmd/containerd-shim-runc-v2/process/io.go`).

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

/// Where a stream leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nowhere.
    Null,
    /// A FIFO, or whatever else has this path. It must be there.
    Path(PathBuf),
    /// A file to append to, made if need be.
    File(PathBuf),
    /// A program that takes the output.
    Program(Program),
}

/// A logging program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// The program.
    pub path: PathBuf,
    /// Its arguments: each key of the query, followed by that key's first value.
    pub args: Vec<String>,
    /// Whether it must say by a byte that it is ready (`binary-v2`), instead of just closing the descriptor.
    pub announces: bool,
}

impl Target {
    /// Reads the string that Create has for `stream`.
    pub(crate) fn parse(stream: &'static str, uri: &str) -> Result<Self> {
        if uri.is_empty() {
            return Ok(Self::Null);
        }
        let refuse = |reason: String| Error::StdioUri { stream, uri: uri.to_owned(), reason };
        let no_path = || refuse("it names no absolute path".into());
        if uri.starts_with('/') && !uri.contains('\0') {
            return Ok(Self::Path(uri.into()));
        }
        let (scheme, rest) = uri.split_once(':').ok_or_else(no_path)?;
        let scheme = scheme.to_ascii_lowercase();
        if !["fifo", "file", "binary", "binary-v2"].contains(&scheme.as_str()) {
            return Err(refuse(format!("`{scheme}` is not fifo, file, binary or binary-v2")));
        }
        let (rest, query) = split_query(rest);
        let path = percent_decode_str(path_of(rest))
            .decode_utf8()
            .map_err(|_| refuse("its path is not UTF-8".into()))?;
        if !path.starts_with('/') || path.contains('\0') {
            return Err(no_path());
        }
        let path = PathBuf::from(path.as_ref());
        Ok(match scheme.as_str() {
            "fifo" => Self::Path(path),
            "file" => Self::File(path),
            _ => Self::Program(Program { path, args: arguments(query), announces: scheme == "binary-v2" }),
        })
    }
}

/// The part before the query, and the query; a fragment is dropped.
fn split_query(rest: &str) -> (&str, &str) {
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    rest.split_once('?').unwrap_or((rest, ""))
}

/// The path after an authority, which means nothing here: `//host/path` and `/path` are the same.
fn path_of(rest: &str) -> &str {
    rest.strip_prefix("//").map_or(rest, |rest| rest.find('/').map_or("", |at| &rest[at..]))
}

/// Go's `url.Values` keeps the order of a key's values, but not that of the keys; here they stay in order.
fn arguments(query: &str) -> Vec<String> {
    let mut args: Vec<String> = Vec::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if !args.iter().step_by(2).any(|seen| *seen == key) {
            args.extend([key.into_owned(), value.into_owned()]);
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(uri: &str) -> Program {
        match Target::parse("stdout", uri).unwrap() {
            Target::Program(program) => program,
            other => panic!("{uri}: {other:?}"),
        }
    }

    #[test]
    fn paths_and_schemes() {
        for (uri, target) in [
            ("", Target::Null),
            ("/run/a:b", Target::Path("/run/a:b".into())),
            ("fifo:///run/f", Target::Path("/run/f".into())),
            ("file:///var/log/a%20b", Target::File("/var/log/a b".into())),
            ("FILE:/var/log/a?x=y#z", Target::File("/var/log/a".into())),
        ] {
            assert_eq!(Target::parse("stdout", uri).unwrap(), target, "{uri}");
        }
    }

    #[test]
    fn each_key_gives_its_first_value() {
        let found = program("binary:///bin/log%67er?b=1&a=%2Fx+y&b=2&c");
        assert_eq!(found.path, PathBuf::from("/bin/logger"));
        assert_eq!(found.args, ["b", "1", "a", "/x y", "c", ""]);
        assert!(!found.announces && program("binary-v2:///bin/l").announces);
        assert_eq!(program("binary-v2:///bin/l").args, [""; 0]);
    }

    #[test]
    fn what_is_no_target_is_named() {
        for (uri, part) in [
            ("ttrpc+unix:///run/s?streaming_id=1", "`ttrpc+unix` is not fifo"),
            ("npipe://./pipe/x", "`npipe` is not fifo"),
            ("file://relative", "no absolute path"),
            ("binary:", "no absolute path"),
            ("file:///%ff", "not UTF-8"),
            ("file:///a%00b", "no absolute path"),
            // Found by `fuzz/run uri`: where such a path leads depends on the shim's working directory.
            ("fifo", "no absolute path"),
        ] {
            let message = Target::parse("stdout", uri).unwrap_err().to_string();
            assert!(message.contains(part) && message.contains(uri), "{message}");
        }
    }
}

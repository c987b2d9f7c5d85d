//! Programs that say something about themselves. None may hold the doctor up.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::finding::Finding;

/// How long a program may take. It needs milliseconds, but the machine may be in trouble.
const BOUND: Duration = Duration::from_secs(10);
/// Most that is read of what it says.
const MOST: usize = 1 << 20;

/// Why a program has said nothing.
#[derive(Debug)]
pub(super) enum Mute {
    /// It cannot be started.
    Unstarted(io::Error),
    /// It has not come to an end within [`BOUND`].
    Hangs,
    /// It has failed, with this status and these last words.
    Failed(ExitStatus, String),
}

impl Mute {
    /// As a check's result.
    pub(super) fn finding(&self, program: &Path) -> Finding {
        let name = program.display();
        let again = format!("run `{name} --version`; install it anew if it fails");
        match self {
            Self::Unstarted(e) if e.kind() == ErrorKind::PermissionDenied => {
                Finding::note(format!("{name} may not be run: {e}"), "run `mica doctor` as root")
            }
            Self::Unstarted(e) => Finding::warning(format!("{name} cannot be run: {e}"), again),
            Self::Hangs => Finding::warning(format!("{name} did not answer within {BOUND:?}"), again),
            Self::Failed(status, words) => {
                Finding::warning(format!("{name} failed ({status}): {words}"), again)
            }
        }
    }
}

/// Runs a program without input to its end, and gives what it writes to its outputs.
pub(super) fn run(program: &Path, arguments: &[&str]) -> Result<String, Mute> {
    let (mut output, end) = io::pipe().map_err(Mute::Unstarted)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(end.try_clone().map_err(Mute::Unstarted)?);
    // A group of its own: what it has started ends with it.
    let mut child = command.stdout(end).process_group(0).spawn().map_err(Mute::Unstarted)?;
    // With it go this process's writing ends.
    drop(command);
    let read = read_to_end(&mut output, Instant::now() + BOUND);
    if !matches!(read, Ok(Some(_))) {
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        // It may just have ended.
        let _ = killpg(group, Signal::SIGKILL);
    }
    let status = child.wait().map_err(Mute::Unstarted)?;
    let text = read.map_err(Mute::Unstarted)?.ok_or(Mute::Hangs)?;
    if status.success() {
        return Ok(text);
    }
    let words = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(Mute::Failed(status, words.to_owned()))
}

/// `None` if there is no end within the bound, or of the text.
fn read_to_end(output: &mut (impl Read + AsFd), deadline: Instant) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while bytes.len() < MOST {
        let left = deadline.saturating_duration_since(Instant::now());
        let bound = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let ready = poll(&mut [PollFd::new(output.as_fd(), PollFlags::POLLIN)], bound);
        match ready {
            Ok(0) => return Ok(None),
            Err(nix::errno::Errno::EINTR) => continue,
            other => other?,
        };
        match output.read(&mut chunk)? {
            0 => return Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            n => bytes.extend(&chunk[..n]),
        }
    }
    Ok(None)
}

/// A program in these directories.
pub(super) fn find(name: &str, search: Option<&OsStr>) -> Option<PathBuf> {
    let is_program = |data: Metadata| data.is_file() && data.permissions().mode() & 0o111 != 0;
    std::env::split_paths(search?)
        .map(|folder| folder.join(name))
        .find(|path| path.metadata().is_ok_and(is_program))
}

/// The first version in a text: numbers with points between them, as tuples compare.
pub(super) fn version(text: &str) -> Option<Version> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    words.into_iter().find_map(|word| Version::parse(word.trim_start_matches('v')))
}

/// A version's first three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32, pub(super) u32);

impl Version {
    fn parse(word: &str) -> Option<Self> {
        let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
        let mut numbers = word[..end].split('.').map(str::parse::<u32>);
        let (first, second) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        let third = numbers.next().and_then(Result::ok).unwrap_or_default();
        Some(Self(first, second, third))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_the_programs() {
        for (text, expected) in [
            ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", (1, 6, 20)),
            ("containerd github.com/containerd/containerd/v2 v2.1.4 75cb2b71", (2, 1, 4)),
            ("Docker version 20.10.24+dfsg1, build 297e128", (20, 10, 24)),
            ("crun version 1.8.1\ncommit: f8a096be", (1, 8, 1)),
            ("runc version 1.1.5+ds1\ncommit: 1.1.5", (1, 1, 5)),
            ("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)", (10, 0, 2)),
            ("6.12.48+deb13-amd64", (6, 12, 48)),
            ("6.1", (6, 1, 0)),
        ] {
            let (a, b, c) = expected;
            assert_eq!(version(text), Some(Version(a, b, c)), "{text}");
        }
        assert_eq!(version("no version 7"), None);
    }
}

//! Running a program to its end.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use crate::{isolation, wait};

/// What a program printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    command: String,
    /// Exit status, 128 + n when a signal ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Panics unless the program ended with status 0; answers its standard output.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.status, 0, "{self}");
        self.stdout
    }

    /// Panics unless the program failed; answers its standard error.
    #[track_caller]
    pub fn failure(self) -> String {
        assert_ne!(self.status, 0, "{self}");
        self.stderr
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "`{}` ended with status {}", self.command, self.status)?;
        write!(f, "stdout: {}\nstderr: {}", self.stdout, self.stderr)
    }
}

/// The exit status as a shell gives it.
pub(crate) fn shell_status(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// The command line for messages.
pub(crate) fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Waits for a child with a bound; a child that does not end is killed and fails the test.
pub(crate) fn wait_bounded(child: &mut Child, what: &str) -> i32 {
    let ended = wait::poll(|| child.try_wait().expect("waiting for a child works"));
    shell_status(ended.unwrap_or_else(|| {
        let _ = child.kill();
        panic!("`{what}` did not end within {} s", wait::LIMIT.as_secs())
    }))
}

/// Writes a shell script into the test's folder; answers its path.
pub fn script(name: &str, text: &str) -> PathBuf {
    let path = isolation::state_dir().join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}")).expect("the script can be written");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("the script can be made executable");
    path
}

/// Runs a program without input to its end.
pub fn run(command: &mut Command) -> Output {
    run_from(command.stdin(Stdio::null()))
}

/// Runs a program that reads this text to its end.
pub fn run_with_input(command: &mut Command, input: &str) -> Output {
    let (from, mut to) = io::pipe().expect("a pipe can be made");
    // Tests give less than a pipe holds: nobody has to read yet.
    to.write_all(input.as_bytes()).expect("the pipe has room");
    drop(to);
    run_from(command.stdin(from))
}

fn run_from(command: &mut Command) -> Output {
    let name = describe(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run `{name}`: {error}"));
    let stdout = collect(child.stdout.take().expect("stdout is a pipe"));
    let stderr = collect(child.stderr.take().expect("stderr is a pipe"));
    let status = wait_bounded(&mut child, &name);
    let text = |reader: JoinHandle<String>| reader.join().expect("the reader does not panic");
    Output { command: name, status, stdout: text(stdout), stderr: text(stderr) }
}

fn collect(mut source: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = source.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

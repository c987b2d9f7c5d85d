//! A dialogue with a program, through pipes or a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use nix::pty::{self, OpenptyResult, Winsize};
use nix::sys::signal::{self, Signal};
use nix::sys::termios::{self, LocalFlags, OutputFlags, SetArg};
use nix::unistd::Pid;

use crate::process::{self, describe, wait_bounded};
use crate::wait;

/// A running program: what it prints is kept whole, and looked through once, in order.
pub struct Console {
    name: String,
    child: Child,
    input: Option<File>,
    output: Arc<Stream>,
    errors: Arc<Stream>,
    seen: usize,
}

#[derive(Default)]
struct Stream {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    first: Option<Instant>,
    ended: bool,
}

impl Console {
    /// Starts a program with pipes.
    pub fn piped(command: &mut Command) -> Self {
        let name = describe(command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run `{name}`: {error}"));
        let input = child.stdin.take().map(|pipe| File::from(std::os::fd::OwnedFd::from(pipe)));
        let output = Stream::read(child.stdout.take().expect("stdout is a pipe"));
        let errors = Stream::read(child.stderr.take().expect("stderr is a pipe"));
        Self { name, child, input, output, errors, seen: 0 }
    }

    /// Starts a program on a terminal of 80 x 24, raw so that only the program decides what is echoed.
    pub fn terminal(command: &Command) -> Self {
        let name = describe(command);
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } =
            pty::openpty(Some(&size), None).expect("a terminal can be opened");
        let mut modes = termios::tcgetattr(&slave).expect("a terminal has modes");
        termios::cfmakeraw(&mut modes);
        // ctr turns output processing on again: with this off, what arrives is still what was written.
        modes.output_flags.remove(OutputFlags::ONLCR);
        termios::tcsetattr(&slave, SetArg::TCSANOW, &modes).expect("a terminal can be made raw");
        // setsid(1) makes it the controlling terminal, so that a change of size is signalled.
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        let child = session
            .stdin(slave.try_clone().expect("a descriptor can be shared"))
            .stdout(slave.try_clone().expect("a descriptor can be shared"))
            .stderr(slave)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run `{name}`: {error}"));
        drop(session);
        let input = File::from(master.try_clone().expect("a descriptor can be shared"));
        let output = Stream::read(File::from(master));
        Self { name, child, input: Some(input), output, errors: Arc::default(), seen: 0 }
    }

    /// Writes to the program's input.
    pub fn send(&mut self, text: &str) {
        let input = self.input.as_mut().expect("the input is still open");
        input
            .write_all(text.as_bytes())
            .unwrap_or_else(|error| panic!("writing to `{}`: {error}", self.name));
    }

    /// Gives the program's terminal another size.
    pub fn resize(&self, rows: u16, columns: u16) {
        let terminal = self.input.as_ref().expect("the terminal is open").try_clone();
        let size = ["rows", &rows.to_string(), "cols", &columns.to_string()].map(ToString::to_string);
        let mut stty = Command::new("stty");
        stty.args(size).stdin(terminal.expect("a descriptor can be shared"));
        assert!(stty.status().expect("stty runs").success());
    }

    /// Whether the program's terminal shows what is typed.
    pub fn echoes(&self) -> bool {
        let terminal = self.input.as_ref().expect("the terminal is open");
        let modes = termios::tcgetattr(terminal).expect("a terminal has modes");
        modes.local_flags.contains(LocalFlags::ECHO)
    }

    /// Changes the terminal's size until the change `has_arrived`: ctr looks at the size first and listens for changes
    /// then, and one in between is lost.
    pub fn resize_until(&self, rows: u16, columns: u16, has_arrived: impl Fn() -> bool) {
        wait::until("the new size arrives", || {
            self.resize(rows, columns - 1);
            self.resize(rows, columns);
            has_arrived().then_some(())
        });
    }

    /// Ends the program's input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Waits until `text` has come after what was expected before; answers what came up to its end.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let found = self.output.wait_for(|bytes, _| {
            let rest = bytes.get(self.seen..)?;
            let at = rest.windows(text.len()).position(|window| window == text.as_bytes())?;
            Some(self.seen + at + text.len())
        });
        let Some(end) = found else {
            panic!(
                "`{}` did not print {text:?}; it printed {:?}{}",
                self.name,
                self.output(),
                self.error_text()
            )
        };
        let passed = String::from_utf8_lossy(&self.output.bytes()[self.seen..end]).into_owned();
        self.seen = end;
        passed
    }

    /// Waits until the program has ended and its output with it; answers its exit status.
    pub fn wait(&mut self) -> i32 {
        let status = wait_bounded(&mut self.child, &self.name);
        let ended = self.output.wait_for(|_, ended| ended.then_some(()));
        assert!(ended.is_some(), "`{}` ended, but its output is still open", self.name);
        status
    }

    /// When its first byte arrived, if one has.
    pub fn first_byte(&self) -> Option<Instant> {
        self.output.state.lock().expect("no holder panics").first
    }

    /// All it has printed.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.bytes()).into_owned()
    }

    /// All it has printed on standard error (nothing on a terminal, where all is output).
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.errors.bytes()).into_owned()
    }

    /// Signals the program.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("process ids fit");
        signal::kill(Pid::from_raw(pid), signal).expect("the program runs");
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stream {
    fn read(mut source: impl Read + Send + 'static) -> Arc<Self> {
        let stream = Arc::new(Self::default());
        let target = Arc::clone(&stream);
        thread::spawn(move || {
            let mut buffer = [0; 8 * 1024];
            // A terminal whose last user is gone answers EIO: an end, too.
            while let Ok(length @ 1..) = source.read(&mut buffer) {
                target.update(|state| {
                    state.first.get_or_insert_with(Instant::now);
                    state.bytes.extend_from_slice(&buffer[..length]);
                });
            }
            target.update(|state| state.ended = true);
        });
        stream
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().expect("no holder panics"));
        self.changed.notify_all();
    }

    fn bytes(&self) -> Vec<u8> {
        self.state.lock().expect("no holder panics").bytes.clone()
    }

    /// Looks at what has come, again after each change; `None` when the bound has passed or no more can come.
    fn wait_for<T>(&self, mut probe: impl FnMut(&[u8], bool) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + wait::LIMIT;
        let mut state = self.state.lock().expect("no holder panics");
        loop {
            if let Some(answer) = probe(&state.bytes, state.ended) {
                return Some(answer);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self.changed.wait_timeout(state, left).expect("no holder panics").0;
        }
    }
}

/// The size of a terminal, as `ROWS COLUMNS`.
pub fn terminal_size(device: impl AsRef<Path>) -> String {
    let mut stty = Command::new("stty");
    stty.arg("--file").arg(device.as_ref()).arg("size");
    process::run(&mut stty).success().trim().to_owned()
}

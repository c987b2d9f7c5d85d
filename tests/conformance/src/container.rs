//! A container of a case.

use std::cell::RefCell;
use std::time::Duration;

use containerd_shim_protos::api::{CreateTaskRequest, Status};
use containerd_shim_protos::ttrpc::Code;
use nix::libc::SIGKILL;

use crate::Stage;
use crate::bundle::Bundle;
use crate::fifo::{Reader, Stdio};
use crate::shim::Shim;
use crate::task::{Task, code_of};

/// A container: its bundle, its streams and a connection to its shim.
pub struct Container<'a> {
    stage: &'a Stage,
    /// Its bundle.
    pub bundle: Bundle,
    /// Its shim.
    pub shim: Shim,
    /// A connection to that.
    pub task: Task,
    stdio: RefCell<Stdio>,
}

impl<'a> Container<'a> {
    /// One that is not created yet.
    pub fn new(stage: &'a Stage, bundle: Bundle, shim: Shim) -> Self {
        let connection = shim.connect();
        let stdio = RefCell::new(Stdio::make(format!("/run/containerd/fifo/{}", bundle.id).into()));
        Self { stage, bundle, shim, task: connection, stdio }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.bundle.id
    }

    /// The Create request with its streams.
    pub fn request(&self) -> CreateTaskRequest {
        let stdio = self.stdio.borrow();
        let [stdin, stdout, stderr] = ["stdin", "stdout", "stderr"].map(|name| stdio.path(name));
        CreateTaskRequest { stdin, stdout, stderr, ..self.bundle.request() }
    }

    /// Creates the task; answers its process id.
    #[track_caller]
    pub fn create(&self) -> u32 {
        self.task.create(&self.request()).unwrap_or_else(|error| panic!("Create: {error}")).pid
    }

    /// Starts it; answers its process id.
    #[track_caller]
    pub fn start(&self) -> u32 {
        self.task.start(self.id()).unwrap_or_else(|error| panic!("Start: {error}")).pid
    }

    /// What State says.
    #[track_caller]
    pub fn status(&self) -> Status {
        let state = self.task.state(self.id()).unwrap_or_else(|error| panic!("State: {error}"));
        state.status.enum_value().expect("the status is a known one")
    }

    /// Sends a signal.
    #[track_caller]
    pub fn kill(&self, signal: i32) {
        let signal = signal.unsigned_abs();
        self.task.kill(self.id(), signal).unwrap_or_else(|error| panic!("Kill {signal}: {error}"));
    }

    /// Waits for the end; answers the exit status.
    #[track_caller]
    pub fn wait(&self) -> u32 {
        self.task.wait(self.id()).unwrap_or_else(|error| panic!("Wait: {error}")).exit_status
    }

    /// Deletes it; answers the exit status.
    #[track_caller]
    pub fn delete(&self) -> u32 {
        self.task.delete(self.id()).unwrap_or_else(|error| panic!("Delete: {error}")).exit_status
    }

    /// Kills it, waits and deletes it; answers the exit status.
    #[track_caller]
    pub fn end(&self) -> u32 {
        self.kill(SIGKILL);
        self.wait();
        self.delete()
    }

    /// Types a line.
    pub fn say(&self, command: &str) {
        let line = format!("{command}{}", self.stage.subject.enter());
        self.stdio.borrow_mut().send(&line);
    }

    /// Streams for another task of this id, as containerd makes them.
    pub fn renew_streams(&self) {
        *self.stdio.borrow_mut() = Stdio::make(format!("/run/containerd/fifo/{}-again", self.id()).into());
    }

    /// Goes away as the writer of stdin.
    pub fn close_stdin(&self) {
        self.stdio.borrow_mut().close_stdin();
    }

    /// The path of a stream.
    pub fn stream(&self, name: &str) -> String {
        self.stdio.borrow().path(name)
    }

    /// What it prints.
    pub fn stdout(&self) -> Reader {
        self.stdio.borrow().stdout.clone()
    }

    /// What it prints to stderr.
    pub fn stderr(&self) -> Reader {
        self.stdio.borrow().stderr.clone()
    }

    /// Asserts that it lives: it answers what is typed.
    #[track_caller]
    pub fn assert_answers(&self, word: &str) {
        assert_eq!(self.status(), Status::RUNNING);
        self.say(&format!("echo is {word}"));
        self.stdout().expect_line(&format!("is {word}"));
    }

    /// Asserts that the shim knows nothing of it.
    #[track_caller]
    pub fn assert_unknown(&self) {
        assert_eq!(code_of(&self.task.state(self.id())), Code::NOT_FOUND);
    }

    /// Whether the end comes within a time. Answers the exit status.
    pub fn ends_within(&self, limit: Duration) -> Option<u32> {
        self.task.within(limit).wait(self.id()).ok().map(|exit| exit.exit_status)
    }
}

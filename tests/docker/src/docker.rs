//! The command `docker`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::{Console, Output, isolation, process, wait};
use serde_json::Value;

/// Where Docker's daemon listens.
const SOCKET: &str = "/run/docker.sock";

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(isolation::state_dir().join("docker"));
    command.args(args);
    command
}

/// Runs it to its end, without input.
pub fn docker(args: &[&str]) -> Output {
    process::run(&mut command(args))
}

/// Starts it with pipes to talk through.
pub fn docker_piped(args: &[&str]) -> Console {
    Console::piped(&mut command(args))
}

/// Starts it on a terminal.
pub fn docker_terminal(args: &[&str]) -> Console {
    Console::terminal(&command(args))
}

/// A container in the background.
pub struct Running(String);

/// Starts the demo in the background under this name, with more options.
#[track_caller]
pub fn run_detached(name: &str, options: &[&str]) -> Running {
    let args = [&["run", "--detach", "--runtime", MICA, "--name", name], options, &[DEMO]].concat();
    docker(&args).success();
    Running(name.to_owned())
}

impl Running {
    /// What `docker inspect` says in answer to a template of Go.
    #[track_caller]
    pub fn inspect(&self, template: &str) -> String {
        docker(&["inspect", "--format", template, &self.0]).success().trim_end().to_owned()
    }

    /// `running`, `exited` ...
    #[track_caller]
    pub fn state(&self) -> String {
        self.inspect("{{.State.Status}}")
    }

    /// Waits for an answer to a template.
    #[track_caller]
    pub fn becomes(&self, template: &str, answer: &str) {
        wait::until(&format!("{template} of {} is {answer}", self.0), || {
            (self.inspect(template) == answer).then_some(())
        });
    }

    /// Waits until its log has a text so many times.
    #[track_caller]
    pub fn logs(&self, text: &str, times: usize) {
        wait::until(&format!("{text:?} is in the log of {}", self.0), || {
            let log = docker(&["logs", &self.0]).success();
            (log.matches(text).count() == times).then_some(())
        });
    }

    /// What `docker stats` is made of: Docker's own answer, in which numbers are not rounded.
    #[track_caller]
    pub fn stats(&self) -> Value {
        let mut socket = UnixStream::connect(SOCKET).expect("Docker listens");
        let path = format!("/containers/{}/stats?stream=false&one-shot=true", self.0);
        write!(socket, "GET {path} HTTP/1.0\r\n\r\n").expect("Docker reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("Docker answers");
        let (_, document) = answer.split_once("\r\n\r\n").expect("an answer has a body");
        serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// Ends it by force.
    #[track_caller]
    pub fn remove(self) {
        docker(&["rm", "--force", &self.0]).success();
    }
}

//! What a case plays on: the events server, the shim's daemons, and ways to make containers.

use std::any::Any;
use std::path::PathBuf;
use std::process::{Command, Output};

use containerd_shim_protos::ttrpc::{self, Code};
use micrun_host_tests::isolation;

use crate::Subject;
use crate::bundle::Bundle;
use crate::container::Container;
use crate::events::EventsServer;
use crate::fifo::Reader;
use crate::reply::Reply;
use crate::shim::{self, Invocation, Shim};
use crate::subject::Program;
use crate::task::code_of;

/// The annotation by which a container joins a group, that is, a shim (containerd's `runc` shim, `manager`).
pub const GROUP: &str = "io.containerd.runc.v2.group";

/// A stage.
pub struct Stage {
    /// The shim on it.
    pub subject: &'static dyn Subject,
    /// containerd's ear.
    pub events: EventsServer,
    /// containerd's namespace.
    pub namespace: String,
    _daemons: Box<dyn Any>,
}

impl Stage {
    /// Sets it up. Panics outside of `tests/host/isolated`.
    pub fn new(subject: &'static dyn Subject) -> Self {
        isolation::require();
        std::fs::create_dir_all(isolation::state_dir()).expect("/run is private and writable");
        std::fs::create_dir_all("/run/containerd").expect("/run is private and writable");
        let events = EventsServer::start(PathBuf::from("/run/containerd/containerd.sock.ttrpc"));
        let namespace = isolation::containerd_namespace();
        Self { subject, events, namespace, _daemons: subject.daemons() }
    }

    /// A bundle of a container that runs the shell.
    pub fn bundle(&self, id: &str) -> Bundle {
        self.bundle_of(id, Program::Shell, &[])
    }

    /// A bundle.
    pub fn bundle_of(&self, id: &str, program: Program, annotations: &[(&str, &str)]) -> Bundle {
        Bundle::make(self.subject, id, program, annotations)
    }

    /// The shim's binary with containerd's flags and environment, to run in a bundle.
    pub fn command(&self, id: &str, invocation: &Invocation, action: &[&str]) -> Command {
        let mut command = Command::new(self.subject.shim());
        command
            .args(["-namespace", &self.namespace, "-address", "/run/containerd/containerd.sock"])
            .args(["-publish-binary", "/usr/bin/containerd", "-id", id])
            .args(&invocation.flags)
            .args(action)
            .env("TTRPC_ADDRESS", self.events.address())
            .env("GRPC_ADDRESS", "/run/containerd/containerd.sock")
            .env("NAMESPACE", &self.namespace)
            .env("GOMAXPROCS", "2");
        for (name, value) in &invocation.environment {
            if value.is_empty() {
                command.env_remove(name);
            } else {
                command.env(name, value);
            }
        }
        command
    }

    /// Runs `start`.
    pub fn start(&self, bundle: &Bundle, invocation: &Invocation) -> Output {
        shim::run(&mut self.command(&bundle.id, invocation, &["start"]), &bundle.path, &invocation.stdin)
    }

    /// Runs `start`, which must succeed and say nothing but its reply.
    #[track_caller]
    pub fn launch_as(&self, bundle: &Bundle, invocation: &Invocation) -> Shim {
        let log = Reader::of(&bundle.path.join("log"));
        let output = self.start(bundle, invocation);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "`start` failed: {stderr}");
        assert_eq!(stderr, "", "containerd merges stderr into the reply");
        Shim { reply: Reply::parse(&output.stdout), bundle: bundle.path.clone(), log }
    }

    /// Runs `start` as the oldest containerd does.
    #[track_caller]
    pub fn launch(&self, bundle: &Bundle) -> Shim {
        self.launch_as(bundle, &Invocation::default())
    }

    /// Runs `delete` as containerd does: in the bundle, and naming it.
    pub fn delete(&self, bundle: &Bundle) -> Output {
        let path = bundle.path.to_str().expect("UTF-8");
        let action = ["-bundle", path, "delete"];
        shim::run(&mut self.command(&bundle.id, &Invocation::default(), &action), &bundle.path, b"")
    }

    /// A created container with a shell and a shim of its own.
    #[track_caller]
    pub fn create(&self, id: &str) -> Container<'_> {
        self.create_of(id, Program::Shell, &[])
    }

    /// A created container.
    #[track_caller]
    pub fn create_of(&self, id: &str, program: Program, annotations: &[(&str, &str)]) -> Container<'_> {
        let bundle = self.bundle_of(id, program, annotations);
        let shim = self.launch(&bundle);
        let container = Container::new(self, bundle, shim);
        container.create();
        container
    }

    /// A running container with a shell and a shim of its own.
    #[track_caller]
    pub fn run(&self, id: &str) -> Container<'_> {
        let container = self.create(id);
        container.start();
        container
    }

    /// Asserts that a request was refused with a code; see [`Subject::exact_codes`].
    #[track_caller]
    pub fn refused<T: std::fmt::Debug>(&self, answer: &ttrpc::Result<T>, code: Code, what: &str) {
        let found = code_of(answer);
        let passable = found == code || (!self.subject.exact_codes() && found == Code::UNKNOWN);
        assert!(passable, "{what}: {code:?} expected, but {answer:?}");
    }
}

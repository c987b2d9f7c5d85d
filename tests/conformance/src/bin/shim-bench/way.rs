//! The ways of running a container that are compared.

use std::any::Any as Daemons;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci::Options;
use serde_json::Value;
use shim_conformance::bundle::Bundle;
use shim_conformance::container::Container;
use shim_conformance::shim::{Invocation, Shim};
use shim_conformance::subject::Program;
use shim_conformance::subjects::{Linux, Mica, Runc};
use shim_conformance::{Stage, Subject};

/// The type of `Options`, as containerd names it.
const OPTIONS: &str = "containerd.runc.v1.Options";

/// A shim and what it runs.
pub(crate) struct Way {
    /// Its column.
    pub(crate) name: String,
    /// Programs that run beside the shim for the container.
    pub(crate) helpers: &'static [&'static str],
    subject: &'static dyn Subject,
    /// The OCI runtime, where the shim does not take crun by itself.
    binary: Option<&'static str>,
    /// What its shim finds in its environment beside what containerd puts there.
    environment: &'static [(&'static str, &'static str)],
}

/// Somebody else's shim.
#[derive(Clone)]
pub(crate) struct Peer {
    name: String,
    program: PathBuf,
}

/// `NAME=PROGRAM`.
impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, program) = text.split_once('=').ok_or("a peer is NAME=PROGRAM")?;
        Ok(Self { name: name.into(), program: program.into() })
    }
}

/// What the oracle runs.
impl Subject for Peer {
    fn name(&self) -> &'static str {
        Runc.name()
    }

    fn shim(&self) -> PathBuf {
        self.program.clone()
    }

    fn daemons(&self) -> Box<dyn Daemons> {
        Runc.daemons()
    }

    fn fill(&self, rootfs: &Path, program: Program) -> Value {
        Runc.fill(rootfs, program)
    }

    fn terminal(&self, id: &str, pid: u32) -> PathBuf {
        Runc.terminal(id, pid)
    }

    fn enter(&self) -> &'static str {
        Runc.enter()
    }

    fn exact_codes(&self) -> bool {
        Runc.exact_codes()
    }
}

/// All ways: the peers, or containerd's own shim if there are none, then ours. All with crun run the very same container.
pub(crate) fn all(peers: &[Peer]) -> Vec<Way> {
    let peer = |peer: &Peer| {
        // It is there as long as the program.
        let subject: &'static Peer = Box::leak(Box::new(peer.clone()));
        let name = format!("{} with crun", peer.name);
        Way { name, helpers: &[], subject, binary: Some("/usr/bin/crun"), environment: &[] }
    };
    let oracle = [Peer { name: "runc-v2".into(), program: Runc.shim() }];
    let peers = if peers.is_empty() { &oracle } else { peers };
    peers.iter().map(peer).chain([Way::linux(), Way::freertos()]).collect()
}

impl Way {
    /// A Linux container.
    pub(crate) fn linux() -> Self {
        let name = "mica with crun".into();
        Self { name, helpers: &[], subject: &Linux, binary: None, environment: &[] }
    }

    /// Firmware.
    pub(crate) fn freertos() -> Self {
        let helpers = &["micad", "qemu-system-aarch64"];
        Self { name: "mica, FreeRTOS".into(), helpers, subject: &Mica, binary: None, environment: &[] }
    }

    /// The same with what makes its shim send traces, and how many.
    pub(crate) fn traced(self, share: &str, environment: &'static [(&'static str, &'static str)]) -> Self {
        Self { name: format!("{}, {share}", self.name), environment, ..self }
    }

    /// The file name of its shim.
    pub(crate) fn shim(&self) -> String {
        let program = self.subject.shim();
        program.file_name().expect("a program has a name").to_string_lossy().into_owned()
    }

    /// All its programs, the shim first.
    pub(crate) fn programs(&self) -> Vec<String> {
        let helpers = self.helpers.iter().map(|name| (*name).to_owned());
        [self.shim()].into_iter().chain(helpers).collect()
    }

    /// Lets the stage make this way's containers.
    pub(crate) fn enter(&self, stage: &mut Stage) {
        stage.subject = self.subject;
    }

    /// Creates it.
    pub(crate) fn create(&self, container: &Container<'_>) {
        let mut request = container.request();
        if let Some(binary) = self.binary {
            let options = Options { binary_name: binary.into(), ..Default::default() };
            let value = options.write_to_bytes().expect("options can be encoded");
            request.options = Some(Any { type_url: OPTIONS.into(), value, ..Default::default() }).into();
        }
        container.task.create(&request).unwrap_or_else(|error| panic!("{}: Create: {error}", self.name));
    }

    /// Starts a shim for a container, which is not created yet.
    pub(crate) fn launch<'a>(&self, stage: &'a Stage, annotations: &[(&str, &str)]) -> Container<'a> {
        let bundle = stage.bundle_of(&fresh_id(), Program::Shell, annotations);
        let shim = self.launch_in(stage, &bundle);
        Container::new(stage, bundle, shim)
    }

    /// Starts a shim in that bundle.
    pub(crate) fn launch_in(&self, stage: &Stage, bundle: &Bundle) -> Shim {
        let with =
            |invocation: Invocation, (name, value): &(&'static str, &str)| invocation.with(name, value);
        stage.launch_as(bundle, &self.environment.iter().fold(Invocation::default(), with))
    }

    /// Runs a container with a shell, which has answered.
    pub(crate) fn run<'a>(&self, stage: &'a Stage, annotations: &[(&str, &str)]) -> Container<'a> {
        let container = self.launch(stage, annotations);
        self.create(&container);
        container.start();
        container.assert_answers("up");
        container
    }
}

/// An id that no other container has.
pub(crate) fn fresh_id() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("bench-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

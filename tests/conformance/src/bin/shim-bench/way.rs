//! The ways of running a container that are compared.

use std::sync::atomic::{AtomicUsize, Ordering};

use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci::Options;
use shim_conformance::container::Container;
use shim_conformance::subject::Program;
use shim_conformance::subjects::{Linux, Mica, Runc};
use shim_conformance::{Stage, Subject};

/// The type of `Options`, as containerd names it.
const OPTIONS: &str = "containerd.runc.v1.Options";

/// A shim and what it runs.
pub(crate) struct Way {
    /// Its row.
    pub(crate) name: &'static str,
    /// The shim's binary.
    pub(crate) shim: &'static str,
    /// Programs that run beside it for the container.
    pub(crate) helpers: &'static [&'static str],
    subject: &'static dyn Subject,
    /// The OCI runtime, where the shim does not take crun by itself.
    binary: Option<&'static str>,
}

/// All ways. Those with crun run the very same container.
pub(crate) const WAYS: [Way; 3] = [
    Way {
        name: "runc-v2 with crun",
        shim: "containerd-shim-runc-v2",
        helpers: &[],
        subject: &Runc,
        binary: Some("/usr/bin/crun"),
    },
    Way {
        name: "mica with crun",
        shim: "containerd-shim-mica-v2",
        helpers: &[],
        subject: &Linux,
        binary: None,
    },
    FREERTOS,
];

/// Firmware.
pub(crate) const FREERTOS: Way = Way {
    name: "mica, FreeRTOS",
    shim: "containerd-shim-mica-v2",
    helpers: &["micad", "qemu-system-aarch64"],
    subject: &Mica,
    binary: None,
};

impl Way {
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
}

/// Starts a shim for a container, which is not created yet.
pub(crate) fn launch<'a>(stage: &'a Stage, annotations: &[(&str, &str)]) -> Container<'a> {
    let bundle = stage.bundle_of(&fresh_id(), Program::Shell, annotations);
    let shim = stage.launch(&bundle);
    Container::new(stage, bundle, shim)
}

/// An id that no other container has.
pub(crate) fn fresh_id() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("bench-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

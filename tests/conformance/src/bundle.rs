//! An OCI bundle as containerd makes it.

use std::fs;
use std::path::{Path, PathBuf};

use containerd_shim_protos::api::CreateTaskRequest;
use micrun_host_tests::isolation;
use serde_json::{Value, json};

use crate::Subject;
use crate::fifo;
use crate::subject::Program;

/// Where containerd has the bundles of shims.
const BUNDLES: &str = "/run/containerd/io.containerd.runtime.v2.task";

/// A bundle.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The container's id.
    pub id: String,
    /// The directory.
    pub path: PathBuf,
}

impl Bundle {
    /// Makes one with a log FIFO, a filled root file system and a `config.json`.
    pub fn make(subject: &dyn Subject, id: &str, program: Program, annotations: &[(&str, &str)]) -> Self {
        let bundle = Self::empty(id);
        let rootfs = bundle.path.join("rootfs");
        let mut spec = subject.fill(&rootfs, program);
        spec["root"] = json!({"path": "rootfs"});
        spec["annotations"] = annotations.iter().map(|(key, value)| (*key, *value)).collect();
        // Control groups are the whole machine's: only this path keeps runs that go on at once apart.
        if let Some(linux) = spec.get_mut("linux") {
            linux["cgroupsPath"] = format!("/{}/{id}", isolation::containerd_namespace()).into();
        }
        fs::write(bundle.path.join("config.json"), spec.to_string()).expect("the bundle can be written");
        bundle
    }

    /// The same with a terminal.
    #[must_use]
    pub fn on_a_terminal(self) -> Self {
        self.with(|spec| {
            if let Some(process) = spec.get_mut("process") {
                process["terminal"] = true.into();
            }
        })
    }

    /// The same with another `config.json`.
    #[must_use]
    pub fn with(self, change: impl FnOnce(&mut Value)) -> Self {
        let path = self.path.join("config.json");
        let mut spec = serde_json::from_slice(&fs::read(&path).expect("it is there")).expect("it is JSON");
        change(&mut spec);
        fs::write(path, spec.to_string()).expect("the bundle can be written");
        self
    }

    /// Makes one that holds a log FIFO and nothing else.
    pub fn empty(id: &str) -> Self {
        let path = Path::new(BUNDLES).join(isolation::containerd_namespace()).join(id);
        fs::create_dir_all(&path).expect("the bundle can be made");
        fifo::make(&path.join("log"));
        Self { id: id.to_owned(), path }
    }

    /// A Create request without streams.
    pub fn request(&self) -> CreateTaskRequest {
        let mut request = CreateTaskRequest::new();
        request.id.clone_from(&self.id);
        request.bundle = self.path.display().to_string();
        request
    }
}

//! What the shim reads of an OCI bundle.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::oci::resources::Resources;

/// Annotations that name the group (pod) a container belongs to, in the order of containerd's Go shim, then
/// CRI-O's.
const GROUP_ANNOTATIONS: [&str; 3] =
    ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"];

/// Annotations that say what a container is to its pod: containerd's, then CRI-O's.
const SANDBOX_ANNOTATIONS: [&str; 2] =
    ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"];

/// The part of `config.json` that decides how a firmware runs (OCI runtime-spec, `config.md`).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Spec {
    /// Annotations of the container.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Root file system.
    #[serde(default)]
    pub root: Root,
    /// What concerns Linux.
    #[serde(default)]
    pub linux: Linux,
    /// Everything else.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// `linux` of the spec.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Linux {
    /// Where the container's cgroup belongs.
    pub cgroups_path: String,
    /// Its limits.
    pub resources: Resources,
    /// Its namespaces.
    pub namespaces: Vec<Namespace>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// One of `linux.namespaces`.
#[derive(Debug, Deserialize)]
pub(crate) struct Namespace {
    /// `pid`, `network` ...
    #[serde(rename = "type")]
    pub kind: String,
    /// An existing one to join; empty is a new one.
    #[serde(default)]
    pub path: String,
}

/// `root` of the spec.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Root {
    /// Absolute, or relative to the bundle.
    #[serde(default)]
    pub path: PathBuf,
}

impl Spec {
    /// Reads `config.json` in `bundle`.
    pub(crate) fn read(bundle: &Path) -> Result<Self> {
        let path = bundle.join("config.json");
        let text = std::fs::read(&path).map_err(Error::io("read", &path))?;
        serde_json::from_slice(&text).map_err(|source| Error::Json { path, source })
    }

    /// The same, if it is there.
    pub(crate) fn read_if_there(bundle: &Path) -> Result<Option<Self>> {
        match Self::read(bundle) {
            Ok(spec) => Ok(Some(spec)),
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The id of the pod this container belongs to, if it is in one.
    pub(crate) fn group(&self) -> Option<&str> {
        GROUP_ANNOTATIONS.iter().find_map(|key| self.annotations.get(*key)).map(String::as_str)
    }

    /// Whether it is the sandbox of a pod: the container that only holds what the others share.
    pub(crate) fn is_sandbox(&self) -> bool {
        let kind = SANDBOX_ANNOTATIONS.iter().find_map(|key| self.annotations.get(*key));
        kind.is_some_and(|kind| kind == "sandbox")
    }

    /// Whether its processes see a PID namespace of their own, which ends with the first of them.
    pub(crate) fn has_private_pids(&self) -> bool {
        self.linux.namespaces.iter().any(|namespace| namespace.kind == "pid" && namespace.path.is_empty())
    }

    /// Whether its network is to be a new one, which whoever asks finds by the container's process id.
    pub(crate) fn has_new_network(&self) -> bool {
        self.linux.namespaces.iter().any(|namespace| namespace.kind == "network" && namespace.path.is_empty())
    }

    /// The root file system's directory; `rootfs` in the bundle unless the spec says otherwise.
    pub(crate) fn rootfs(&self, bundle: &Path) -> PathBuf {
        let path = &self.root.path;
        bundle.join(if path.as_os_str().is_empty() { Path::new("rootfs") } else { path })
    }
}

//! What the shim reads of an OCI bundle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::resources::Resources;

/// Annotations that name the group (pod) a container belongs to, in the order of containerd's Go shim, then
/// CRI-O's.
const GROUP_ANNOTATIONS: [&str; 3] =
    ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"];

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
}

/// `linux` of the spec.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Linux {
    /// Where the container's cgroup belongs.
    pub cgroups_path: String,
    /// Its limits.
    pub resources: Resources,
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

    /// The id of the pod this container belongs to, if it is in one.
    pub(crate) fn group(&self) -> Option<&str> {
        GROUP_ANNOTATIONS.iter().find_map(|key| self.annotations.get(*key)).map(String::as_str)
    }

    /// The root file system's directory; `rootfs` in the bundle unless the spec says otherwise.
    pub(crate) fn rootfs(&self, bundle: &Path) -> PathBuf {
        let path = &self.root.path;
        bundle.join(if path.as_os_str().is_empty() { Path::new("rootfs") } else { path })
    }
}

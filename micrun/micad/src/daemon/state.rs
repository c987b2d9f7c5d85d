//! What the daemon remembers of a client: `clients/<name>/state.json`.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libmica::CreateMessage;
use libmica::ext::{ExitReport, Labels};
use micrun_firmware::client_conf::QemuSection;
use micrun_firmware::{Sha256Digest, memory_file};
use micrun_trace::Current;
use serde::{Deserialize, Serialize};

use super::vigil::Vigil;
use crate::error::file;
use crate::pedestal::ClientSpec;
use crate::{Error, Result};

/// Version of the file's format.
const VERSION: u32 = 1;
const FILE: &str = "state.json";

/// The file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedClient {
    version: u32,
    create: Create,
    /// Absent in the file of a daemon that read the client's conf file at each start.
    #[serde(default)]
    qemu: Option<QemuSection>,
    slot: u32,
    tty_link: PathBuf,
    #[serde(default)]
    shell_link: Option<PathBuf>,
    /// The pedestal's own words on the current run, or on the last one if `exit` is there.
    pub(super) run: Option<serde_json::Value>,
    #[serde(flatten)]
    pub(super) past: Past,
}

/// What was with a client's runs until now.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Past {
    /// How the last run ended.
    pub(super) exit: Option<ExitReport>,
    /// The digest of the firmware that the state was patched to from which the run went on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) restored_patch: Option<String>,
    /// How many there were. An earlier daemon has not counted.
    #[serde(default)]
    pub(super) starts: u64,
    /// When the last one began: RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) began_at: Option<String>,
    /// Whether it was given cgroups, which count what it uses.
    #[serde(default)]
    pub(super) in_cgroup: bool,
    /// How it is watched over.
    #[serde(default)]
    pub(super) vigil: Vigil,
    /// What the log says of it.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub(super) labels: Labels,
    /// How long it may take, if it was asked to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) patience: Option<Duration>,
}

/// [`CreateMessage`], field by field.
#[derive(Debug, Serialize, Deserialize)]
#[serde(remote = "CreateMessage")]
struct CreateFields {
    name: String,
    path: PathBuf,
    pedestal: String,
    pedestal_conf: PathBuf,
    debug: bool,
    cpu: String,
    vcpus: i32,
    max_vcpus: i32,
    cpu_weight: i32,
    cpu_capacity: i32,
    memory: i32,
    max_memory: i32,
    iomem: String,
    network: String,
}

/// A create message as a document.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Create(#[serde(with = "CreateFields")] pub(super) CreateMessage);

impl SavedClient {
    /// What to write for this client.
    pub(super) fn new(spec: &ClientSpec, run: Option<serde_json::Value>, past: Past) -> Self {
        let (create, qemu) = (Create(spec.message.clone()), Some(spec.qemu.clone()));
        let (tty_link, shell_link) = (spec.tty_link.clone(), spec.shell_link.clone());
        Self { version: VERSION, create, qemu, slot: spec.slot, tty_link, shell_link, run, past }
    }

    /// Writes the file, whole or not at all.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let (path, new) = (dir.join(FILE), dir.join("state.json.new"));
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::Config { path: path.clone(), problem: e.to_string() })?;
        let opened =
            std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new);
        opened.and_then(|mut f| f.write_all(&text)).map_err(file("write", &new))?;
        std::fs::rename(&new, &path).map_err(file("replace", &path))
    }

    /// Reads the file of the client whose directory is `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let text = std::fs::read(&path).map_err(file("read", &path))?;
        let wrong = |problem: String| Error::Config { path: path.clone(), problem };
        let saved: Self = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
        if saved.version != VERSION {
            let found = saved.version;
            return Err(wrong(format!("version {found}, but this micad writes version {VERSION}")));
        }
        libmica::names::validate(&saved.create.0.name)?;
        Ok(saved)
    }

    /// What the client was created with.
    pub(super) fn message(&self) -> &CreateMessage {
        &self.create.0
    }

    /// The client it describes; `read_conf` gives its machine if the file does not.
    pub(super) fn spec(&self, dir: &Path, read_conf: impl FnOnce() -> QemuSection) -> ClientSpec {
        ClientSpec {
            message: self.create.0.clone(),
            qemu: self.qemu.clone().unwrap_or_else(read_conf),
            slot: self.slot,
            dir: dir.to_owned(),
            tty_link: self.tty_link.clone(),
            shell_link: self.shell_link.clone(),
        }
    }
}

/// The digest in a memory file that came with a restore. Reading one that is sealed never waits.
pub(super) fn restored_patch(file: File) -> Result<String> {
    const MAX_DIGEST: u64 = 100;
    let text = sealed(file, MAX_DIGEST)
        .ok_or(Error::RestoredPatch("it came as a file that somebody could change"))?;
    let digest = String::from_utf8(text).ok().and_then(|text| text.parse::<Sha256Digest>().ok());
    digest.map(|it| it.to_string()).ok_or(Error::RestoredPatch("it is not sha256: and 64 digits"))
}

/// What a memory file says of a client, for the log; in which trace that came as well.
pub(super) fn labels(file: File) -> Result<Labels> {
    let document = sealed(file, Labels::MAX_LEN)
        .ok_or(Error::Labels("they came as a file that somebody could change"))?;
    let labels = serde_json::from_slice(&document).ok();
    let mut labels: Labels = labels.ok_or(Error::Labels("they are not a JSON document of texts"))?;
    if let Some((trace, _)) = Current::here().ids() {
        labels.add("trace_id", &trace);
    }
    Ok(labels)
}

/// What a sealed memory file has, at most so many bytes, and nothing if it cannot be read; `None` if it is not sealed.
fn sealed(file: File, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = memory_file::is_sealed(&file).then(|| file.take(most).read_to_end(&mut bytes))?;
    Some(read.map_or_else(|_| Vec::new(), |_| bytes))
}

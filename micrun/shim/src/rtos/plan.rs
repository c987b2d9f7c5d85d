//! What Create has found out about a container, and what later requests need of it.

use std::fs::File;
use std::time::Duration;

use libmica::CreateMessage;
use micrun_firmware::annotations::Ready;
use micrun_firmware::policy::ContainerPolicy;
use micrun_firmware::snapshot::Machine;
use micrun_firmware::{Delivery, Sha256Digest, StreamName};

use crate::cgroup::Cgroup;
use crate::oci::resources::Resources;
use crate::rtos::firmware::Firmware as InMemory;
use crate::task::budget::Share;

/// How a container is run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What it is.
    pub machine: Machine,
    /// What the daemon was asked for.
    pub message: CreateMessage,
    /// Where its emulator lives; `None` where no process of Linux runs the firmware.
    pub cgroup: Option<Cgroup>,
    /// Its part of what the pod's cgroup can hold.
    pub _share: Option<Share>,
    /// Whether the daemon's CPU pool is for it.
    pub uses_pool: bool,
    /// Its limits.
    pub resources: Resources,
    /// What its memory limit is raised by for the emulator, in MiB.
    pub overhead_mb: u32,
    /// Whether an Update is accepted and ignored.
    pub static_resource: bool,
    /// What the host allowed when it was created.
    pub policy: ContainerPolicy,
    /// What its shell prints when it waits for a command.
    pub prompt: Option<String>,
    /// What happens when nobody takes its console's output fast enough.
    pub delivery: Delivery,
    /// The stream that goes into the container's stderr.
    pub stderr: Option<StreamName>,
    /// What is typed on its console once it has started.
    pub greeting: Vec<u8>,
    /// Whether it can be asked to end.
    pub can_be_asked: bool,
    /// The sign for which its start waits; `None` waits for nothing.
    pub ready: Option<Ready>,
    /// How long it may take to show that, or any sign of life; `None` is no limit.
    pub ready_timeout: Option<Duration>,
    /// How long after its client has left it is stopped; `None` is never.
    pub close_after: Option<Duration>,
    /// The firmware in a sealed memory file, where a process of ours runs it.
    pub firmware: Option<InMemory>,
    /// The state to go on from.
    pub snapshot: Option<File>,
    /// The digest of the firmware that the state's was patched to.
    pub patched: Option<Sha256Digest>,
    /// How soon the kernel is to kill the emulator when memory runs out.
    pub oom_score: Option<u16>,
}

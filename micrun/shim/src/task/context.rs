//! What every operation of the shim needs from outside.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use micrun_firmware::host_conf::Locations;

use crate::cgroup::Layout;
use crate::oci::shared::Shared;
use crate::task::budget::Budget;
use crate::task::events::EventSink;
use crate::task::mica::Mica;

/// The shim's surroundings; tests put their own here.
pub(crate) struct Context {
    /// containerd's namespace.
    pub namespace: String,
    /// Where containers have their directories.
    pub state_root: PathBuf,
    /// Where micrun.conf is.
    pub host_conf: Locations,
    /// The machine's cgroups; `None` if it has none.
    pub cgroups: Option<Layout>,
    /// What the Linux containers of this shim's sandbox share; empty until there is one.
    pub shared: OnceLock<Vec<Shared>>,
    /// The memory of its firmware, which the pod's cgroup has to hold.
    pub budget: Budget,
    /// The mica daemon.
    pub mica: Arc<dyn Mica>,
    /// Where events go.
    pub events: Arc<dyn EventSink>,
}

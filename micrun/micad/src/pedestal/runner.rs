//! What runs a firmware, as far as Linux can account for it.

use std::fmt;

use micrun_firmware::CpuList;

use super::{ProcessId, Usage, boot_usec};

/// What runs a firmware.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Runner {
    /// A host process.
    Process(ProcessId),
    /// A core of its own, of which Linux measures nothing.
    Core {
        /// When it was started, in microseconds after boot.
        since_usec: u64,
    },
}

impl Runner {
    /// The host process, if there is one.
    pub(crate) fn pid(self) -> Option<u32> {
        match self {
            Self::Process(process) => u32::try_from(process.pid).ok(),
            Self::Core { .. } => None,
        }
    }

    /// The CPUs that the process may use; `None` without one.
    pub(crate) fn cpus(self) -> Option<CpuList> {
        match self {
            Self::Process(process) => process.cpus(),
            Self::Core { .. } => None,
        }
    }

    /// What the run has used; `None` once the process is gone.
    pub(crate) fn usage(self) -> Option<Usage> {
        match self {
            Self::Process(process) => process.usage(),
            Self::Core { since_usec } => {
                Some(Usage { uptime_usec: boot_usec().saturating_sub(since_usec), ..Usage::default() })
            }
        }
    }
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(process) => write!(f, "process {}", process.pid),
            Self::Core { .. } => f.write_str("on a core of its own"),
        }
    }
}

//! How much a process can use (setrlimit(2)).

use nix::sys::resource::{Resource, setrlimit};

const MIB: u64 = 1 << 20;

/// Limits of a process. What is not named here is 0: core dumps, locked memory, message queues, real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Threads and processes of its user; `None` if it shares the user with others.
    pub(crate) threads: Option<u64>,
    /// Address space in bytes.
    pub(crate) address_space: u64,
    /// Descriptors.
    pub(crate) descriptors: u64,
    /// Size of a file that it writes, in bytes: its log must not fill `/run`.
    pub(crate) file: u64,
}

impl Limits {
    /// For a QEMU. The factors are what QEMU 10.0 was seen to need on all its Arm and RISC-V machines, rounded up: up to
    /// 570 MiB beside the guest's memory, for a processor's thread a stack and an arena of its own.
    pub(crate) fn of_qemu(guest_mb: Option<u32>, cpus: u32, own_user: bool) -> Self {
        // The most that a board with soldered memory has.
        let guest = u64::from(guest_mb.unwrap_or(3300));
        let cpus = u64::from(cpus);
        Self {
            // Beside the processors: QEMU's main loop, its RCU thread, a migration, and a pool for files.
            threads: own_user.then_some(cpus + 64),
            address_space: (guest + 1024 + 160 * cpus) * MIB,
            descriptors: 128,
            // Not less, because boards with a display keep its picture in a memory file.
            file: 16 * MIB,
        }
    }

    /// For the broker of a console, whose ring is a `file` of so many bytes. It shares its user with the client's others.
    pub(crate) fn of_broker(own_user: bool, file: u64) -> Self {
        Self { threads: own_user.then_some(64), address_space: 256 * MIB, descriptors: 64, file }
    }

    /// Sets them for the calling process. Async-signal-safe.
    pub(super) fn apply(&self) -> nix::Result<()> {
        for (resource, limit) in [
            (Resource::RLIMIT_NPROC, self.threads),
            (Resource::RLIMIT_AS, Some(self.address_space)),
            (Resource::RLIMIT_NOFILE, Some(self.descriptors)),
            (Resource::RLIMIT_FSIZE, Some(self.file)),
            (Resource::RLIMIT_CORE, Some(0)),
            (Resource::RLIMIT_MEMLOCK, Some(0)),
            (Resource::RLIMIT_MSGQUEUE, Some(0)),
            (Resource::RLIMIT_RTPRIO, Some(0)),
        ] {
            if let Some(limit) = limit {
                setrlimit(resource, limit, limit)?;
            }
        }
        Ok(())
    }
}

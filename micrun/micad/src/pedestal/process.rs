//! Host processes: noticed when they end, never mistaken for another.
//!
//! A process is known by its number and the time of its start. A pidfd of it is open only while it is used: a thousand
//! clients are a thousand descriptors less.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use micrun_firmware::CpuList;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, WaitId, WaitIdOptions};
use tokio::io::unix::AsyncFd;

use crate::error::system;
use crate::{Result, store, sys};

/// Between two attempts to watch a process, for want of descriptors most likely.
const WATCH_RETRY: Duration = Duration::from_millis(100);

/// A process, safe against reuse of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ProcessId {
    /// Its number.
    pub(crate) pid: i32,
    /// When it started, in clock ticks after boot (proc(5), field 22 of `stat`).
    pub(crate) start_time: u64,
}

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// CPU time in microseconds.
    pub(crate) cpu_usec: u64,
    /// Resident memory in bytes.
    pub(crate) memory_bytes: u64,
    /// Time since its start in microseconds.
    pub(crate) uptime_usec: u64,
}

impl ProcessId {
    /// Identifies the process that has the number `pid` now.
    fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, start_time: stat(pid)?.start_time })
    }

    /// What the process has used; `None` once it is gone.
    pub(crate) fn usage(self) -> Option<Usage> {
        let stat = stat(self.pid).filter(|stat| stat.start_time == self.start_time)?;
        let ticks = system_number(SysconfVar::CLK_TCK);
        let usec = |t: u64| t.saturating_mul(1_000_000) / ticks;
        Some(Usage {
            cpu_usec: usec(stat.cpu_ticks),
            memory_bytes: stat.resident_pages.saturating_mul(system_number(SysconfVar::PAGE_SIZE)),
            uptime_usec: boot_usec().saturating_sub(usec(stat.start_time)),
        })
    }
}

impl ProcessId {
    /// The CPUs that the kernel lets it use (proc(5), `Cpus_allowed_list`); `None` once it is gone.
    pub(crate) fn cpus(self) -> Option<CpuList> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        // The number may have a new owner.
        let same = stat(self.pid).is_some_and(|stat| stat.start_time == self.start_time);
        list.trim().parse().ok().filter(|_| same)
    }
}

impl ProcessId {
    /// Memory in bytes that the process shares with nobody's file (proc(5), `RssAnon`); 0 once it is gone.
    pub(crate) fn own_memory(self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.unwrap_or_default() << 10
    }
}

/// A thread of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thread {
    /// The process.
    pub(crate) pid: i32,
    /// The thread's own number, as the process knows it.
    pub(crate) id: i64,
}

/// What a thread was seen doing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Activity {
    /// It has a processor, or wants one.
    pub(crate) runs: bool,
    /// CPU time since its start in nanoseconds; 0 if the kernel does not count it (`schedstat`).
    pub(crate) cpu_nsec: u64,
    /// The same of the time in which it wanted a processor and had none.
    pub(crate) waited_nsec: u64,
}

impl Thread {
    /// A look at it; of one that is gone, there is nothing to see.
    pub(crate) fn look(self) -> Activity {
        let Some(task) = self.find() else { return Activity::default() };
        let read = |file: &str| std::fs::read_to_string(task.join(file)).unwrap_or_default();
        // proc(5): the state is the field behind the name, which may hold anything.
        let runs = read("stat").rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R'));
        let counted = read("schedstat");
        let mut counted = counted.split_ascii_whitespace().map(|word| word.parse().unwrap_or_default());
        let mut next = || counted.next().unwrap_or_default();
        Activity { runs, cpu_nsec: next(), waited_nsec: next() }
    }

    /// Its directory. In a PID namespace the process gives other numbers than ours to its threads.
    fn find(self) -> Option<PathBuf> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).ok()?;
        tasks.flatten().map(|task| task.path()).find(|task| {
            let status = std::fs::read_to_string(task.join("status")).unwrap_or_default();
            // proc(5): its number in each namespace, the innermost last.
            let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            let number = numbers.and_then(|numbers| numbers.split_ascii_whitespace().next_back());
            number.and_then(|number| number.parse().ok()) == Some(self.id)
        })
    }
}

/// Microseconds since the machine was booted.
pub(crate) fn boot_usec() -> u64 {
    // Linux has had this clock since 2.6.39.
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// A number of the system that is never 0.
fn system_number(name: SysconfVar) -> u64 {
    sysconf(name).ok().flatten().and_then(|n| u64::try_from(n).ok()).unwrap_or_default().max(1)
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitKind {
    /// It called exit with this status.
    Code(u8),
    /// This signal killed it.
    Signal(u8),
    /// It was no child of ours, so nobody told us.
    Unknown,
}

/// A process that can be watched and killed. A child stays a zombie, and its number stays its own, until
/// [`Self::reap`].
#[derive(Debug)]
pub(crate) struct Process {
    id: ProcessId,
}

impl Process {
    /// A child, from its start on. It is waited for here, and nowhere else.
    pub(crate) fn of_child(mut child: Child) -> Result<Self> {
        let id = ProcessId::of(Pid::from_child(&child).as_raw_pid());
        id.map(|id| Self { id })
            .ok_or(Errno::SRCH)
            .map_err(system("find out when a process started"))
            .inspect_err(|_| {
                // Not without knowing which it is. The failures possible are those of a process that is gone.
                let _ = child.kill().and_then(|()| child.wait().map(drop));
            })
    }

    /// The process `id` of an earlier daemon; `None` if it is gone.
    pub(crate) fn adopt(id: ProcessId) -> Option<Self> {
        let process = Self { id };
        process.open().is_ok().then_some(process)
    }

    /// One that is known to have ended.
    pub(crate) fn ended_one(id: ProcessId) -> Self {
        Self { id }
    }

    /// A descriptor of it; `ESRCH` once it is gone.
    fn open(&self) -> Result<OwnedFd, Errno> {
        let pid = Pid::from_raw(self.id.pid).ok_or(Errno::SRCH)?;
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        // Read after the pidfd is held: if the number has a new owner by now, the pidfd's process is another.
        if ProcessId::of(self.id.pid) == Some(self.id) { Ok(pidfd) } else { Err(Errno::SRCH) }
    }

    /// Which process this is.
    pub(crate) fn id(&self) -> ProcessId {
        self.id
    }

    /// Has its descriptor `number`, which is `fd` here, kept for the next daemon. Blocks.
    pub(crate) fn keep(&self, number: RawFd, fd: impl AsFd) {
        store::put(self.id, number, fd.as_fd());
    }

    /// A copy of its descriptor `number`: the one that was kept for this daemon, or the process's own. Blocks.
    pub(crate) fn fd(&self, number: RawFd) -> Result<OwnedFd> {
        if let Some(kept) = store::take(self.id, number) {
            return Ok(kept);
        }
        let fd = self
            .open()
            .and_then(|pidfd| rustix::process::pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()))
            .map_err(system("take a descriptor over from a process"))?;
        self.keep(number, &fd);
        Ok(fd)
    }

    /// Waits until it has ended. May be cancelled.
    pub(crate) async fn ended(&self) {
        let Some(pidfd) = self.watch().await else { return };
        if pidfd.readable().await.is_err() {
            // Only at the end of the runtime, with everything else.
            std::future::pending::<()>().await;
        }
    }

    /// A descriptor that tells its end; `None` if it has ended.
    async fn watch(&self) -> Option<AsyncFd<OwnedFd>> {
        loop {
            match self.open().map_err(io::Error::from).and_then(sys::watch) {
                Ok(pidfd) => return Some(pidfd),
                Err(e) if e.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => return None,
                Err(e) => {
                    log::warn!("cannot watch process {}: {e}", self.id.pid);
                    tokio::time::sleep(WATCH_RETRY).await;
                }
            }
        }
    }

    /// [`Self::ended`], but no longer than `bound`.
    pub(crate) async fn ended_within(&self, bound: Duration) -> bool {
        tokio::time::timeout(bound, self.ended()).await.is_ok()
    }

    /// Kills it, and blocks until it has ended.
    pub(crate) fn kill_now(&self) {
        let pidfd = self.open();
        self.kill();
        if let Ok(pidfd) = pidfd {
            // It fails only if a signal comes, and then it is dead a moment later.
            let _ = poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
        }
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        // The one failure possible is that it is gone, which is what was wanted.
        let _ = match self.open() {
            Ok(pidfd) => rustix::process::pidfd_send_signal(pidfd, Signal::KILL),
            // For want of descriptors, say: a process that cannot be controlled must not stay for that.
            Err(_) if ProcessId::of(self.id.pid) == Some(self.id) => Pid::from_raw(self.id.pid)
                .map_or(Ok(()), |pid| rustix::process::kill_process(pid, Signal::KILL)),
            Err(_) => Ok(()),
        };
    }

    /// Reaps the ended process and says how it ended.
    pub(crate) fn reap(&self) -> ExitKind {
        store::forget(self.id);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let Ok(pidfd) = self.open() else { return ExitKind::Unknown };
        let Ok(Some(status)) = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options) else {
            return ExitKind::Unknown;
        };
        let byte = |n: i32| u8::try_from(n & 0xff).unwrap_or(u8::MAX);
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => ExitKind::Code(byte(code)),
            (_, Some(signal)) => ExitKind::Signal(byte(signal)),
            _ => ExitKind::Unknown,
        }
    }
}

struct Stat {
    start_time: u64,
    cpu_ticks: u64,
    resident_pages: u64,
}

/// Fields of `/proc/PID/stat` as proc(5) numbers them; those after the name begin with number 3.
fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat { start_time: field(22)?, cpu_ticks: field(14)? + field(15)?, resident_pages: field(24)? })
}

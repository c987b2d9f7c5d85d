//! Host processes, held by pidfd: noticed when they end, never mistaken for another.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use micrun_firmware::CpuList;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, WaitId, WaitIdOptions};
use tokio::io::unix::AsyncFd;

use crate::error::system;
use crate::{Result, sys};

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
}

impl Thread {
    /// A look at it; of one that is gone, there is nothing to see.
    pub(crate) fn look(self) -> Activity {
        let Some(task) = self.find() else { return Activity::default() };
        let read = |file: &str| std::fs::read_to_string(task.join(file)).unwrap_or_default();
        // proc(5): the state is the field behind the name, which may hold anything.
        let runs = read("stat").rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R'));
        let cpu = read("schedstat").split_ascii_whitespace().next().and_then(|word| word.parse().ok());
        Activity { runs, cpu_nsec: cpu.unwrap_or_default() }
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

/// A process that can be watched and killed.
#[derive(Debug)]
pub(crate) struct Process {
    id: ProcessId,
    pidfd: AsyncFd<OwnedFd>,
}

impl Process {
    /// Watches a child from its start on. It is waited for here, and nowhere else.
    pub(crate) fn of_child(mut child: Child) -> Result<Self> {
        Self::watch(Pid::from_child(&child)).inspect_err(|_| {
            // Not without watching it. The failures possible are those of a process that is gone.
            let _ = child.kill().and_then(|()| child.wait().map(drop));
        })
    }

    fn watch(pid: Pid) -> Result<Self> {
        let doing = "watch a process";
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(system(doing))?;
        // Read after the pidfd is held: if the number has a new owner by now, the pidfd's process is dead.
        let id = ProcessId::of(pid.as_raw_pid()).ok_or(Errno::SRCH).map_err(system(doing))?;
        let pidfd = sys::watch(pidfd).map_err(system(doing))?;
        Ok(Self { id, pidfd })
    }

    /// Watches the process `id` of an earlier daemon; `None` if it is gone.
    pub(crate) fn adopt(id: ProcessId) -> Option<Self> {
        Self::watch(Pid::from_raw(id.pid)?).ok().filter(|found| found.id == id)
    }

    /// Which process this is.
    pub(crate) fn id(&self) -> ProcessId {
        self.id
    }

    /// A copy of its descriptor `number`.
    pub(crate) fn fd(&self, number: RawFd) -> Result<OwnedFd> {
        rustix::process::pidfd_getfd(self.pidfd(), number, PidfdGetfdFlags::empty())
            .map_err(system("take a descriptor over from a process"))
    }

    fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.get_ref().as_fd()
    }

    /// Waits until it has ended. May be cancelled.
    pub(crate) async fn ended(&self) {
        // Readiness is never cleared: a process does not come back.
        if self.pidfd.readable().await.is_err() {
            // Only at the end of the runtime, with everything else.
            std::future::pending::<()>().await;
        }
    }

    /// [`Self::ended`], but no longer than `bound`.
    pub(crate) async fn ended_within(&self, bound: Duration) -> bool {
        tokio::time::timeout(bound, self.ended()).await.is_ok()
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        // The one failure possible is that it is gone, which is what was wanted.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Reaps the ended process and says how it ended.
    pub(crate) fn reap(&self) -> ExitKind {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let Ok(Some(status)) = rustix::process::waitid(WaitId::PidFd(self.pidfd()), options) else {
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

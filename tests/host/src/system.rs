//! The processes of this test's namespace.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

/// What holds a pod's namespaces when there is no pause container.
pub const HOLDER: &str = "micrun-pause";

/// How long to wait until all threads without work have ended: those of a daemon and of an emulator stay for 10 s.
pub const REST: Duration = Duration::from_secs(12);
/// How long to watch what does nothing.
pub const STRETCH: Duration = Duration::from_secs(20);

/// A process that was there when it was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    id: i32,
    /// The file name of the program it runs.
    pub name: String,
    /// Its command line.
    pub command: String,
}

impl Process {
    /// Its number.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Every process.
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
        entries.filter_map(|entry| Self::read(entry.file_name().to_str()?.parse().ok()?)).collect()
    }

    /// The processes that run a program.
    pub fn running(program: &str) -> Vec<Self> {
        Self::all().into_iter().filter(|process| process.name == program).collect()
    }

    /// `None` when it is gone.
    fn read(id: i32) -> Option<Self> {
        let folder = PathBuf::from(format!("/proc/{id}"));
        let program = fs::read_link(folder.join("exe")).ok()?;
        let name = program.file_name()?.to_string_lossy();
        // Rebuilt meanwhile: still the same program.
        let name = name.trim_end_matches(" (deleted)").to_owned();
        let command = fs::read_to_string(folder.join("cmdline")).ok()?.replace('\0', " ").trim().to_owned();
        // The shim's own program, as another one.
        let name = if command.starts_with(HOLDER) { HOLDER.to_owned() } else { name };
        Some(Self { id, name, command })
    }

    /// Kills it without a warning.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        signal::kill(Pid::from_raw(self.id), signal).expect("the process runs");
    }

    /// How many descriptors it has open; `None` when it is gone. Mount namespaces do not count: micad keeps one for each
    /// emulator from its first start on.
    pub fn descriptors(&self) -> Option<usize> {
        let all = fs::read_dir(format!("/proc/{}/fd", self.id)).ok()?;
        let links = all.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        Some(links.filter(|link| !link.as_os_str().as_encoded_bytes().starts_with(b"mnt:[")).count())
    }

    /// The same, if it still runs; whether it did.
    pub fn try_kill(&self) -> bool {
        signal::kill(Pid::from_raw(self.id), Signal::SIGKILL).is_ok()
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        self.of_threads("status").len()
    }

    /// How many of its threads are for work that may wait, and end when there is none: tokio's, by the name that it gives
    /// them or the shim.
    pub fn workers(&self) -> usize {
        let names = self.of_threads("comm");
        names.iter().filter(|name| ["tokio", "blocking"].iter().any(|known| name.starts_with(known))).count()
    }

    /// How often its threads have given up a processor to wait, which is how often they were woken.
    pub fn wakes(&self) -> u64 {
        let name = "voluntary_ctxt_switches:";
        let count = |status: &String| {
            status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
        };
        self.of_threads("status").iter().filter_map(count).sum()
    }

    /// How long its threads have had a processor.
    fn processor_time(&self) -> Duration {
        let time = |schedule: &String| schedule.split_whitespace().next()?.parse::<u64>().ok();
        Duration::from_nanos(self.of_threads("schedstat").iter().filter_map(time).sum())
    }

    /// A file of each of its threads that has not ended.
    fn of_threads(&self, name: &str) -> Vec<String> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id)).into_iter().flatten().flatten();
        threads.filter_map(|thread| fs::read_to_string(thread.path().join(name)).ok()).collect()
    }

    /// A field of its memory usage in kB, as `Rss` or `Private_Dirty`.
    pub fn memory(&self, field: &str) -> u64 {
        let usage = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id)).expect("root may read it");
        let line = usage.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let value = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        value.unwrap_or_else(|| panic!("no field {field} in {usage}"))
    }
}

/// What processes have cost their host so far. What a thread had cost is forgotten when it ends.
pub struct Cost {
    wakes: u64,
    time: Duration,
    at: Instant,
}

impl Cost {
    /// That of these processes.
    pub fn of(processes: &[Process]) -> Self {
        Self {
            wakes: processes.iter().map(Process::wakes).sum(),
            time: processes.iter().map(Process::processor_time).sum(),
            at: Instant::now(),
        }
    }

    /// Wake-ups a second, and milliseconds of a processor a second, since an earlier moment.
    pub fn rates_since(&self, before: &Self) -> (f64, f64) {
        let seconds = self.at.saturating_duration_since(before.at).as_secs_f64();
        let wakes = u32::try_from(self.wakes.saturating_sub(before.wakes)).unwrap_or(u32::MAX);
        let time = self.time.saturating_sub(before.time);
        (f64::from(wakes) / seconds, time.as_secs_f64() * 1000.0 / seconds)
    }
}

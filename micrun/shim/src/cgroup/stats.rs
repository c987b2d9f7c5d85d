//! What a cgroup has used, in containerd's messages: `io.containerd.cgroups.v1.Metrics` and `.v2.Metrics`. What the
//! kernel does not say is absent.

use std::collections::BTreeMap;
use std::path::Path;

use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::{cgroups::metrics as v1, cgroups_v2::metrics as v2};

use libmica::ext::Stats;

use super::{Cgroup, Layout, Version, io};
use crate::error::Result;
use crate::oci::any;
use crate::os::blocking;

/// Metrics of what lives in no cgroup of ours: what the daemon knows of its process. A core of its own has none,
/// so nothing is said of it.
pub(crate) fn daemon_metrics(layout: Option<&Layout>, stats: &Stats) -> Any {
    let process = (stats.pid != 0).then_some(stats);
    if let Some(Layout::V2(_)) = layout {
        let mut all = v2::Metrics::new();
        if let Some(stats) = process {
            all.cpu.mut_or_insert_default().usage_usec = stats.cpu_usec;
            all.memory.mut_or_insert_default().usage = stats.memory_bytes;
        }
        return any::pack(&all);
    }
    let mut all = v1::Metrics::new();
    if let Some(stats) = process {
        let cpu = all.cpu.mut_or_insert_default();
        cpu.usage.mut_or_insert_default().total = stats.cpu_usec.saturating_mul(1000);
        let memory = all.memory.mut_or_insert_default();
        memory.usage.mut_or_insert_default().usage = stats.memory_bytes;
    }
    any::pack(&all)
}

impl Cgroup {
    /// What it has used. The kernel adds up what all CPUs and cgroups below have counted before it answers.
    pub(crate) async fn metrics(&self) -> Result<Any> {
        let this = self.clone();
        blocking::run(move || {
            Ok(match this.version() {
                Version::V1 => any::pack(&this.metrics_v1()),
                Version::V2 => any::pack(&this.metrics_v2()),
            })
        })
        .await
    }

    fn metrics_v1(&self) -> v1::Metrics {
        let mut all = v1::Metrics::new();
        all.pids = self.dir("pids").and_then(|dir| pids_v1(&dir)).into();
        all.cpu = self.cpu_v1().into();
        all.memory = self.dir("memory").and_then(|dir| memory_v1(&dir)).into();
        all.blkio = self.dir("blkio").and_then(|dir| io::v1(&dir)).into();
        all.memory_oom_control = self.dir("memory").and_then(|dir| oom_control(&dir)).into();
        all
    }

    fn cpu_v1(&self) -> Option<v1::CPUStat> {
        let accounts = self.dir("cpuacct")?;
        let mut usage = v1::CPUUsage::new();
        usage.total = number(&accounts, "cpuacct.usage")?;
        usage.user = number(&accounts, "cpuacct.usage_user").unwrap_or_default();
        usage.kernel = number(&accounts, "cpuacct.usage_sys").unwrap_or_default();
        let each = std::fs::read_to_string(accounts.join("cpuacct.usage_percpu")).unwrap_or_default();
        usage.per_cpu = each.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let mut cpu = v1::CPUStat::new();
        cpu.usage = Some(usage).into();
        cpu.throttling = self
            .dir("cpu")
            .map(|dir| {
                let table = table(&dir, "cpu.stat");
                let get = |key| table.get(key).copied().unwrap_or_default();
                let mut throttle = v1::Throttle::new();
                throttle.periods = get("nr_periods");
                throttle.throttled_periods = get("nr_throttled");
                throttle.throttled_time = get("throttled_time");
                throttle
            })
            .into();
        Some(cpu)
    }

    fn metrics_v2(&self) -> v2::Metrics {
        let mut all = v2::Metrics::new();
        let Some(dir) = self.dir("memory") else { return all };
        all.pids = pids_v2(&dir).into();
        all.cpu = cpu_v2(&dir).into();
        all.memory = memory_v2(&dir).into();
        all.memory_events = memory_events(&dir).into();
        all.io = io::v2(&dir).into();
        all
    }
}

/// A file with one number; `max` is the largest.
pub(super) fn number(dir: &Path, file: &str) -> Option<u64> {
    match std::fs::read_to_string(dir.join(file)).ok()?.trim() {
        "max" => Some(u64::MAX),
        text => text.parse().ok(),
    }
}

/// A file with a key and a number on each line.
pub(super) fn table(dir: &Path, file: &str) -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// Copies entries of a table into fields of the same meaning.
macro_rules! fill {
    ($message:expr, $table:expr, $($key:literal => $field:ident),* $(,)?) => {
        $( $message.$field = $table.get($key).copied().unwrap_or_default(); )*
    };
}

fn pids_v1(dir: &Path) -> Option<v1::PidsStat> {
    let mut pids = v1::PidsStat::new();
    pids.current = number(dir, "pids.current")?;
    // No limit is 0 here and the largest number in version 2, as containerd's own library has it.
    pids.limit = number(dir, "pids.max").filter(|n| *n != u64::MAX).unwrap_or_default();
    Some(pids)
}

fn pids_v2(dir: &Path) -> Option<v2::PidsStat> {
    let mut pids = v2::PidsStat::new();
    pids.current = number(dir, "pids.current")?;
    pids.limit = number(dir, "pids.max").unwrap_or_default();
    Some(pids)
}

fn entry(dir: &Path, name: &str) -> MessageField<v1::MemoryEntry> {
    let get = |what: &str| number(dir, &format!("{name}.{what}"));
    let read = || {
        let mut entry = v1::MemoryEntry::new();
        entry.usage = get("usage_in_bytes")?;
        entry.limit = get("limit_in_bytes")?;
        entry.max = get("max_usage_in_bytes")?;
        entry.failcnt = get("failcnt")?;
        Some(entry)
    };
    read().into()
}

fn memory_v1(dir: &Path) -> Option<v1::MemoryStat> {
    let mut memory = v1::MemoryStat::new();
    memory.usage = entry(dir, "memory");
    memory.usage.as_ref()?;
    memory.swap = entry(dir, "memory.memsw");
    memory.kernel = entry(dir, "memory.kmem");
    memory.kernel_tcp = entry(dir, "memory.kmem.tcp");
    let table = table(dir, "memory.stat");
    fill!(memory, table,
        "cache" => cache, "rss" => rss, "rss_huge" => rss_huge, "mapped_file" => mapped_file, "dirty" => dirty,
        "writeback" => writeback, "pgpgin" => pg_pg_in, "pgpgout" => pg_pg_out, "pgfault" => pg_fault,
        "pgmajfault" => pg_maj_fault, "inactive_anon" => inactive_anon, "active_anon" => active_anon,
        "inactive_file" => inactive_file, "active_file" => active_file, "unevictable" => unevictable,
        "hierarchical_memory_limit" => hierarchical_memory_limit,
        "hierarchical_memsw_limit" => hierarchical_swap_limit,
        "total_cache" => total_cache, "total_rss" => total_rss, "total_rss_huge" => total_rss_huge,
        "total_mapped_file" => total_mapped_file, "total_dirty" => total_dirty,
        "total_writeback" => total_writeback, "total_pgpgin" => total_pg_pg_in,
        "total_pgpgout" => total_pg_pg_out, "total_pgfault" => total_pg_fault,
        "total_pgmajfault" => total_pg_maj_fault, "total_inactive_anon" => total_inactive_anon,
        "total_active_anon" => total_active_anon, "total_inactive_file" => total_inactive_file,
        "total_active_file" => total_active_file, "total_unevictable" => total_unevictable,
    );
    Some(memory)
}

fn oom_control(dir: &Path) -> Option<v1::MemoryOomControl> {
    let table = table(dir, "memory.oom_control");
    let mut control = v1::MemoryOomControl::new();
    fill!(control, table, "oom_kill_disable" => oom_kill_disable, "under_oom" => under_oom, "oom_kill" => oom_kill);
    (!table.is_empty()).then_some(control)
}

fn cpu_v2(dir: &Path) -> Option<v2::CPUStat> {
    let table = table(dir, "cpu.stat");
    let mut cpu = v2::CPUStat::new();
    fill!(cpu, table,
        "usage_usec" => usage_usec, "user_usec" => user_usec, "system_usec" => system_usec,
        "nr_periods" => nr_periods, "nr_throttled" => nr_throttled, "throttled_usec" => throttled_usec,
        "nr_bursts" => nr_bursts, "burst_usec" => burst_usec,
    );
    (!table.is_empty()).then_some(cpu)
}

fn memory_v2(dir: &Path) -> Option<v2::MemoryStat> {
    let mut memory = v2::MemoryStat::new();
    let get = |file: &str| number(dir, file);
    memory.usage = get("memory.current")?;
    memory.usage_limit = get("memory.max").unwrap_or(u64::MAX);
    memory.max_usage = get("memory.peak").unwrap_or_default();
    memory.swap_usage = get("memory.swap.current").unwrap_or_default();
    memory.swap_limit = get("memory.swap.max").unwrap_or_default();
    memory.swap_max_usage = get("memory.swap.peak").unwrap_or_default();
    let table = table(dir, "memory.stat");
    fill!(memory, table,
        "anon" => anon, "file" => file, "kernel_stack" => kernel_stack, "slab" => slab, "sock" => sock,
        "shmem" => shmem, "file_mapped" => file_mapped, "file_dirty" => file_dirty,
        "file_writeback" => file_writeback, "anon_thp" => anon_thp, "inactive_anon" => inactive_anon,
        "active_anon" => active_anon, "inactive_file" => inactive_file, "active_file" => active_file,
        "unevictable" => unevictable, "slab_reclaimable" => slab_reclaimable,
        "slab_unreclaimable" => slab_unreclaimable, "pgfault" => pgfault, "pgmajfault" => pgmajfault,
        "pgrefill" => pgrefill, "pgscan" => pgscan, "pgsteal" => pgsteal, "pgactivate" => pgactivate,
        "pgdeactivate" => pgdeactivate, "pglazyfree" => pglazyfree, "pglazyfreed" => pglazyfreed,
        "thp_fault_alloc" => thp_fault_alloc, "thp_collapse_alloc" => thp_collapse_alloc,
    );
    Some(memory)
}

fn memory_events(dir: &Path) -> Option<v2::MemoryEvents> {
    let table = table(dir, "memory.events");
    let mut events = v2::MemoryEvents::new();
    fill!(events, table,
        "low" => low, "high" => high, "max" => max, "oom" => oom, "oom_kill" => oom_kill,
        "oom_group_kill" => oom_group_kill,
    );
    (!table.is_empty()).then_some(events)
}

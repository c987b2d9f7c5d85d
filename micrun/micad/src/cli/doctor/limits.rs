//! Limits of the daemons' processes.

use super::finding::Finding;
use super::host::{Host, Process};
use super::kernel;
use super::program::Version;

/// What micad's unit sets: a client takes five descriptors, and four come with a command.
const FILES: u64 = 8192;
/// With so few it has no room for a hundred clients.
const FEW_FILES: u64 = 1024;
/// A QEMU has up to eight threads, and a container a shim with some.
const FEW_PROCESSES: u64 = 512;
/// Before this kernel, the program that guards a container's devices was locked memory.
const BPF_IN_CGROUP: Version = Version(5, 11, 0);
const MEMORY: u64 = 8 << 20;

/// Open files of micad.
pub(super) fn files(host: &Host) -> Finding {
    let Some(micad) = &host.micad else { return Finding::ok("micad does not run") };
    let limit = match limit(host, micad, "Max open files") {
        Ok(limit) => limit,
        Err(finding) => return finding,
    };
    let remedy = format!("LimitNOFILE={FILES} in micad's unit");
    match limit {
        Some(most) if most < FEW_FILES => {
            Finding::warning(format!("micad may open {most} files, enough for {} clients", most / 8), remedy)
        }
        Some(most) if most < FILES => {
            Finding::note(format!("micad may open {most} files, enough for {} clients", most / 8), remedy)
        }
        Some(most) => Finding::ok(format!("micad may open {most}")),
        None => Finding::ok("micad may open any number"),
    }
}

/// Locked memory of containerd's shims, where the kernel counts it.
pub(super) fn locked(host: &Host) -> Finding {
    let Some(containerd) = &host.containerd else { return Finding::ok("containerd does not run") };
    if kernel::running(host).is_none_or(|version| version >= BPF_IN_CGROUP) {
        return Finding::ok("not needed by this kernel");
    }
    match limit(host, containerd, "Max locked memory") {
        Ok(Some(most)) if most < MEMORY => Finding::warning(
            format!(
                "containerd may lock {} KiB: with cgroups of version 2, Linux containers may fail",
                most >> 10
            ),
            "LimitMEMLOCK=infinity in containerd's unit",
        ),
        Ok(_) => Finding::ok("enough"),
        Err(finding) => finding,
    }
}

/// The hard limit of a process, as /proc has it; `None` for unlimited.
fn limit(host: &Host, process: &Process, name: &str) -> Result<Option<u64>, Finding> {
    let path = format!("/proc/{}/limits", process.pid);
    let text = host.text(&path).map_err(|e| Finding::unread(path.as_ref(), &e))?;
    let words = text.lines().find_map(|line| line.strip_prefix(name));
    // The soft limit, then the hard one: micad raises its own.
    Ok(words.and_then(|words| words.split_whitespace().nth(1)?.parse().ok()))
}

/// Processes and threads: of the system, and of the cgroups of micad and containerd, where firmware and shims are.
pub(super) fn processes(host: &Host) -> Finding {
    let of_system = ["pid_max", "threads-max"].into_iter().filter_map(|name| {
        let most: u64 = host.word(format!("/proc/sys/kernel/{name}"))?.parse().ok()?;
        Some(if most < 4096 {
            Finding::warning(format!("kernel.{name} is {most}"), format!("`sysctl kernel.{name}=32768`"))
        } else {
            Finding::ok("")
        })
    });
    let daemons = [("micad", &host.micad), ("containerd", &host.containerd)];
    let of_daemons =
        daemons.into_iter().filter_map(|(name, process)| Some(tasks(host, name, process.as_ref()?)));
    Finding::all(of_system.chain(of_daemons).collect(), || Finding::ok("enough"))
}

/// The room in the cgroup of a process and in those above it.
fn tasks(host: &Host, name: &str, process: &Process) -> Finding {
    let remedy = format!("TasksMax=infinity in the unit of {name}, or a larger pids.max above it");
    // Version 1 if it limits processes; the top of a hierarchy has no limit.
    for dir in ["pids", ""].into_iter().flat_map(|controller| host.cgroups(process, controller)) {
        let number = |file: &str| host.word(dir.join(file))?.parse::<u64>().ok();
        let (Some(most), current) = (number("pids.max"), number("pids.current").unwrap_or_default()) else {
            continue;
        };
        let dir = dir.display();
        if current.saturating_mul(10) >= most.saturating_mul(9) {
            let found = format!(
                "{name}: {dir} has {current} of {most} processes: no firmware and no container starts"
            );
            return Finding::error(found, remedy);
        }
        if most < FEW_PROCESSES {
            return Finding::warning(format!("{name}: {dir} may have {most} processes"), remedy);
        }
    }
    Finding::ok("")
}

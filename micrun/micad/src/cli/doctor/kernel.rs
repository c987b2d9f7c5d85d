//! The kernel and its options.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read};

use flate2::read::GzDecoder;

use super::finding::{Finding, Level};
use super::host::Host;
use super::program::{self, Version};

/// The oldest kernel that has what a jail and a shim need: a process's end by its descriptor.
const OLDEST: Version = Version(5, 4, 0);
/// The running kernel's own word.
const PACKED: &str = "/proc/config.gz";
/// No kernel's options are longer.
const MOST: u64 = 4 << 20;

/// What firmware's jail, and containers, do not work without.
const NEEDED: &[&str] = &[
    "NAMESPACES",
    "PID_NS",
    "NET_NS",
    "IPC_NS",
    "UTS_NS",
    "CGROUPS",
    "SECCOMP_FILTER",
    "TMPFS",
    "OVERLAY_FS",
    "UNIX98_PTYS",
    "UNIX",
];
/// What limits and their numbers need.
const LIMITS: &[&str] = &[
    "MEMCG",
    "CPUSETS",
    "CGROUP_SCHED",
    "FAIR_GROUP_SCHED",
    "CFS_BANDWIDTH",
    "CGROUP_PIDS",
    "CGROUP_FREEZER",
    "CGROUP_BPF",
    "BLK_CGROUP",
    "PSI",
];
/// What Linux containers and the networks of pods need.
const PODS: &[&str] = &["USER_NS", "KEYS", "POSIX_MQUEUE", "VETH", "BRIDGE"];
/// What firmware on a core of its own needs.
const BAREMETAL: &[&str] =
    &["REMOTEPROC", "RPMSG_VIRTIO", "RPMSG_NS", "RPMSG_TTY", "RPMSG_CTRL", "RPMSG_CHAR", "FW_LOADER"];

/// The running kernel's release.
pub(super) fn release(host: &Host) -> Option<String> {
    host.word("/proc/sys/kernel/osrelease")
}

/// Its version.
pub(super) fn running(host: &Host) -> Option<Version> {
    program::version(&release(host)?)
}

/// Whether the kernel is new enough.
pub(super) fn version(host: &Host) -> Finding {
    let Some(release) = release(host) else {
        return Finding::warning("/proc shows no kernel", "mount /proc: micad and the shim need it, too");
    };
    match program::version(&release) {
        Some(version) if version < OLDEST => {
            Finding::error(format!("Linux {release}"), format!("run Linux {OLDEST} or later"))
        }
        _ => Finding::ok(format!("Linux {release}")),
    }
}

/// What no firmware and no container can do without.
pub(super) fn needed(host: &Host) -> Finding {
    lacking(host, NEEDED, Level::Error, "")
}

/// What limits need.
pub(super) fn limits(host: &Host) -> Finding {
    lacking(host, LIMITS, Level::Warning, ": without them, limits or their numbers are missing")
}

/// What pods need.
pub(super) fn pods(host: &Host) -> Finding {
    lacking(host, PODS, Level::Note, ", if this machine is to run pods or Linux containers")
}

/// What firmware on a core needs.
pub(super) fn baremetal(host: &Host) -> Finding {
    lacking(host, BAREMETAL, Level::Note, ", if firmware is to run on a core of its own (docs/BAREMETAL.md)")
}

fn lacking(host: &Host, wanted: &[&str], level: Level, reason: &str) -> Finding {
    let (enabled, place) = match options(host) {
        Ok(found) => found,
        Err(finding) => return finding,
    };
    let missing: Vec<_> =
        wanted.iter().filter(|name| !enabled.contains(**name)).map(|name| format!("CONFIG_{name}")).collect();
    if missing.is_empty() {
        return Finding::ok(format!("all {} by {place}", wanted.len()));
    }
    let remedy = format!("build the kernel with them{reason}");
    Finding::bad(level, format!("{place} lacks {}", missing.join(", ")), remedy)
}

/// The options that are built in or modules, without `CONFIG_`, and the file that says so.
fn options(host: &Host) -> Result<(BTreeSet<String>, String), Finding> {
    let release = release(host).unwrap_or_default();
    let places =
        [PACKED.to_owned(), format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")];
    for place in &places {
        let bytes = match host.bytes(place) {
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            read => read.and_then(|bytes| if place == PACKED { unpack(&bytes) } else { Ok(bytes) }),
        };
        let bytes = bytes.map_err(|e| Finding::unread(place.as_ref(), &e))?;
        let text = String::from_utf8_lossy(&bytes);
        let enabled = text.lines().filter_map(|line| {
            let name = line.strip_suffix("=y").or_else(|| line.strip_suffix("=m"))?;
            Some(name.strip_prefix("CONFIG_")?.to_owned())
        });
        return Ok((enabled.collect(), place.clone()));
    }
    let found = format!("no file tells the kernel's options: {}", places.join(", "));
    Err(Finding::note(found, "`modprobe configs`, or build the kernel with CONFIG_IKCONFIG_PROC"))
}

fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

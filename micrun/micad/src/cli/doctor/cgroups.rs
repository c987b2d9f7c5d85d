//! Cgroups, by which containers are limited and counted.

use super::finding::Finding;
use super::host::Host;
use super::linux;

/// Where they are.
const ROOT: &str = "/sys/fs/cgroup";
/// The controllers that limits of containers need. Version 1 has another name for `io`.
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "memory", "pids", "io"];

/// How the hierarchies are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Version 2 alone.
    Unified,
    /// Version 1, and version 2 without controllers.
    Hybrid,
    /// Version 1 alone.
    Legacy,
    /// Not at all.
    Absent,
}

/// How they are mounted here.
pub(super) fn layout(host: &Host) -> std::io::Result<Layout> {
    Ok(if host.has(format!("{ROOT}/cgroup.controllers"))? {
        Layout::Unified
    } else if host.has(format!("{ROOT}/unified/cgroup.procs"))? {
        Layout::Hybrid
    } else if host
        .names(ROOT)?
        .iter()
        .any(|name| host.has(format!("{ROOT}/{name}/cgroup.procs")).unwrap_or(false))
    {
        Layout::Legacy
    } else {
        Layout::Absent
    })
}

/// Whether the layout is one that all parts can use.
pub(super) fn hierarchy(host: &Host) -> Finding {
    let unified =
        "boot with the unified hierarchy (systemd.unified_cgroup_hierarchy=1 on the kernel's command line)";
    match layout(host) {
        Err(e) => Finding::unread(ROOT.as_ref(), &e),
        Ok(Layout::Unified) => Finding::ok("version 2, unified"),
        Ok(Layout::Legacy) => Finding::note("version 1", unified),
        Ok(Layout::Hybrid) if linux::is_crun(host) => Finding::warning(
            "version 1 and 2, hybrid: crun refuses that, so Linux containers do not run",
            format!("{unified}, or name runc (docs/LINUX.md)"),
        ),
        Ok(Layout::Hybrid) => Finding::note("version 1 and 2, hybrid", unified),
        Ok(Layout::Absent) => Finding::error(
            format!("none is mounted at {ROOT}, so containers have no limits, and containerd may not start"),
            format!("`mount -t cgroup2 none {ROOT}`, or let the init system do it"),
        ),
    }
}

/// Whether the controllers that limits need are there.
pub(super) fn controllers(host: &Host) -> Finding {
    let read = match layout(host) {
        Ok(Layout::Absent) => return Finding::note("no cgroups", "see cgroups.hierarchy"),
        Ok(Layout::Unified) => host.text(format!("{ROOT}/cgroup.controllers")),
        // In a hybrid layout version 1 may have all of them.
        Ok(Layout::Hybrid | Layout::Legacy) => host.text("/proc/cgroups").map(|table| enabled(&table)),
        Err(e) => Err(e),
    };
    let there = match read {
        Ok(there) => there,
        Err(e) => return Finding::unread(ROOT.as_ref(), &e),
    };
    let has = |name: &str| there.split_whitespace().any(|it| it == name || name == "io" && it == "blkio");
    let missing: Vec<_> = CONTROLLERS.into_iter().filter(|name| !has(name)).collect();
    if missing.is_empty() {
        return Finding::ok(CONTROLLERS.join(", "));
    }
    let remedy = "enable them: on the kernel's command line (`cgroup_enable=memory` on some boards), or, in a \
                  container, by whoever started it; until then their limits have no effect";
    Finding::warning(format!("missing: {}", missing.join(", ")), remedy)
}

/// The controllers that a table of version 1 has as enabled: name, hierarchy, cgroups, enabled.
fn enabled(table: &str) -> String {
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let names = rows.filter_map(|row| {
        let words: Vec<_> = row.split_whitespace().collect();
        (words.get(3) == Some(&"1")).then(|| words[0])
    });
    names.collect::<Vec<_>>().join(" ")
}

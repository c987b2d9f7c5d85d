//! All checks, in the order of the report. docs/DOCTOR.md says the same of each; a test compares.

use super::finding::Finding;
use super::host::Host;
use super::{
    baremetal, cgroups, clock, configuration, containerd, daemon, docker, kernel, leftovers, limits, linux,
    permissions, qemu, registration, space,
};

/// A check.
pub(super) struct Check {
    /// `GROUP.NAME`. Scripts know it by this.
    pub(super) name: &'static str,
    /// Looks at the machine.
    pub(super) look: fn(&Host) -> Finding,
}

const fn check(name: &'static str, look: fn(&Host) -> Finding) -> Check {
    Check { name, look }
}

/// All of them.
pub(super) const CHECKS: &[Check] = &[
    check("kernel.version", kernel::version),
    check("kernel.options", kernel::needed),
    check("kernel.limits", kernel::limits),
    check("kernel.pods", kernel::pods),
    check("kernel.baremetal", kernel::baremetal),
    check("cgroups.hierarchy", cgroups::hierarchy),
    check("cgroups.controllers", cgroups::controllers),
    check("micad.daemon", daemon::daemon),
    check("micad.config", configuration::daemon),
    check("micad.clients", configuration::clients),
    check("qemu.programs", qemu::programs),
    check("qemu.machines", qemu::machines),
    check("baremetal.remoteproc", baremetal::remoteproc),
    check("baremetal.terminal", baremetal::terminal),
    check("baremetal.driver", baremetal::driver),
    check("baremetal.firmware", baremetal::firmware),
    check("containerd.program", containerd::installed),
    check("containerd.process", containerd::process),
    check("containerd.config", registration::configuration),
    check("containerd.registration", registration::registration),
    check("containerd.sandboxer", registration::sandboxer),
    check("containerd.shim", containerd::shim),
    check("shim.config", configuration::shim),
    check("shim.linux", linux::runtime),
    check("docker.program", docker::installed),
    check("docker.registration", docker::registration),
    check("permissions.runtime", permissions::runtime),
    check("permissions.config", permissions::configuration),
    check("space.run", space::run),
    check("space.store", space::store),
    check("limits.files", limits::files),
    check("limits.processes", limits::processes),
    check("limits.locked", limits::locked),
    check("clock.time", clock::time),
    check("clock.synchronised", clock::synchronised),
    check("leftovers.clients", leftovers::clients),
    check("leftovers.containers", leftovers::containers),
    check("leftovers.sockets", leftovers::sockets),
    check("leftovers.cgroups", leftovers::cgroups),
    check("leftovers.scopes", leftovers::scopes),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_page_describes_each_check() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/DOCTOR.md");
        let page = std::fs::read_to_string(page).unwrap();
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
        let described: Vec<_> = rows.map(|(name, _)| name).filter(|name| name.contains('.')).collect();
        let names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(described, names);
    }
}

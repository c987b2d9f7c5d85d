//! Cores of their own for firmware: remoteprocs, their terminals, and our driver.

use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::finding::Finding;
use super::host::Host;
use crate::pedestal::BAREMETAL;
use crate::pedestal::sysfs::{Remoteproc, State, System};

/// The module's name, and the driver's.
const MODULE: &str = "/sys/module/mica_rproc";
const DRIVER: &str = "/sys/bus/platform/drivers/mica-rproc";
const TERMINALS: &str = "/sys/bus/rpmsg/drivers/rpmsg_tty";
/// Where the kernel looks for firmware, besides its default.
const SEARCH_PATH: &str = "/sys/module/firmware_class/parameters/path";
const DEFAULT_DIR: &str = "/lib/firmware";

/// What is said where there is no core that firmware could have.
const NOT_NEEDED: &str = "not needed: this machine has no remoteproc";

fn remoteprocs(host: &Host) -> crate::Result<Vec<Remoteproc>> {
    System::new(&host.at("/")).remoteprocs()
}

/// Whether there are remoteprocs, and what they do.
pub(super) fn remoteproc(host: &Host) -> Finding {
    let all = match remoteprocs(host) {
        Ok(all) => all,
        Err(e) => return Finding::warning(e.sentence(), "see what the kernel says about it: `dmesg`"),
    };
    if all.is_empty() {
        return none(host);
    }
    let findings = all.iter().map(look).collect();
    let states: Vec<_> = all.iter().map(|it| format!("{}: {}", it.title(), state(it))).collect();
    Finding::all(findings, || Finding::ok(states.join(", ")))
}

fn none(host: &Host) -> Finding {
    let asked = host.config.default_pedestal.as_deref() == Some(BAREMETAL);
    let alone = asked || !host.config.policy.pedestals.value.allows(crate::pedestal::QEMU);
    let driver = "load the board's remoteproc driver, or mica_rproc for a spare core (docs/BAREMETAL.md)";
    if alone {
        return Finding::error("there is none, and micad.conf wants firmware to run on one", driver);
    }
    Finding::ok("there is none: firmware runs in QEMU")
}

fn state(remoteproc: &Remoteproc) -> &'static str {
    remoteproc.state().ok().flatten().map_or("in an unknown state", State::as_str)
}

fn look(remoteproc: &Remoteproc) -> Finding {
    let title = remoteproc.title();
    match remoteproc.state() {
        Ok(Some(State::Crashed)) => Finding::warning(
            format!("{title} has crashed"),
            format!(
                "`dmesg` says why; `echo stop > /sys/class/remoteproc/{}/state` makes it free, and so does the next start \
                 if micad ran the firmware",
                remoteproc.id
            ),
        ),
        Ok(Some(State::Detached | State::Attached)) => Finding::note(
            format!("{title} runs firmware of the boot loader"),
            "stop it there if containers are to have this core",
        ),
        Ok(None) => {
            Finding::warning(format!("{title} is in an unknown state"), "look at its `state` in sysfs")
        }
        Err(e) => Finding::warning(e.sentence(), "see what the kernel says about it: `dmesg`"),
        _ if !remoteproc.is_controllable() => Finding::note(
            format!("{title} is reserved for the kernel by its driver"),
            "none, unless the driver has a setting for it",
        ),
        Ok(_) => Finding::ok(""),
    }
}

/// Whether the kernel makes terminals of what firmware announces.
pub(super) fn terminal(host: &Host) -> Finding {
    if remoteprocs(host).is_ok_and(|all| all.is_empty()) {
        return Finding::ok(NOT_NEEDED);
    }
    match host.has(TERMINALS) {
        Ok(true) => Finding::ok("rpmsg_tty is loaded"),
        Ok(false) => Finding::warning(
            "rpmsg_tty is not loaded: the kernel drops what firmware writes to its console",
            "`modprobe rpmsg_tty`, and put it into /etc/modules-load.d",
        ),
        Err(e) => Finding::unread(TERMINALS.as_ref(), &e),
    }
}

/// Whether our driver has given a core away, for the machines that it is for.
pub(super) fn driver(host: &Host) -> Finding {
    let loaded = match host.has(MODULE).and_then(|module| Ok(module || host.has(DRIVER)?)) {
        Ok(loaded) => loaded,
        Err(e) => return Finding::unread(MODULE.as_ref(), &e),
    };
    let all = remoteprocs(host).unwrap_or_default();
    let ours: Vec<_> = all.iter().filter(|it| it.device_attribute("core_state").is_some()).collect();
    if !loaded && ours.is_empty() {
        return Finding::ok("mica_rproc is not loaded");
    }
    if ours.is_empty() {
        return Finding::warning(
            "mica_rproc is loaded, but has no core",
            "name cores and memory in the device tree, or as parameters; `dmesg | grep mica` says what it refused",
        );
    }
    let online = host.word("/sys/devices/system/cpu/online").unwrap_or_default();
    let findings = ours.iter().map(|it| core(it, &online)).collect();
    let states: Vec<_> = ours.iter().map(|it| format!("{}: {}", it.title(), core_state(it))).collect();
    Finding::all(findings, || Finding::ok(states.join(", ")))
}

fn core_state(remoteproc: &Remoteproc) -> String {
    format!("core {}", remoteproc.device_attribute("core_state").unwrap_or_default())
}

fn core(remoteproc: &Remoteproc, online: &str) -> Finding {
    let title = remoteproc.title();
    let (Some(cpu), Ok(state)) = (remoteproc.cpu(), remoteproc.state()) else { return Finding::ok("") };
    let linux_has_it = online.parse::<micrun_firmware::CpuList>().is_ok_and(|all| {
        cpu.to_string().parse().is_ok_and(|one: micrun_firmware::CpuList| one.is_within(&all))
    });
    if linux_has_it {
        return Finding::warning(
            format!("{title}: Linux uses CPU {cpu} itself"),
            format!("boot with maxcpus=, or `echo 0 > /sys/devices/system/cpu/cpu{cpu}/online`"),
        );
    }
    let on = remoteproc.device_attribute("core_state").is_some_and(|word| word != "off");
    if on && state == Some(State::Offline) {
        return Finding::warning(
            format!("{title} is offline, but its core is on: firmware has not ended"),
            "reboot: without the driver's monitor nothing ends it (drivers/mica_rproc/README.md)",
        );
    }
    Finding::ok("")
}

/// Whether firmware can be put where the kernel looks for it.
pub(super) fn firmware(host: &Host) -> Finding {
    if remoteprocs(host).is_ok_and(|all| all.is_empty()) {
        return Finding::ok(NOT_NEEDED);
    }
    let searched = host.word(SEARCH_PATH).filter(|path| !path.is_empty()).map(PathBuf::from);
    let remedy = "set FirmwareDir in micad.conf to a writable directory, such as one below /run";
    let dir = match (&host.config.firmware_dir, searched) {
        (Some(dir), Some(searched)) if *dir != searched && dir.as_path() != Path::new(DEFAULT_DIR) => {
            return Finding::error(
                format!("FirmwareDir is {}, but the kernel searches {}", dir.display(), searched.display()),
                "make both the same: firmware_class.path is the kernel's",
            );
        }
        (Some(dir), _) => dir.clone(),
        (None, searched) => searched.unwrap_or_else(|| DEFAULT_DIR.into()),
    };
    let shown = dir.display();
    match statvfs(host.at(&dir)).map_err(std::io::Error::from) {
        Ok(data) if data.f_flag.contains(StatVfsMountFlags::RDONLY) => {
            Finding::error(format!("{shown} is on a read-only file system"), remedy)
        }
        Ok(_) => Finding::ok(shown.to_string()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Finding::error(format!("{shown} does not exist"), format!("`mkdir -p {shown}`, or {remedy}"))
        }
        Err(e) => Finding::unread(&dir, &e),
    }
}

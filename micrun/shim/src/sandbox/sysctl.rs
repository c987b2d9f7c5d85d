//! Kernel settings of a pod. Only those that belong to a namespace of the pod's own are set: all others are the
//! machine's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::config::{Config, Mode};
use crate::error::{Error, Result};

/// The settings of an IPC namespace (`ipc_namespaces(7)`).
const IPC: [&str; 9] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
    "fs.mqueue.",
];

/// Refuses settings that would not stay within the pod.
pub(super) fn check(config: &Config, own_network: bool) -> Result<()> {
    config.sysctls.keys().try_for_each(|key| {
        let ipc = IPC.iter().any(|own| key == own || (own.ends_with('.') && key.starts_with(own)));
        let own = (key.starts_with("net.") && own_network) || (ipc && config.ipc != Mode::Node);
        let clean = key.split(['.', '/']).all(|part| !part.is_empty()) && !key.contains('\0');
        if own && clean {
            return Ok(());
        }
        Err(Error::Invalid(format!("the sysctl `{key}` is refused: it belongs to no namespace of the pod")))
    })
}

/// Sets them in the namespaces of the calling thread.
pub(super) fn apply(sysctls: &BTreeMap<String, String>) -> Result<()> {
    for (key, value) in sysctls {
        let path = path(key);
        std::fs::write(&path, value).map_err(Error::io("set", path))?;
    }
    Ok(())
}

/// `net.ipv4.conf.eth0/1.x` is the setting `x` of the device `eth0.1` (sysctl.d(5)).
pub(super) fn path(key: &str) -> PathBuf {
    let swapped = key.chars().map(|letter| match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    });
    Path::new("/proc/sys").join(swapped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(key: &str) -> Config {
        Config { sysctls: [(key.to_owned(), "1".to_owned())].into(), ..Config::default() }
    }

    #[test]
    fn the_pods_own_are_set() {
        for key in ["net.ipv4.ip_forward", "kernel.shmmax", "fs.mqueue.msg_max"] {
            assert!(check(&asking(key), true).is_ok(), "{key}");
        }
        assert_eq!(path("net.ipv4.conf.eth0/1.x"), Path::new("/proc/sys/net/ipv4/conf/eth0.1/x"));
    }

    #[test]
    fn the_machines_are_refused() {
        for key in ["vm.swappiness", "kernel.panic", "net..x", "net.//.x", "kernel.shmmax.x"] {
            assert!(check(&asking(key), true).is_err(), "{key}");
        }
        assert!(check(&asking("net.ipv4.ip_forward"), false).is_err());
        let shared = Config { ipc: Mode::Node, ..asking("kernel.sem") };
        assert!(check(&shared, true).is_err());
    }
}

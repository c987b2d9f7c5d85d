//! What of a configuration can change while the daemon runs.

use std::path::Path;

use super::Config;

/// What comes of reading the configuration again.
pub(crate) struct Reloaded {
    /// What is in force from now on.
    pub(crate) config: Config,
    /// The keys whose values are others now.
    pub(crate) changed: Vec<&'static str>,
    /// A sentence for each key that only a new daemon takes.
    pub(crate) later: Vec<String>,
}

impl Config {
    /// This configuration, with what `new` can change of it.
    pub(crate) fn reloaded(&self, new: Self) -> Reloaded {
        let path = |path: &Path| path.display().to_string();
        let directory = |config: &Self| config.firmware_dir.as_deref().map(path).unwrap_or_default();
        let consoles = |config: &Self| config.console_dir.as_deref().map(path).unwrap_or_default();
        let socket = |config: &Self| config.metrics_socket.clone().unwrap_or_default();
        let address = |config: &Self| config.metrics_address.map(|it| it.to_string()).unwrap_or_default();
        let collector = |config: &Self| config.trace_endpoint.clone().unwrap_or_default();
        let fixed = [
            ("RuntimeDir", path(&self.runtime_dir), path(&new.runtime_dir)),
            ("ConfDir", path(&self.conf_dir), path(&new.conf_dir)),
            ("PidFile", path(&self.pid_file), path(&new.pid_file)),
            ("FirmwareDir", directory(self), directory(&new)),
            ("SysfsRoot", path(&self.sysfs_root), path(&new.sysfs_root)),
            ("QemuPath", path(&self.qemu_path), path(&new.qemu_path)),
            ("ConsoleDir", consoles(self), consoles(&new)),
            ("QemuUidBase", self.qemu_uid_base.to_string(), new.qemu_uid_base.to_string()),
            ("MetricsSocket", socket(self), socket(&new)),
            ("MetricsAddress", address(self), address(&new)),
            ("TraceEndpoint", collector(self), collector(&new)),
        ];
        let later = fixed.into_iter().filter(|(_, now, then)| now != then).map(|(key, now, then)| {
            format!("{key} stays {now:?} until micad is started anew, which will have it be {then:?}")
        });
        let later = later.collect();
        let config = Self {
            runtime_dir: self.runtime_dir.clone(),
            conf_dir: self.conf_dir.clone(),
            pid_file: self.pid_file.clone(),
            firmware_dir: self.firmware_dir.clone(),
            sysfs_root: self.sysfs_root.clone(),
            qemu_path: self.qemu_path.clone(),
            qemu_uid_base: self.qemu_uid_base,
            console_dir: self.console_dir.clone(),
            metrics_socket: self.metrics_socket.clone(),
            metrics_address: self.metrics_address,
            trace_endpoint: self.trace_endpoint.clone(),
            ..new
        };
        let changed = [
            ("DefaultPedestal", self.default_pedestal != config.default_pedestal),
            ("AllowedUids", self.allowed_uids != config.allowed_uids),
            ("SharedCpus", self.shared_cpus != config.shared_cpus),
            ("WaitingMachines", self.waiting_machines != config.waiting_machines),
            ("WaitingMemory", self.waiting_memory_mb != config.waiting_memory_mb),
            ("ConsoleRing", self.console_ring != config.console_ring),
            ("Channels", self.channels != config.channels),
            ("MetricsClients", self.metrics_clients != config.metrics_clients),
            ("CoreDir", self.core_dir != config.core_dir),
            ("Coredump", self.coredump != config.coredump),
            ("CoreTotal", self.core_total_mb != config.core_total_mb),
            ("CorePerClient", self.core_per_client_mb != config.core_per_client_mb),
            ("LogFormat", self.log_format != config.log_format),
            ("[Policy]", self.policy != config.policy),
        ];
        let changed = changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect();
        Reloaded { config, changed, later }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_stays_and_is_told() {
        let now = Config { runtime_dir: "/a".into(), allowed_uids: vec![1], ..Config::default() };
        let new = Config {
            runtime_dir: "/b".into(),
            allowed_uids: vec![2],
            qemu_uid_base: 7,
            metrics_address: Some("127.0.0.1:1".parse().unwrap()),
            ..Config::default()
        };
        let Reloaded { config, changed, later } = now.reloaded(new);
        assert_eq!(config, Config { allowed_uids: vec![2], ..now.clone() });
        assert_eq!(changed, ["AllowedUids"]);
        assert_eq!(later.len(), 3, "{later:?}");
        assert_eq!(
            later[0],
            "RuntimeDir stays \"/a\" until micad is started anew, which will have it be \"/b\""
        );
        let Reloaded { changed, later, .. } = config.reloaded(config.clone());
        assert!(changed.is_empty() && later.is_empty());
    }
}

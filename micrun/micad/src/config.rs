//! The daemon's own configuration: `/etc/mica/micad.conf`, overridden by the command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Parser;
use micrun_firmware::ini::{self, Fault, Ini, Section, Top};
use micrun_firmware::policy::DAEMON_SECTION;
use micrun_firmware::{Coredump, Policy, SharedCpus};
use micrun_trace::Settings;

use crate::error::file;
use crate::logger::LogFormat;
use crate::{Error, Result};

mod reload;
mod values;

pub(crate) use reload::Reloaded;
use values::{
    channels, directory, loopback, megabytes, ring, shared_cpus, shown_clients, socket_name, text, uid,
    waiting_machines,
};

/// The section of micad.conf that is read.
const SECTION: &str = "Micad";
/// The suffix of sockets in the runtime directory that are no client's.
pub(crate) const SOCKET_SUFFIX: &str = "sock";

/// The mica daemon: runs RTOS firmware and serves the mica protocol.
///
/// SIGTERM and SIGINT end the daemon, not the firmware: the next micad takes it over. SIGHUP has it read its
/// configuration again.
#[derive(Debug, Parser)]
#[command(name = "micad", version)]
pub struct Options {
    /// Configuration file. The default one may be missing.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of the sockets and of the clients' state.
    #[arg(long, value_name = "DIR")]
    pub runtime_dir: Option<PathBuf>,
    /// Directory of the clients' conf files, whose `AutoBoot` clients are started.
    #[arg(long, value_name = "DIR")]
    pub conf_dir: Option<PathBuf>,
    /// File for the daemon's process id.
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Pedestal of clients that name none; without it, `baremetal` if a remoteproc is free, else `qemu`.
    #[arg(long, value_name = "NAME")]
    pub default_pedestal: Option<String>,
    /// Directory for firmware that the kernel is to load.
    #[arg(long, value_name = "DIR")]
    pub firmware_dir: Option<PathBuf>,
    /// Directory that stands for `/` in what the baremetal pedestal uses: for tests.
    #[arg(long, value_name = "DIR", hide = true)]
    pub sysfs_root: Option<PathBuf>,
    /// Directory of the qemu-system-* programs.
    #[arg(long, value_name = "DIR")]
    pub qemu_path: Option<PathBuf>,
    /// User id of the first client's QEMU; each further client gets the next one.
    #[arg(long, value_name = "UID")]
    pub qemu_uid_base: Option<u32>,
    /// Most machines that are started ahead and wait for a firmware; 0 for none.
    #[arg(long, value_name = "NUMBER")]
    pub waiting_machines: Option<usize>,
    /// Serve metrics over HTTP on a Unix socket of this name in the runtime directory, such as `metrics.sock`.
    #[arg(long, value_name = "NAME", value_parser = socket_name)]
    pub metrics_socket: Option<String>,
    /// Serve metrics over HTTP on this loopback address, such as `127.0.0.1:9743`, to every local user.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = loopback)]
    pub metrics_address: Option<SocketAddr>,
    /// Most clients that have metrics of their own.
    #[arg(long, value_name = "NUMBER", value_parser = shown_clients)]
    pub metrics_clients: Option<usize>,
    /// How log lines are written: `plain`, `logfmt` or `json`.
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// A user who may use the sockets, besides root and the daemon's own user (may be repeated).
    #[arg(long = "allow-uid", value_name = "UID")]
    pub allow_uid: Vec<u32>,
    /// Relay a console: what the daemon starts for each.
    #[arg(long, hide = true)]
    pub relay: bool,
    /// Log more: -v for every step.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Directory of the sockets and of the clients' state.
    pub runtime_dir: PathBuf,
    /// Directory of the clients' conf files.
    pub conf_dir: PathBuf,
    /// File for the daemon's process id.
    pub pid_file: PathBuf,
    /// Pedestal of clients that name none; chosen for each if there is none.
    pub default_pedestal: Option<String>,
    /// Directory for firmware that the kernel is to load; the kernel's own if there is none.
    pub firmware_dir: Option<PathBuf>,
    /// Directory with `sys`, `dev` and `lib/firmware`.
    pub sysfs_root: PathBuf,
    /// Directory of the emulators.
    pub qemu_path: PathBuf,
    /// User id of the first client's QEMU.
    pub qemu_uid_base: u32,
    /// Users, beside root and the daemon's own, who may use the sockets.
    pub allowed_uids: Vec<u32>,
    /// The CPUs for firmware without CPUs of its own.
    pub shared_cpus: Option<SharedCpus>,
    /// Most machines that wait for a firmware.
    pub waiting_machines: usize,
    /// Most memory in MiB that they have to themselves.
    pub waiting_memory_mb: u64,
    /// Bytes that are kept of each console.
    pub console_ring: u64,
    /// Directory for them; without one, the runtime directory.
    pub console_dir: Option<PathBuf>,
    /// Names of rpmsg channels, besides terminals, that are streams of their clients.
    pub channels: Vec<String>,
    /// Name of the socket for metrics in the runtime directory.
    pub metrics_socket: Option<String>,
    /// Loopback address for metrics.
    pub metrics_address: Option<SocketAddr>,
    /// Most clients that have metrics of their own.
    pub metrics_clients: usize,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// The collector of traces.
    pub trace_endpoint: Option<String>,
    /// Directory of the cores.
    pub core_dir: PathBuf,
    /// Of which ends there are cores, if the client does not say.
    pub coredump: Coredump,
    /// Most memory in MiB that all cores have on the disk.
    pub core_total_mb: u64,
    /// The same of one client's.
    pub core_per_client_mb: u64,
    /// What every client is held to.
    pub policy: Policy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            runtime_dir: libmica::names::RUNTIME_DIR.into(),
            conf_dir: "/etc/mica".into(),
            pid_file: "/run/micad.pid".into(),
            default_pedestal: None,
            firmware_dir: None,
            sysfs_root: "/".into(),
            qemu_path: "/usr/bin".into(),
            // Above what Linux distributions give to people, services and containers; systemd's
            // documented ranges (UIDS-GIDS) end below, at 1879048191.
            qemu_uid_base: 1_900_000_000,
            allowed_uids: Vec::new(),
            shared_cpus: None,
            waiting_machines: 0,
            waiting_memory_mb: 128,
            console_ring: 1 << 20,
            console_dir: None,
            channels: Vec::new(),
            metrics_socket: None,
            metrics_address: None,
            metrics_clients: 200,
            log_format: LogFormat::default(),
            trace_endpoint: None,
            core_dir: "/var/lib/mica/cores".into(),
            coredump: Coredump::Off,
            core_total_mb: 1024,
            core_per_client_mb: 256,
            policy: Policy::of_daemon(Self::FILE),
        }
    }
}

impl Config {
    /// Where [`Options::config`] is looked for by default.
    pub const FILE: &str = "/etc/mica/micad.conf";

    /// The configuration that `options` ask for: built-in defaults, then the file, then the options; and what the user
    /// should know about the file.
    pub fn load(options: &Options) -> Result<(Self, Vec<String>)> {
        Self::load_below(Path::new("/"), options)
    }

    /// The same with the file below `root`.
    pub(crate) fn load_below(root: &Path, options: &Options) -> Result<(Self, Vec<String>)> {
        let mut config = Self::default();
        let mut warnings = Vec::new();
        let shown = options.config.as_deref().unwrap_or(Path::new(Self::FILE));
        config.policy = Policy::of_daemon(&shown.display().to_string());
        // A relative one is the caller's.
        let path = &shown.strip_prefix("/").map_or_else(|_| shown.to_owned(), |below| root.join(below));
        match ini::load(path) {
            Ok(text) => warnings = config.read_ini(shown, &text)?,
            Err(e) if options.config.is_none() && e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(file("read", path)(e)),
        }
        let set = |field: &mut PathBuf, value: &Option<PathBuf>| {
            if let Some(value) = value {
                field.clone_from(value);
            }
        };
        set(&mut config.runtime_dir, &options.runtime_dir);
        set(&mut config.conf_dir, &options.conf_dir);
        set(&mut config.pid_file, &options.pid_file);
        set(&mut config.qemu_path, &options.qemu_path);
        set(&mut config.sysfs_root, &options.sysfs_root);
        config.default_pedestal = options.default_pedestal.clone().or(config.default_pedestal);
        config.firmware_dir = options.firmware_dir.clone().or(config.firmware_dir);
        config.waiting_machines = options.waiting_machines.unwrap_or(config.waiting_machines);
        config.log_format = options.log_format.unwrap_or(config.log_format);
        config.qemu_uid_base = options.qemu_uid_base.unwrap_or(config.qemu_uid_base);
        config.metrics_socket = options.metrics_socket.clone().or(config.metrics_socket);
        config.metrics_address = options.metrics_address.or(config.metrics_address);
        config.metrics_clients = options.metrics_clients.unwrap_or(config.metrics_clients);
        config.allowed_uids.extend(&options.allow_uid);
        config.runtime_dir = std::path::absolute(&config.runtime_dir)
            .map_err(file("find the full path of", config.runtime_dir.clone()))?;
        Ok((config, warnings))
    }

    /// Takes what `text` says; gives what of it is not known.
    fn read_ini(&mut self, path: &Path, text: &str) -> Result<Vec<String>> {
        let wrong = |fault: Fault| Error::Config { path: path.to_owned(), problem: fault.to_string() };
        let mut ini = Ini::parse(text, Top::Refused(SECTION)).map_err(wrong)?;
        let (mut section, mut policy) = (ini.take(SECTION), ini.take(DAEMON_SECTION));
        let place = path.display().to_string();
        self.read_section(&mut section, &place).map_err(wrong)?;
        self.policy.read(&mut policy, &place).map_err(wrong)?;
        let unknown = [section.unknown(), policy.unknown(), ini.unknown(&[SECTION, DAEMON_SECTION])];
        Ok(unknown.concat().into_iter().map(|warning| format!("{place}: {warning}")).collect())
    }

    fn read_section(&mut self, section: &mut Section, place: &str) -> Result<(), Fault> {
        for (key, field) in [
            ("RuntimeDir", &mut self.runtime_dir),
            ("ConfDir", &mut self.conf_dir),
            ("PidFile", &mut self.pid_file),
            ("SysfsRoot", &mut self.sysfs_root),
            ("QemuPath", &mut self.qemu_path),
            ("CoreDir", &mut self.core_dir),
        ] {
            if let Some(value) = section.get(key, text)? {
                *field = value.into();
            }
        }
        self.default_pedestal = section.get("DefaultPedestal", text)?.or(self.default_pedestal.take());
        self.firmware_dir = section.get("FirmwareDir", text)?.map(PathBuf::from).or(self.firmware_dir.take());
        self.qemu_uid_base = section.get("QemuUidBase", uid)?.unwrap_or(self.qemu_uid_base);
        let uids = |text: &str| text.split_ascii_whitespace().map(uid).collect();
        self.allowed_uids = section.get("AllowedUids", uids)?.unwrap_or_default();
        let cpus = section.get(SharedCpus::KEY, shared_cpus)?;
        self.waiting_machines =
            section.get("WaitingMachines", waiting_machines)?.unwrap_or(self.waiting_machines);
        self.waiting_memory_mb = section.get("WaitingMemory", megabytes)?.unwrap_or(self.waiting_memory_mb);
        self.core_total_mb = section.get("CoreTotal", megabytes)?.unwrap_or(self.core_total_mb);
        self.core_per_client_mb = section.get("CorePerClient", megabytes)?.unwrap_or(self.core_per_client_mb);
        self.coredump = section.get("Coredump", str::parse)?.unwrap_or(self.coredump);
        self.console_ring = section.get("ConsoleRing", ring)?.unwrap_or(self.console_ring);
        self.console_dir = section.get("ConsoleDir", directory)?.or(self.console_dir.take());
        self.channels = section.get("Channels", channels)?.unwrap_or_default();
        self.metrics_socket = section.get("MetricsSocket", socket_name)?;
        self.metrics_address = section.get("MetricsAddress", loopback)?;
        self.metrics_clients = section.get("MetricsClients", shown_clients)?.unwrap_or(self.metrics_clients);
        self.log_format = section.get("LogFormat", str::parse)?.unwrap_or(self.log_format);
        let endpoint = |text: &str| Settings::parse_endpoint(text).map_err(|error| error.to_string());
        self.trace_endpoint = section.get("TraceEndpoint", endpoint)?;
        self.shared_cpus = cpus.map(|cpus| SharedCpus { cpus, place: place.to_owned() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// An empty value is an absent key, as in client.conf.
    #[test]
    fn the_documented_configuration_is_the_default_one() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/MICAD.md");
        let page = std::fs::read_to_string(page).unwrap();
        let example = page.split("```").find(|block| block.contains("[Micad]\n")).unwrap();
        let mut config = Config::default();
        config.read_ini(Path::new("micad.conf"), example).unwrap();
        assert_eq!(config, Config::default());
    }

    #[test]
    fn every_key_is_read() {
        let text = "[Micad]\nRuntimeDir = /a\nConfDir = /b\nPidFile = /c\nDefaultPedestal = qemu\n\
            FirmwareDir = /d\nSysfsRoot = /e\nQemuPath = /f\nQemuUidBase = 7\nAllowedUids = 1 2\nSharedCpus = 0\n\
            WaitingMachines = 3\nWaitingMemory = 99\n\
            ConsoleRing = 64\nConsoleDir = /g\nChannels = rpmsg-raw a_b\n\
            MetricsSocket = m.sock\nMetricsAddress = [::1]:1\nMetricsClients = 1000\n\
            LogFormat = json\nTraceEndpoint = unix:///g\n\
             CoreDir = /g\nCoredump = fault\nCoreTotal = 5\nCorePerClient = 4\n\
            [Policy]\nAllowedPedestals = qemu\nMaxMemory = 64\n";
        let mut config = Config { policy: Policy::of_daemon("micad.conf"), ..Config::default() };
        config.read_ini(Path::new("micad.conf"), text).unwrap();
        let mut policy = Policy::of_daemon("micad.conf");
        policy
            .read(&mut Ini::parse(text, Top::Refused(SECTION)).unwrap().take(DAEMON_SECTION), "micad.conf")
            .unwrap();
        assert_eq!(config.policy.memory_mb.value, Some(64));
        assert!(config.policy.pedestals.check("pedestal", "baremetal").is_err());
        let expected = Config {
            runtime_dir: "/a".into(),
            conf_dir: "/b".into(),
            pid_file: "/c".into(),
            default_pedestal: Some("qemu".into()),
            firmware_dir: Some("/d".into()),
            sysfs_root: "/e".into(),
            qemu_path: "/f".into(),
            qemu_uid_base: 7,
            allowed_uids: vec![1, 2],
            shared_cpus: Some(SharedCpus { cpus: "0".parse().unwrap(), place: "micad.conf".into() }),
            waiting_machines: 3,
            waiting_memory_mb: 99,
            console_ring: 64 << 10,
            console_dir: Some("/g".into()),
            channels: vec!["rpmsg-raw".into(), "a_b".into()],
            metrics_socket: Some("m.sock".into()),
            metrics_address: Some("[::1]:1".parse().unwrap()),
            metrics_clients: 1000,
            log_format: LogFormat::Json,
            trace_endpoint: Some("unix:///g".into()),
            core_dir: "/g".into(),
            coredump: Coredump::Fault,
            core_total_mb: 5,
            core_per_client_mb: 4,
            policy,
        };
        assert_eq!(config, expected);
    }

    /// As it is shipped it changes nothing, and what it proposes is understood.
    #[test]
    fn the_shipped_configuration_is_the_default_one() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../etc/mica/micad.conf");
        let text = std::fs::read_to_string(file).unwrap();
        let mut shipped = Config::default();
        shipped.read_ini(Path::new(Config::FILE), &text).unwrap();
        assert_eq!(shipped, Config::default());
        let proposed: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("; ") && !line.starts_with(";SharedCpus"))
            .map(|line| line.trim_start_matches(';'))
            .collect();
        shipped.read_ini(Path::new(Config::FILE), &proposed.join("\n")).unwrap();
        assert_eq!(shipped.policy.vcpus.value, Some(8));
    }

    #[test]
    fn a_pool_is_of_cpus_that_are_there() {
        for (text, words) in [("8000", "not among the CPUs of this machine"), ("x", "not a list of CPUs")] {
            let text = format!("[Micad]\nSharedCpus = {text}\n");
            let said = Config::default().read_ini(Path::new("micad.conf"), &text).unwrap_err().to_string();
            assert!(said.contains("line 2") && said.contains(words), "{said}");
        }
    }

    #[test]
    fn metrics_are_served_on_this_machine_alone() {
        for (line, words) in [
            (
                "MetricsAddress = 0.0.0.0:9743",
                "0.0.0.0:9743 can be reached by other machines: write 127.0.0.1",
            ),
            ("MetricsAddress = [fe80::1]:9743", "can be reached by other machines"),
            ("MetricsAddress = localhost:9743", "\"localhost:9743\" is not an address and a port, such as"),
            ("MetricsSocket = /tmp/metrics.sock", "is not a name for a socket in RuntimeDir"),
            ("MetricsSocket = ../metrics.sock", "is not a name for a socket in RuntimeDir"),
            ("MetricsSocket = client.socket", "is not a name for a socket in RuntimeDir"),
            ("MetricsSocket = .sock", "is not a name for a socket in RuntimeDir"),
            ("Channels = rpmsg-raw a/b", "\"a/b\" is not the name of an rpmsg channel: write letters"),
            ("MetricsClients = 1001", "metrics of 1001 clients are too many: 1000 can have their own"),
        ] {
            let text = format!("[Micad]\n{line}\n");
            let said = Config::default().read_ini(Path::new("micad.conf"), &text).unwrap_err().to_string();
            assert!(said.contains("line 2") && said.contains(words), "{said}");
        }
    }
}

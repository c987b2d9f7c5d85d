//! From a client's conf file to its create message.

use std::path::{Path, PathBuf};

use libmica::CreateMessage;
use micrun_firmware::{ClientConf, Pedestal, Stop, ini, vigil};

use crate::error::file;
use crate::{Error, Result};

/// A client as its conf file describes it.
#[derive(Debug)]
pub(crate) struct ConfiguredClient {
    /// The file.
    pub(crate) path: PathBuf,
    /// What to create.
    pub(crate) message: CreateMessage,
    /// Whether to start it with the daemon.
    pub(crate) auto_boot: bool,
    /// How it is to be watched over and stopped: keys and values of `set`.
    pub(crate) vigil: Vec<(&'static str, String)>,
    /// What the user should know about the file.
    pub(crate) warnings: Vec<String>,
}

/// Reads the conf file at `path`.
pub(crate) fn read(path: &Path) -> Result<ConfiguredClient> {
    // QEMU's part of the file is read again by the daemon, whose working directory is another.
    let path = std::path::absolute(path).map_err(file("find the full path of", path))?;
    let conf = parse(&path)?;
    describe(path, &conf)
}

fn describe(path: PathBuf, conf: &ClientConf) -> Result<ConfiguredClient> {
    let wrong = |source| Error::ClientConf { path: path.clone(), source };
    let mica = &conf.mica;
    // Upstream's command sends -1 for what is not there.
    let number = |n: Option<u32>| n.and_then(|n| i32::try_from(n).ok()).unwrap_or(-1);
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    let mut pedestal_conf = PathBuf::from(text(&mica.pedestal_conf));
    if matches!(mica.pedestal, None | Some(Pedestal::Qemu)) && pedestal_conf.as_os_str().is_empty() {
        pedestal_conf.clone_from(&path);
    }
    let message = CreateMessage {
        name: conf.name().map_err(wrong)?.to_owned(),
        path: conf.client_path().map_err(wrong)?.into(),
        pedestal: mica.pedestal.map_or("", Pedestal::as_str).to_owned(),
        pedestal_conf,
        debug: mica.debug.unwrap_or_default(),
        cpu: text(&mica.cpu),
        vcpus: number(mica.vcpu),
        max_vcpus: number(mica.max_vcpu),
        cpu_weight: number(mica.cpu_weight),
        cpu_capacity: number(mica.cpu_capacity),
        memory: number(mica.memory),
        max_memory: number(mica.max_memory),
        iomem: text(&mica.iomem),
        network: text(&mica.network),
    };
    let auto_boot = mica.auto_boot.unwrap_or_default();
    let said = conf.annotations().map_err(wrong)?;
    let timeout = said.stop_timeout.filter(|limit| !limit.is_zero());
    let stop = Stop { command: said.stop_command, timeout };
    let vigil = vigil::commands(said.coredump, said.watchdog.unwrap_or_default(), &stop);
    Ok(ConfiguredClient { warnings: conf.warnings().to_vec(), path, message, auto_boot, vigil })
}

/// Reads all clients' conf files of `dir`, in the order of their names: each is a client or an error. Files
/// that are not `*.conf` or have nothing in `[Mica]` are none; nor is there any in a directory that is not.
pub(crate) fn read_all(dir: &Path) -> Result<Vec<Result<ConfiguredClient>>> {
    let dir = &std::path::absolute(dir).map_err(file("find the full path of", dir))?;
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(file("read", dir))?,
    };
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(file("read", dir))?;
    // One that cannot be looked at is an error of its own, below.
    let is_conf = |path: &PathBuf| match path.metadata() {
        Ok(found) => found.is_file(),
        Err(e) => e.kind() != std::io::ErrorKind::NotFound,
    };
    paths.retain(|path| path.extension().is_some_and(|e| e == "conf") && is_conf(path));
    paths.sort();
    let found = paths.into_iter().filter_map(|path| match parse(&path) {
        Ok(conf) => conf.describes_client().then(|| describe(path, &conf)),
        Err(e) => Some(Err(e)),
    });
    Ok(found.collect())
}

/// Reads and checks a conf file.
pub(crate) fn parse(path: &Path) -> Result<ClientConf> {
    let text = ini::load(path).map_err(file("read", path))?;
    ClientConf::parse(&text).map_err(|source| Error::ClientConf { path: path.to_owned(), source })
}

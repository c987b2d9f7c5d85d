//! The shim's own configuration: `/etc/mica/micrun/micrun.conf`, then every file of `conf.d`, then the environment.
//! Each key has the value that comes last; nothing is replaced as a whole. `docs/MICRUN_CONF.md` is generated from
//! the table.

mod board;
mod doc;
mod read;
mod table;
pub mod variables;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub use board::HostBoard;
pub use doc::page;
pub use table::{Excess, Key, TABLE, Target};

use variables::{CONF_DIR, CONF_FILE, Effect, VARIABLES};

use crate::annotations::{self, Annotations, CONFIG_PATH, parse_bool};
use crate::policy::ContainerPolicy;
use crate::rootfs::boards::name_fault;
use crate::text::{hint, quoted};
use crate::{Error, Result, ini};

/// The file.
pub const FILE: &str = "/etc/mica/micrun/micrun.conf";
/// The directory whose files are read after it, in the order of their names.
pub const DIR: &str = "/etc/mica/micrun/conf.d";
/// Below this a container's `config_path` may name a further file; elsewhere it could read what it likes.
pub const CONFIG_PATH_ROOT: &str = "/etc/mica";
/// What the environment's variables begin with; the key follows in capitals.
pub const ENV_PREFIX: &str = "MICRUN_";
/// What messages call containerd's runtime options.
const RUNTIME_OPTIONS: &str = "the runtime options";
/// Variables of the tests.
const ENV_TEST: &str = "MICRUN_TEST_";
/// The memory that an emulator needs beside its machine's, in MiB.
pub const EMULATOR_OVERHEAD_MB: u32 = 128;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The text in containerd's runtime options.
    RuntimeOptions,
    /// A variable of the environment.
    Environment(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::RuntimeOptions => f.write_str(RUNTIME_OPTIONS),
            Self::Environment(name) => write!(f, "${name}"),
        }
    }
}

/// Where to read.
#[derive(Debug, Clone)]
pub struct Locations {
    /// The file; it need not exist.
    pub file: PathBuf,
    /// The directory of further files; it need not exist.
    pub dir: PathBuf,
    /// A further file, which must exist.
    pub extra: Option<PathBuf>,
    /// The file of a container's annotation, which must exist. It sets nothing of the policy.
    pub of_container: Option<PathBuf>,
    /// A further text, TOML, as containerd's configuration may hold.
    pub body: Option<String>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
}

impl Locations {
    /// The usual places, or those that the environment names.
    pub fn from_env(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let environment: BTreeMap<_, _> =
            environment.into_iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
        let place = |name: &str, usual: &str| {
            environment.get(name).filter(|path| !path.is_empty()).map_or(usual.into(), PathBuf::from)
        };
        let (file, dir) = (place(CONF_FILE, FILE), place(CONF_DIR, DIR));
        Self { file, dir, extra: None, of_container: None, body: None, environment }
    }

    /// The same and the file of a container's `config_path`, which must be below [`CONFIG_PATH_ROOT`].
    pub fn with_config_path(mut self, path: &str) -> Result<Self> {
        let refuse = |reason: &str| Error::HostConf { place: path.to_owned(), reason: reason.to_owned() };
        let real = std::fs::canonicalize(path).map_err(|error| refuse(&error.to_string()))?;
        if !real.starts_with(CONFIG_PATH_ROOT) {
            return Err(refuse("an annotation may only name a file below /etc/mica"));
        }
        self.of_container = Some(real);
        Ok(self)
    }
}

/// A key as it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its value, as written.
    pub value: String,
    /// Where it was written last.
    pub source: Source,
}

/// The configuration of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostConf {
    entries: BTreeMap<&'static str, Entry>,
    annotations: Annotations,
    policy: ContainerPolicy,
    overhead_mb: Option<u32>,
    leaves_pool: bool,
    warnings: Vec<String>,
}

impl HostConf {
    /// The configuration for a container with these annotations, which may name a further file, but need the host's
    /// permission for all that they say.
    pub fn for_container(locations: Locations, annotations: &BTreeMap<String, String>) -> Result<Self> {
        let host = Self::load(&locations)?;
        host.policy.check_annotations(annotations.keys())?;
        match annotations.get(CONFIG_PATH) {
            Some(path) => Self::load(&locations.with_config_path(path)?),
            None => Ok(host),
        }
    }

    /// Reads all. A file that is there and cannot be read or understood is an error; a variable of the
    /// environment that cannot be understood is ignored with a warning, as upstream does, unless it is of the policy.
    pub fn load(locations: &Locations) -> Result<Self> {
        let mut conf = Self::default();
        let mut files: Vec<&Path> = Vec::new();
        files.extend(read::is_there(&locations.file)?.then_some(locations.file.as_path()));
        let drop_ins = drop_ins(&locations.dir)?;
        files.extend(drop_ins.iter().map(PathBuf::as_path));
        for file in files {
            conf.read_file(file, Rank::Host)?;
        }
        let (policy, others): (Vec<_>, Vec<_>) =
            locations.environment.iter().partition(|(name, _)| is_policy(&key_of_variable(name)));
        for (name, value) in policy {
            conf.read_variable(name, value)?;
        }
        if let Some(file) = &locations.extra {
            conf.read_file(file, Rank::Container)?;
        }
        if let Some(text) = &locations.body {
            let wrong = |reason: String| Error::HostConf { place: RUNTIME_OPTIONS.to_owned(), reason };
            conf.read(Path::new("options.toml"), text, &Source::RuntimeOptions, Rank::Container)
                .map_err(wrong)?;
        }
        if let Some(file) = &locations.of_container {
            conf.read_file(file, Rank::Container)?;
        }
        for (name, value) in others {
            conf.read_variable(name, value)?;
        }
        Ok(conf)
    }

    fn read_file(&mut self, file: &Path, rank: Rank) -> Result<()> {
        let wrong = |reason: String| Error::HostConf { place: file.display().to_string(), reason };
        let text = ini::load(file).map_err(|error| wrong(error.to_string()))?;
        self.read(file, &text, &Source::File(file.to_owned()), rank).map_err(wrong)
    }

    fn read(&mut self, name: &Path, text: &str, source: &Source, rank: Rank) -> Result<(), String> {
        for pair in read::pairs(name, text)? {
            let done = match rank {
                Rank::Container if is_policy(&pair.key) => {
                    self.narrow(&pair.key, &pair.value, source.clone())
                }
                _ => self.set(&pair.key, &pair.value, source.clone()),
            };
            done.map_err(|reason| pair.refuse(reason))?;
        }
        Ok(())
    }

    fn read_variable(&mut self, name: &str, value: &str) -> Result<()> {
        let key = key_of_variable(name);
        if TABLE.iter().any(|known| known.name == key) {
            match self.set(&key, value, Source::Environment(name.to_owned())) {
                // A rule that is not understood must not be one that does not hold.
                Err(reason) if is_policy(&key) => {
                    return Err(Error::HostConf { place: format!("${name}"), reason });
                }
                Err(reason) => self.warnings.push(format!("${name} is ignored: {reason}")),
                Ok(()) => {}
            }
            return Ok(());
        }
        match VARIABLES.iter().find(|(known, _)| *known == name) {
            Some((_, Effect::Does(_))) => {}
            Some((_, Effect::None(reason))) => {
                self.warnings.push(format!("${name} has no effect here: {reason}"));
            }
            None if name.starts_with(ENV_TEST) => {}
            None => {
                let hint = hint(&key, TABLE.iter().map(|key| key.name));
                self.warnings.push(format!("${name} is not known and has no effect{hint}"));
            }
        }
        Ok(())
    }

    /// Sets a key, or gives the reason for a value that cannot be read.
    fn set(&mut self, name: &str, value: &str, source: Source) -> Result<(), String> {
        let Some(key) = TABLE.iter().find(|key| key.name == name) else {
            let hint = hint(name, TABLE.iter().map(|key| key.name));
            self.warnings
                .push(format!("{source}: the key {} is not known and is ignored{hint}", quoted(name)));
            return Ok(());
        };
        let wrong = |reason| format!("{name}: {reason}");
        match key.target {
            // It may be meant as "nothing" or as "anything".
            Target::Policy(_) if value.is_empty() => {
                return Err(wrong("it has no value; write one, or omit the key".to_owned()));
            }
            // Upstream's way to write "not set".
            _ if value.is_empty()
                || (value == "0" && key.kind == "MiB" && name != "emulator_overhead_mb") =>
            {
                return Ok(());
            }
            Target::Annotation(annotation) => {
                let warning = self.annotations.set(annotation, value).map_err(wrong)?;
                self.warnings.extend(warning.map(|text| format!("{source}: {name}: {text}")));
            }
            Target::Nothing(reason) => {
                self.warnings.push(format!("{source}: {name} has no effect here: {reason}"));
            }
            Target::Policy(_) => self.policy.set(name, value, &source).map_err(wrong)?,
            Target::Shim if name == "shared_cpu_pool" => {
                let shares =
                    parse_bool(value).ok_or_else(|| wrong(format!("{} is not a bool", quoted(value))))?;
                self.leaves_pool = !shares;
            }
            Target::Shim if name == "emulator_overhead_mb" => {
                let number =
                    value.parse().map_err(|_| wrong(format!("{} is not a number", quoted(value))))?;
                self.overhead_mb = Some(number);
            }
            Target::Shim if name == "log_format" => {
                if !matches!(value, "logfmt" | "json") {
                    return Err(wrong(format!("{} is neither logfmt nor json", quoted(value))));
                }
            }
            Target::Shim if name == "board" => {
                if let Some(fault) = name_fault(value) {
                    return Err(wrong(fault));
                }
            }
            Target::Shim if name == "trace_endpoint" => {
                if !["http://", "unix:///"].iter().any(|scheme| value.starts_with(scheme)) {
                    let text = quoted(value);
                    return Err(wrong(format!("{text} is neither http://HOST:PORT nor unix:///PATH")));
                }
            }
            Target::Shim if name == "trace_sample" => {
                if !value.parse().is_ok_and(|share: f64| (0.0..=1.0).contains(&share)) {
                    return Err(wrong(format!("{} is not a number from 0 to 1", quoted(value))));
                }
            }
            Target::Shim if !value.starts_with('/') => {
                return Err(wrong(format!("{} is not an absolute path", quoted(value))));
            }
            Target::Shim => {}
        }
        self.entries.insert(key.name, Entry { value: value.to_owned(), source });
        Ok(())
    }

    /// Lowers a limit of the policy, for whoever may not raise it.
    fn narrow(&mut self, name: &str, value: &str, source: Source) -> Result<(), String> {
        let key = TABLE.iter().find(|key| key.name == name);
        let narrowed =
            self.policy.narrow(name, value, &source).map_err(|reason| format!("{name}: {reason}"))?;
        if let Some(key) = key.filter(|_| narrowed) {
            self.entries.insert(key.name, Entry { value: value.to_owned(), source });
        }
        Ok(())
    }

    /// Every key that was set.
    pub fn entries(&self) -> &BTreeMap<&'static str, Entry> {
        &self.entries
    }

    /// The defaults that it sets for annotations.
    pub fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    /// What it allows.
    pub fn policy(&self) -> &ContainerPolicy {
        &self.policy
    }

    /// Whether firmware without CPUs of its own runs in the daemon's pool, if that has one.
    pub fn uses_shared_cpus(&self) -> bool {
        !self.leaves_pool
    }

    /// The board that it is.
    pub fn board(&self) -> HostBoard {
        match self.entries.get("board") {
            Some(entry) => HostBoard::Named(entry.value.clone(), entry.source.clone()),
            None => HostBoard::of_this_machine(),
        }
    }

    /// Where traces go, if it says so.
    pub fn trace_endpoint(&self) -> Option<&str> {
        self.entries.get("trace_endpoint").map(|entry| entry.value.as_str())
    }

    /// The share of traces that are kept, if it says so.
    pub fn trace_sample(&self) -> Option<f64> {
        self.entries.get("trace_sample").and_then(|entry| entry.value.parse().ok())
    }

    /// Where the shim keeps its containers' files.
    pub fn state_dir(&self) -> PathBuf {
        self.entries.get("state_dir").map_or_else(|| "/run/micrun".into(), |entry| (&entry.value).into())
    }

    /// Whether the shim writes its log as JSON.
    pub fn logs_json(&self) -> bool {
        self.entries.get("log_format").is_some_and(|entry| entry.value == "json")
    }

    /// What a container's memory limit is raised by, in MiB.
    pub fn emulator_overhead_mb(&self) -> u32 {
        self.overhead_mb.unwrap_or(EMULATOR_OVERHEAD_MB)
    }

    /// The file or the variable that decides about the setting `name`, which is that of a [`Row`](crate::settings::Row);
    /// `None` if there is none, or if several may have decided.
    pub fn source_of(&self, name: &str) -> Option<&Source> {
        let decides = |key: &&Key| match key.target {
            Target::Annotation(annotation) => annotation == name || RAISES.contains(&(key.name, name)),
            Target::Policy(_) => LOWERS.contains(&(key.name, name)),
            Target::Shim | Target::Nothing(_) => false,
        };
        let mut set = TABLE.iter().filter(decides).filter_map(|key| self.entries.get(key.name));
        let first = set.next()?;
        set.next().is_none().then_some(&first.source)
    }

    /// What an operator should be told; a sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Keys that raise a setting.
const RAISES: [(&str, &str); 1] = [("container_minmem", "Mica.Memory")];
/// Keys of the policy that lower a setting.
const LOWERS: [(&str, &str); 3] = [
    ("container_maxmem", "Mica.Memory"),
    ("max_container_vcpu", "Mica.VCPU"),
    ("max_container_vcpu", "container.max_vcpu_num"),
];

/// Who names a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    /// The host's administrator.
    Host,
    /// Something that comes with a container. Runtime options do: a checkpoint's image has them in it.
    Container,
}

fn key_of_variable(name: &str) -> String {
    name.strip_prefix(ENV_PREFIX).unwrap_or(name).to_lowercase()
}

fn is_policy(key: &str) -> bool {
    TABLE.iter().any(|known| known.name == key && matches!(known.target, Target::Policy(_)))
}

/// The files of a directory that are configuration, in the order of their names.
fn drop_ins(dir: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |error: std::io::Error| Error::HostConf {
        place: dir.display().to_string(),
        reason: error.to_string(),
    };
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(wrong)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(wrong)?.path();
        // One that cannot be looked at fails when it is read.
        if read::is_conf(&path)
            && path.metadata().map_or_else(|e| !read::is_absence(&e), |found| found.is_file())
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The annotation's key in full, for messages.
pub(crate) fn full_key(name: &str) -> String {
    format!("{}{name}", annotations::PREFIX)
}

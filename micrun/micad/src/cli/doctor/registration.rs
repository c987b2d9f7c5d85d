//! containerd's configuration, and whether the runtime is in it.

use std::collections::{BTreeSet, VecDeque};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use micrun_firmware::policy::Patterns;
use toml::{Table, Value};

use super::containerd;
use super::finding::Finding;
use super::host::Host;
use super::program::Version;

/// Where it is unless containerd is told otherwise.
const FILE: &str = "/etc/containerd/config.toml";
/// The runtime's name.
pub(super) const RUNTIME: &str = "io.containerd.mica.v2";
/// An annotation that must reach the shim.
const ANNOTATION: &str = "org.openeuler.micrun.container.firmware_path";
/// The section of pods' runtimes, before and since version 3.
const CRI: &str = "io.containerd.grpc.v1.cri";
const CRI_RUNTIME: &str = "io.containerd.cri.v1.runtime";
/// The versions of the format, and the first containerd that reads each.
const FORMATS: [(i64, Version); 2] = [(3, Version(2, 0, 0)), (4, Version(2, 3, 0))];
const NEWEST: i64 = FORMATS[1].0;
/// The first that finds a relative pattern beside the file that imports it, and not in its own working directory.
const BESIDE: Version = Version(1, 7, 0);
/// The first that merges a plugin's sections; earlier ones take the last.
const MERGES: Version = Version(2, 0, 0);
/// The first that has no fault when a sandbox of the shim's is in the machine's network.
const SANDBOXES: Version = Version(2, 3, 0);
/// A drop-in may import further ones.
const MOST_FILES: usize = 256;

/// A file of the configuration.
#[derive(Debug)]
pub(super) struct Part {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What it says.
    pub(super) table: Table,
}

/// A handler of pods that is this runtime's.
struct Handler<'a> {
    name: &'a str,
    table: &'a Table,
}

impl Part {
    fn version(&self) -> i64 {
        self.table.get("version").and_then(Value::as_integer).unwrap_or(1)
    }

    fn plugin(&self, name: &str) -> Option<&Table> {
        self.table.get("plugins")?.get(name)?.as_table()
    }

    /// The section in which containerd looks for pods' runtimes.
    fn cri(&self) -> Option<&Table> {
        match self.version() {
            ..2 => self.plugin("cri").or_else(|| self.plugin(CRI)),
            2 => self.plugin(CRI),
            _ => self.plugin(CRI_RUNTIME),
        }
    }

    /// The names of plugins that are not to be loaded.
    fn disables(&self, plugins: &[&str]) -> bool {
        let disabled = self.table.get("disabled_plugins").and_then(Value::as_array);
        disabled.into_iter().flatten().filter_map(Value::as_str).any(|name| plugins.contains(&name))
    }
}

/// The handlers of a section that are this runtime's.
fn handlers(section: &Table) -> Vec<Handler<'_>> {
    let runtimes = section.get("containerd").and_then(|it| it.get("runtimes")).and_then(Value::as_table);
    let all = runtimes.into_iter().flatten().filter_map(|(name, value)| Some((name, value.as_table()?)));
    all.filter(|(_, table)| table.get("runtime_type").and_then(Value::as_str) == Some(RUNTIME))
        .map(|(name, table)| Handler { name, table })
        .collect()
}

impl Handler<'_> {
    fn passes_annotations(&self, key: &str) -> bool {
        let listed = self.table.get(key).and_then(Value::as_array).into_iter().flatten();
        Patterns::of(listed.filter_map(Value::as_str)).allows(ANNOTATION)
    }

    fn option(&self, key: &str) -> Option<&str> {
        self.table.get("options")?.get(key)?.as_str()
    }
}

/// The files of the configuration in the order in which containerd reads them; none if there is none. They are read once.
pub(super) fn parts(host: &Host) -> Result<&[Part], Finding> {
    host.containerd_config.get_or_init(|| read(host)).as_deref().map_err(Clone::clone)
}

fn read(host: &Host) -> Result<Vec<Part>, Finding> {
    let named = host.containerd.as_ref().and_then(|it| it.option(&["--config", "-c"])).map(PathBuf::from);
    let first = named.unwrap_or_else(|| FILE.into());
    let (mut parts, mut seen): (Vec<Part>, BTreeSet<PathBuf>) = (Vec::new(), BTreeSet::new());
    let mut pending = VecDeque::from([first.clone()]);
    while let Some(path) = pending.pop_front() {
        if !seen.insert(path.clone()) || seen.len() > MOST_FILES {
            continue;
        }
        let text = match host.text(&path) {
            Ok(text) => text,
            // containerd then has its defaults.
            Err(e) if e.kind() == ErrorKind::NotFound && path == first => break,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let found = format!("{} is imported, but is not there", path.display());
                return Err(Finding::error(found, "correct `imports`: containerd does not start with it"));
            }
            Err(e) => return Err(Finding::unread(&path, &e)),
        };
        let table = parse(&path, &text)?;
        let imports = table.get("imports").and_then(Value::as_array).into_iter().flatten();
        for name in imports.filter_map(Value::as_str) {
            pending.extend(import(host, &path, name)?);
        }
        parts.push(Part { path, table });
    }
    Ok(parts)
}

/// The text as TOML. The message repeats nothing of it, since it may hold passwords.
fn parse(path: &Path, text: &str) -> Result<Table, Finding> {
    text.parse().map_err(|error: toml::de::Error| {
        let begin = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.char_indices().filter(|(at, c)| *at < begin && *c == '\n').count() + 1;
        let found = format!("{} line {line}: {}", path.display(), error.message());
        Finding::error(found, "correct it: containerd does not start with it")
    })
}

/// The files that an entry of `imports` in the file `parent` means.
fn import(host: &Host, parent: &Path, name: &str) -> Result<Vec<PathBuf>, Finding> {
    let beside = parent.parent().unwrap_or(Path::new("/"));
    if !name.contains('*') {
        return Ok(vec![beside.join(name)]);
    }
    let path = match containerd::version(host) {
        Some(version) if version < BESIDE => containerd::working_directory(host).join(name),
        _ => beside.join(name),
    };
    let mut found = vec![PathBuf::new()];
    for component in path.components() {
        let word = component.as_os_str().to_string_lossy();
        if !word.contains('*') {
            for path in &mut found {
                path.push(component);
            }
            continue;
        }
        let pattern = Patterns::of([word]);
        for dir in std::mem::take(&mut found) {
            // What is no directory has nothing in it.
            let names = match host.names(&dir) {
                Err(e) if e.kind() == ErrorKind::NotADirectory => continue,
                names => names.map_err(|e| Finding::unread(&dir, &e))?,
            };
            found.extend(names.iter().filter(|name| pattern.allows(name)).map(|name| dir.join(name)));
        }
    }
    Ok(found)
}

/// Whether containerd can read its configuration.
pub(super) fn configuration(host: &Host) -> Finding {
    let parts = match parts(host) {
        Ok(parts) => parts,
        Err(finding) => return finding,
    };
    let Some(first) = parts.first() else {
        return Finding::ok("there is none, so containerd has its defaults");
    };
    let running = containerd::version(host);
    for part in parts {
        let (version, path) = (part.version(), part.path.display());
        if version > NEWEST {
            let found = format!("{path} has version {version}, which no containerd is known to read");
            return Finding::error(found, format!("write it in version {NEWEST} or less"));
        }
        let needed = FORMATS.iter().rfind(|(format, _)| *format <= version).map(|(_, needed)| *needed);
        if let (Some(needed), Some(running)) = (needed, running)
            && running < needed
        {
            let found = format!("{path} has version {version}, which containerd {running} does not read");
            return Finding::error(
                found,
                format!("write it in an older version, or run containerd {needed}"),
            );
        }
        if version > first.version() {
            let found = format!(
                "{path} has version {version}, and {} that imports it {}",
                first.path.display(),
                first.version()
            );
            return Finding::warning(found, "write both in the same version");
        }
    }
    let names: Vec<_> = parts.iter().map(|part| part.path.display().to_string()).collect();
    Finding::ok(format!("{}, version {}", names.join(", "), first.version()))
}

/// Whether the runtime is in it. Only pods need that.
pub(super) fn registration(host: &Host) -> Finding {
    let Ok(parts) = parts(host) else {
        return Finding::note("containerd's configuration cannot be read", "see containerd.config");
    };
    let by_path = "ctr and nerdctl find the shim by its name on PATH";
    let pods = "for pods, put the runtime into containerd's configuration: docs/KUBERNETES.md, A node";
    let section = effective(host, parts);
    let found = handlers(&section);
    if found.is_empty() {
        return unregistered(parts)
            .unwrap_or_else(|| Finding::note(format!("no handler for pods; {by_path}"), pods));
    }
    let names: Vec<_> = found.iter().map(|handler| handler.name).collect();
    let said = format!("handler {}", names.join(", "));
    let off = ["cri", CRI, CRI_RUNTIME];
    if let Some(part) = parts.iter().find(|part| part.disables(&off)) {
        let found = format!("{said}, but disabled_plugins in {} has the CRI plugin", part.path.display());
        return Finding::warning(found, "remove it from the list if this machine is to run pods");
    }
    let deaf = |key: &str| found.iter().find(|handler| !handler.passes_annotations(key));
    for key in ["pod_annotations", "container_annotations"] {
        if let Some(handler) = deaf(key) {
            let found = format!("handler {} passes no annotation of ours: {key} lacks them", handler.name);
            return Finding::warning(found, format!("{key} = [\"org.openeuler.micrun.*\"]"));
        }
    }
    Finding::ok(format!("{said}; {by_path}"))
}

/// Whether this containerd ends by a pod in the machine's network whose sandbox is the shim's (containerd#12983).
pub(super) fn sandboxer(host: &Host) -> Finding {
    let Ok(parts) = parts(host) else {
        return Finding::note("containerd's configuration cannot be read", "see containerd.config");
    };
    let section = effective(host, parts);
    let by_shim =
        |handler: &&Handler<'_>| handler.table.get("sandboxer").and_then(Value::as_str) == Some("shim");
    let found = handlers(&section);
    let Some(handler) = found.iter().find(by_shim) else {
        return Finding::ok("every handler has pause containers");
    };
    let said = format!("handler {} has none, but sandboxes of the shim", handler.name);
    match containerd::version(host) {
        Some(version) if version < SANDBOXES => Finding::warning(
            format!("{said}: a pod with `hostNetwork: true` ends containerd {version} (containerd#12983)"),
            format!("install containerd {SANDBOXES}, or give such pods another handler"),
        ),
        _ => Finding::ok(said),
    }
}

/// The section of pods' runtimes that counts.
fn effective(host: &Host, parts: &[Part]) -> Table {
    let merges = containerd::version(host).is_some_and(|version| version >= MERGES);
    let mut section = Table::new();
    for other in parts.iter().filter_map(Part::cri) {
        if !merges {
            section.clear();
        }
        merge(&mut section, other);
    }
    section
}

/// Lists grow, tables are merged, and all else is replaced.
fn merge(into: &mut Table, from: &Table) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(new)) => old.extend(new.iter().cloned()),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

/// What hides a handler that some file has, if that is so.
fn unregistered(parts: &[Part]) -> Option<Finding> {
    let replaced = parts.iter().find(|part| part.cri().is_some_and(|section| !handlers(section).is_empty()));
    if let (Some(part), Some(last)) = (replaced, parts.iter().rfind(|part| part.cri().is_some())) {
        let found = format!(
            "{} has a handler, but {} has the same plugin's section, which replaces it",
            part.path.display(),
            last.path.display()
        );
        return Some(Finding::warning(found, "put all of the plugin's settings into one file"));
    }
    let elsewhere = |part: &&Part| {
        let sections = ["cri", CRI, CRI_RUNTIME].into_iter().filter_map(|name| part.plugin(name));
        sections.into_iter().any(|section| !handlers(section).is_empty())
    };
    let part = parts.iter().find(elsewhere)?;
    let section = if part.version() > 2 { CRI_RUNTIME } else { CRI };
    let found = format!(
        "{} has a handler in a section that version {} of the format does not read",
        part.path.display(),
        part.version()
    );
    Some(Finding::warning(found, format!("write it below [plugins.\"{section}\"]")))
}

/// Where containerd keeps images and snapshots.
pub(super) fn store(host: &Host) -> PathBuf {
    place(host, "root", "/var/lib/containerd")
}

/// Where it keeps what a reboot may take away.
pub(super) fn state(host: &Host) -> PathBuf {
    place(host, "state", "/run/containerd")
}

/// A directory of containerd: by its command line, else its configuration, else its default.
fn place(host: &Host, key: &str, usual: &str) -> PathBuf {
    let option = format!("--{key}");
    let named = host.containerd.as_ref().and_then(|it| it.option(&[&option])).map(PathBuf::from);
    named.unwrap_or_else(|| {
        let parts = parts(host).unwrap_or_default();
        let set = parts.iter().rev().find_map(|part| part.table.get(key)?.as_str());
        set.filter(|path| !path.is_empty()).unwrap_or(usual).into()
    })
}

/// An option that a handler gives the shim, from the first that has it.
pub(super) fn option(host: &Host, key: &str) -> Option<String> {
    let parts = parts(host).ok()?;
    handlers(&effective(host, parts)).iter().find_map(|handler| handler.option(key).map(str::to_owned))
}

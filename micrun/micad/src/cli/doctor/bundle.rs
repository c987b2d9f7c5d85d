//! The support archive: the report, and what somebody who was not there needs besides. It holds no secret: no variable of
//! any environment, no password, no firmware, and nothing that firmware has written.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::Value;

use super::host::Host;
use super::report::Report;
use super::{docker, kernel, leftovers, program, registration, secrets};
use crate::pedestal::kernel_log;

/// The directory that the archive unpacks to.
const TOP: &str = "mica-doctor";
/// What a line of the kernel's log has that is ours.
const WORDS: [&str; 4] = ["remoteproc", "rproc", "rpmsg", "mica"];
/// The last lines of micad's journal.
const LINES: &str = "2000";
/// What is told of a cgroup.
const FILES: [&str; 7] = [
    "cgroup.controllers",
    "cgroup.subtree_control",
    "cpu.max",
    "cpuset.cpus.effective",
    "memory.max",
    "pids.current",
    "pids.max",
];

/// Writes the archive to `file`, whole or not at all, for its owner alone.
pub(super) fn write(host: &Host, report: &Report, file: &Path) -> anyhow::Result<()> {
    let unwritten = || format!("cannot write {}", file.display());
    let name = file.file_name().with_context(unwritten)?.to_string_lossy();
    // Nobody's file is opened: a link by that name would be refused.
    let part = file.with_file_name(format!(".{name}.{}", std::process::id()));
    let to = File::options().write(true).create_new(true).mode(0o600).open(&part).with_context(unwritten)?;
    let written = archive(host, report, to).and_then(|to| {
        to.sync_all()?;
        fs::rename(&part, file)
    });
    if written.is_err() {
        // What failed is told; a part of an archive is of no use.
        let _ = fs::remove_file(&part);
    }
    written.with_context(unwritten)
}

fn archive(host: &Host, report: &Report, to: File) -> io::Result<File> {
    let mut archive = Archive(tar::Builder::new(GzEncoder::new(to, Compression::default())));
    let mut text = Vec::new();
    report.text(false, &mut text)?;
    archive.add("report.txt", &text)?;
    archive.document("report.json", &report.0)?;
    archive.add("versions.txt", versions(host).as_bytes())?;
    archive.add("clients.json", clients(host).as_bytes())?;
    archive.add("tasks.txt", tasks(host).as_bytes())?;
    archive.add("kernel.txt", kernel_lines(host).as_bytes())?;
    archive.add("journal.txt", journal(host).as_bytes())?;
    archive.add("cgroups.txt", cgroups(host).as_bytes())?;
    for (name, text) in configuration(host) {
        archive.add(&format!("conf{name}"), text.as_bytes())?;
    }
    archive.0.into_inner()?.finish()
}

struct Archive(tar::Builder<GzEncoder<File>>);

impl Archive {
    fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs());
        self.0.append_data(&mut header, format!("{TOP}/{name}"), bytes)
    }

    fn document(&mut self, name: &str, value: &impl Serialize) -> io::Result<()> {
        self.add(name, &serde_json::to_vec_pretty(value)?)
    }
}

/// A text of these lines.
fn lines(all: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut text = String::new();
    for line in all {
        text.push_str(line.as_ref());
        text.push('\n');
    }
    text
}

/// What stands in place of something that could not be had.
fn missing(error: &dyn std::fmt::Display) -> String {
    format!("(not there: {error})\n")
}

fn versions(host: &Host) -> String {
    let daemon = match &host.answers.version {
        Ok(version) => serde_json::to_string(version).unwrap_or_default(),
        Err(e) => e.to_string(),
    };
    let release = kernel::release(host).unwrap_or_default();
    let mut text = vec![
        format!("mica {}", env!("CARGO_PKG_VERSION")),
        format!("daemon: {daemon}"),
        format!("Linux {release}"),
    ];
    for name in ["containerd", "containerd-shim-mica-v2", "crun", "runc", "docker"] {
        let argument = if name.starts_with("containerd-shim") { "-v" } else { "--version" };
        let said = host.program(name).map(|program| host.version_of(&program, argument));
        let said = match said.as_deref() {
            None => "not on PATH",
            Some(Ok(text)) => text.lines().next().unwrap_or_default(),
            Some(Err(_)) => "it does not tell",
        };
        text.push(format!("{name}: {said}"));
    }
    lines(text)
}

/// `mica list --json`, without the words of firmware.
fn clients(host: &Host) -> String {
    let list = match &host.answers.list {
        Ok(list) => list,
        Err(e) => return missing(e),
    };
    let mut list = serde_json::to_value(list).unwrap_or_default();
    for client in list["clients"].as_array_mut().into_iter().flatten() {
        for detail in ["/silent/detail", "/exit/detail"] {
            if let Some(Value::String(text)) = client.pointer_mut(detail) {
                *text = secrets::without_quotes(text).to_owned();
            }
        }
    }
    serde_json::to_string_pretty(&list).unwrap_or_default()
}

/// Namespaces and ids of the tasks that there are.
fn tasks(host: &Host) -> String {
    match leftovers::pairs(host, &leftovers::tasks(host)) {
        Ok(all) => lines(all.iter().map(|(namespace, id)| format!("{namespace} {id}"))),
        Err(e) => missing(&e),
    }
}

fn kernel_lines(host: &Host) -> String {
    match kernel_log::whole(&host.at("/dev/kmsg")) {
        Ok(all) => {
            let ours = all.into_iter().filter(|line| WORDS.iter().any(|word| line.contains(word)));
            lines(ours)
        }
        Err(e) => missing(&e),
    }
}

fn journal(host: &Host) -> String {
    let Some(journalctl) = host.own_program("journalctl") else { return missing(&"no journalctl on PATH") };
    let arguments = ["--unit=micad", "--lines", LINES, "--output=short-iso", "--no-pager", "--quiet"];
    match program::run(&journalctl, &arguments) {
        Ok(text) => lines(text.lines().map(secrets::without_quotes)),
        Err(_) => missing(&"journalctl failed"),
    }
}

/// The settings of the cgroups of the daemons, and of those above them.
fn cgroups(host: &Host) -> String {
    let mut text = Vec::new();
    let processes = [("micad", &host.micad), ("containerd", &host.containerd)];
    for (name, process) in processes {
        let Some(process) = process else { continue };
        text.push(format!("{name}:"));
        for dir in host.cgroups(process, "") {
            for file in FILES {
                if let Some(value) = host.word(dir.join(file)) {
                    text.push(format!("{}: {value}", dir.join(file).display()));
                }
            }
        }
    }
    lines(text)
}

/// Every file of configuration that counts, by its path, without secrets.
fn configuration(host: &Host) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let shim = host.shim_places();
    let mut files = vec![host.config_file.clone(), shim.file];
    for dir in [host.config.conf_dir.clone(), shim.dir] {
        match host.names(&dir) {
            Ok(names) => files.extend(names.iter().map(|name| dir.join(name)).filter(|path| is_conf(path))),
            Err(e) => found.push((format!("{}.txt", dir.display()), missing(&e))),
        }
    }
    files.sort();
    files.dedup();
    for path in files {
        if !matches!(host.has(&path), Ok(false)) {
            let is_toml = path.extension().is_some_and(|it| it == "toml");
            let text = host.text(&path);
            let text = text.map(|text| if is_toml { toml(&text) } else { secrets::clean_ini(&text) });
            found.push((path.display().to_string(), text.unwrap_or_else(|e| missing(&e))));
        }
    }
    match registration::parts(host) {
        Ok(parts) => found.extend(parts.iter().map(|part| {
            let name = format!("{}.json", part.path.display());
            (name, document(serde_json::to_value(&part.table)))
        })),
        Err(finding) => found.push(("/containerd.txt".to_owned(), missing(&finding.found))),
    }
    if let Ok(text) = host.text(docker::FILE) {
        found.push((docker::FILE.to_owned(), document(serde_json::from_str(&text))));
    }
    found
}

fn is_conf(path: &Path) -> bool {
    path.extension().is_some_and(|it| ["conf", "ini", "toml"].iter().any(|known| it == *known))
}

/// TOML becomes JSON here, whose values can be removed whatever form they were written in.
fn toml(text: &str) -> String {
    match text.parse::<toml::Table>() {
        Ok(table) => document(serde_json::to_value(table)),
        Err(_) => missing(&"it is no TOML"),
    }
}

fn document(value: serde_json::Result<Value>) -> String {
    match value {
        Ok(mut value) => {
            secrets::clean(&mut value);
            serde_json::to_string_pretty(&value).unwrap_or_default()
        }
        Err(_) => missing(&"it cannot be read as what it is to be"),
    }
}

//! The answer to `inspect`: everything that is known of a client.

use std::os::unix::fs::MetadataExt;

use serde_json::{Map, Value, json};

use super::Daemon;
use super::client::Client;
use super::state::Create;
use super::table::usage;
use crate::Result;
use crate::pedestal::{Rings, Runner};

/// QEMU's options that say what it emulates, and what they are called here.
const SETTINGS: [(&str, &str); 7] = [
    ("-machine", "machine"),
    ("-accel", "accelerator"),
    ("-cpu", "cpu"),
    ("-smp", "vcpus"),
    ("-m", "memory"),
    ("-bios", "bios"),
    ("-append", "bootargs"),
];

impl Daemon {
    /// Everything about `client`. Blocks.
    pub(super) fn inspect(&self, client: &Client) -> Result<Value> {
        let snapshot = client.snapshot();
        let mut document = match json!(self.entry(client, &snapshot)) {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let spec = &client.spec;
        let mut put = |key: &str, value: Value| {
            if !value.is_null() {
                document.insert(key.to_owned(), value);
            }
        };
        put("starts", json!(snapshot.run));
        put("began_at", json!(snapshot.began_at));
        put("usage", json!(usage(&snapshot, &self.hierarchies)));
        put("conf", json!(Create(spec.message.clone())));
        put("qemu", json!(spec.qemu));
        put("directory", json!(spec.dir));
        put("core", json!(snapshot.place));
        put("gdb", json!(snapshot.gdb));
        let consoles = snapshot.services.iter();
        let consoles = consoles.map(|service| json!({"name": service.name, "device": service.device}));
        put("consoles", Value::Array(consoles.collect()));
        put("console", json!(Rings::of(&self.config.get()).counts(spec)));
        if let Some(pid) = snapshot.runner.and_then(Runner::pid) {
            let command = command(pid);
            put("settings", settings(&command));
            put("process", json!({"pid": pid, "user": user(pid), "command": command}));
            put("cgroup", json!(self.hierarchies.account_of(pid).map(|account| account.path)));
        }
        put("history", json!(self.chronicle.endings.of(spec.name())?));
        Ok(Value::Object(document))
    }
}

/// The command line of a process; empty once it is gone.
fn command(pid: u32) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    if line.is_empty() {
        return Vec::new();
    }
    line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// The user as whom a process runs.
fn user(pid: u32) -> Option<u32> {
    std::fs::metadata(format!("/proc/{pid}")).ok().map(|found| found.uid())
}

/// What a QEMU emulates, by its own command line: that is what it was told, whoever has decided it.
fn settings(command: &[String]) -> Value {
    let mut found = Map::new();
    let mut devices = Vec::new();
    for pair in command.windows(2) {
        let [option, value] = pair else { continue };
        if let Some((_, key)) = SETTINGS.iter().find(|(known, _)| known == option) {
            found.insert((*key).to_owned(), json!(value));
        } else if option == "-device" {
            devices.push(value.clone());
        }
    }
    found.insert("devices".to_owned(), json!(devices));
    Value::Object(found)
}

//! The settings as they are shown: one list for the builder's `inspect`, the shim's `--print-config` and
//! `docs/IMAGE_BUILDER.md`.

use std::fmt::Display;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Origin, Setting, Settings};
use crate::Pedestal;

/// A setting as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Where it can be said: an annotation without its prefix, or a section of client.conf and its key.
    pub key: &'static str,
    /// The value that applies; a text where it is neither a number nor a truth value.
    pub value: Value,
    /// Where it comes from.
    #[serde(rename = "from", serialize_with = "display")]
    pub origin: Origin,
}

impl Row {
    fn new<T>(key: &'static str, setting: &Setting<T>, value: impl Into<Value>) -> Self {
        Self { key, value: value.into(), origin: setting.origin }
    }

    /// The value as people read it.
    pub fn text(&self) -> String {
        plain(&self.value)
    }
}

/// A value as people read it: a text without quotation marks.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Settings {
    /// Every setting that has a meaning on the pedestal.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = vec![
            Row::new("container.os", &self.os, self.os.value.to_string()),
            Row::new("ped.pedestal", &self.pedestal, self.pedestal.value.to_string()),
        ];
        if matches!(self.pedestal.value, Pedestal::Qemu | Pedestal::Xen) {
            let memory = Some(self.memory_mb.value).filter(|megabytes| *megabytes > 0);
            rows.push(Row::new(
                "Mica.Memory",
                &self.memory_mb,
                memory.map_or("the board's".into(), Value::from),
            ));
            rows.push(Row::new("Mica.VCPU", &self.vcpu, self.vcpu.value));
        }
        if self.pedestal.value == Pedestal::Xen {
            rows.push(Row::new("container.max_vcpu_num", &self.max_vcpu, self.max_vcpu.value));
        }
        if self.pedestal.value == Pedestal::Qemu {
            let (machine, cpu) = (&self.qemu_machine, &self.qemu_cpu);
            rows.push(Row::new("Qemu.Machine", machine, machine.value.to_string()));
            rows.push(Row::new("Qemu.CPU", cpu, or(cpu.value.as_ref(), "the machine's")));
            if let Some(bios) = &self.qemu_bios.value {
                rows.push(Row::new("Qemu.Bios", &self.qemu_bios, bios.to_string()));
            }
            rows.push(Row::new("container.trace_context", &self.trace_context, self.trace_context.value));
        }
        let after = self.auto_close.value.map(humantime::format_duration);
        let limit = self.ready_timeout.value.map(humantime::format_duration);
        let stop = self.stop_timeout.value.map(humantime::format_duration);
        let greeting = Some(&self.greeting.value).filter(|greeting| !greeting.bytes().is_empty());
        rows.extend([
            Row::new("container.auto_close_timeout", &self.auto_close, or(after, "never")),
            Row::new("container.console", &self.console, self.console.value.to_string()),
            Row::new("container.coredump", &self.coredump, or(self.coredump.value, "the daemon's")),
            Row::new("container.greeting", &self.greeting, or(greeting, "none")),
            Row::new("container.ready", &self.ready, or(self.ready.value.as_ref(), "none")),
            Row::new("container.ready_timeout", &self.ready_timeout, or(limit, "none")),
            Row::new(
                "container.shell_prompt",
                &self.shell_prompt,
                or(self.shell_prompt.value.as_ref(), "none"),
            ),
            Row::new("container.stderr", &self.stderr, or(self.stderr.value.as_ref(), "none")),
            Row::new(
                "container.stop_command",
                &self.stop_command,
                or(self.stop_command.value.as_ref(), "none"),
            ),
            Row::new("container.stop_timeout", &self.stop_timeout, or(stop, "none")),
            Row::new("container.watchdog", &self.watchdog, self.watchdog.value.to_string()),
            Row::new("runtime.debug", &self.debug, self.debug.value),
            Row::new("runtime.static_resource", &self.static_resource, self.static_resource.value),
        ]);
        rows
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants this signature")]
fn display<S: Serializer>(origin: &Origin, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(origin)
}

fn or(value: Option<impl Display>, absent: &str) -> String {
    value.map_or_else(|| absent.to_owned(), |value| value.to_string())
}

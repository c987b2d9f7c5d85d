//! The effective settings, as lines of a report.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use micrun_firmware::annotations::PREFIX;
use micrun_firmware::{Firmware, Setting, Settings};
use serde_json::Value;

use super::report::{ImageReport, SettingLine};

/// One line per setting, with its origin.
pub(super) fn lines(settings: &Settings) -> Vec<SettingLine> {
    let auto_close = settings
        .auto_close
        .value
        .map_or("never".to_owned(), |after| humantime::format_duration(after).to_string());
    let machine = settings.qemu_machine.value.as_ref().map_or("virt".to_owned(), ToString::to_string);
    vec![
        line("container.os", text(settings.os.value), &settings.os),
        line("ped.pedestal", text(settings.pedestal.value), &settings.pedestal),
        line("memory_mb", settings.memory_mb.value.into(), &settings.memory_mb),
        line("vcpu", settings.vcpu.value.into(), &settings.vcpu),
        line("max_vcpu", settings.max_vcpu.value.into(), &settings.max_vcpu),
        line("qemu.machine", machine.into(), &settings.qemu_machine),
        line("container.auto_close_timeout", auto_close.into(), &settings.auto_close),
        line("runtime.debug", settings.debug.value.into(), &settings.debug),
    ]
}

fn line<T>(key: &'static str, value: Value, setting: &Setting<T>) -> SettingLine {
    SettingLine { key, value, from: setting.origin.to_string() }
}

fn text(value: impl Display) -> Value {
    value.to_string().into()
}

/// What the image's own labels and annotations say and no runtime passes on.
///
/// Neither ctr nor CRI hands them to a shim; an image that relies on them runs otherwise than it says.
pub(super) fn unheard(report: &ImageReport, root: &Path, given: &BTreeMap<String, String>) -> Vec<String> {
    let mut all: BTreeMap<String, String> = report.labels.clone();
    all.extend(report.annotations.clone());
    all.retain(|key, _| key.starts_with(PREFIX));
    if all.is_empty() {
        return Vec::new();
    }
    all.extend(given.clone());
    let heard = match Firmware::resolve(root, &all) {
        Ok(firmware) => lines(&firmware.settings),
        Err(e) => return vec![format!("the image's labels and annotations do not fit its content: {e}")],
    };
    let differing = report.settings.iter().zip(heard).filter(|(now, then)| now.value != then.value);
    differing
        .map(|(now, then)| {
            format!(
                "the image's labels or annotations ask for {}={}, but no runtime passes them to a shim: {} applies",
                then.key, plain(&then.value), plain(&now.value)
            )
        })
        .collect()
}

/// A value as people read it.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

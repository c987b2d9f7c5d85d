//! `--print-config [--json] [BUNDLE]`: every effective value of the configuration and where it comes from; with a
//! bundle, those of its firmware.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use micrun_firmware::host_conf::{Key, Locations, TABLE, Target};
use micrun_firmware::{Firmware, HostConf, Setting, annotations, is_firmware};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::oci::bundle::Spec;

/// The option that asks for it; containerd's own have one dash.
const OPTION: &str = "--print-config";

/// What to print.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    json: bool,
    bundle: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report {
    settings: Vec<Line>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Line {
    key: String,
    value: String,
    from: String,
}

impl Request {
    /// Reads the arguments; `None` if they ask for something else.
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>> {
        let arguments: Vec<OsString> = arguments.collect();
        let Some(rest) = arguments.strip_prefix(&[OsString::from(OPTION)][..]) else { return Ok(None) };
        let mut request = Self::default();
        for argument in rest {
            if argument == "--json" {
                request.json = true;
            } else if argument.as_encoded_bytes().starts_with(b"-") || request.bundle.is_some() {
                return Err(Error::Usage(format!(
                    "usage: containerd-shim-mica-v2 {OPTION} [--json] [BUNDLE]"
                )));
            } else {
                request.bundle = Some(argument.into());
            }
        }
        Ok(Some(request))
    }
}

/// The text to print.
pub(crate) fn text(request: &Request) -> Result<String> {
    let report = report(request.bundle.as_deref(), &Locations::from_env(std::env::vars()))?;
    if request.json {
        let text = serde_json::to_string_pretty(&report);
        return text.map(|text| text + "\n").map_err(|source| Error::Json { path: OPTION.into(), source });
    }
    let width =
        |column: fn(&Line) -> &str| report.settings.iter().map(|l| column(l).len()).max().unwrap_or(0);
    let (keys, values) = (width(|line| &line.key), width(|line| &line.value));
    let lines = report
        .settings
        .iter()
        .map(|Line { key, value, from }| format!("{key:keys$}  {value:values$}  {from}\n"));
    let warnings = report.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    Ok(lines.chain(warnings).collect())
}

fn report(bundle: Option<&Path>, places: &Locations) -> Result<Report> {
    let Some(bundle) = bundle else {
        let host = HostConf::load(places)?;
        return Ok(Report { settings: host_lines(&host), warnings: host.warnings().to_vec() });
    };
    let spec = Spec::read(bundle)?;
    let rootfs = spec.rootfs(bundle);
    if !is_firmware(&rootfs, &spec.annotations) {
        return Err(Error::Invalid(format!(
            "`{}` is no firmware's root file system; if it is empty, mount it, or look at a running container",
            rootfs.display()
        )));
    }
    let mut places = places.clone();
    if let Some(path) = spec.annotations.get("org.openeuler.micrun.config_path") {
        places = places.with_config_path(path)?;
    }
    let host = HostConf::load(&places)?;
    let firmware = Firmware::resolve_on(&host, &rootfs, &spec.annotations)?;
    let mut settings = firmware_lines(&host, &firmware);
    settings.extend(host_lines(&host));
    let warnings = [firmware.warnings.as_slice(), host.warnings()].concat();
    Ok(Report { settings, warnings })
}

fn host_lines(host: &HostConf) -> Vec<Line> {
    let shown = TABLE.iter().filter(|key| !matches!(key.target, Target::Nothing(_)));
    shown
        .map(|key| {
            let (value, from) = match host.entries().get(key.name) {
                Some(entry) => (entry.value.clone(), entry.source.to_string()),
                None => (default(key).replace('`', ""), "default".to_owned()),
            };
            Line { key: key.name.to_owned(), value, from }
        })
        .collect()
}

/// What applies without a key of micrun.conf: for most, what applies without the annotation.
fn default(key: &Key) -> &'static str {
    let Target::Annotation(name) = key.target else { return key.default };
    annotations::TABLE.iter().find(|known| known.name == name).map_or(key.default, |known| known.default)
}

fn firmware_lines(host: &HostConf, firmware: &Firmware) -> Vec<Line> {
    let settings = &firmware.settings;
    let line = |key: &str, value: String, from: String| Line { key: key.to_owned(), value, from };
    let said = |key: &str, setting: Setting<String>| {
        // The file says more than "micrun.conf".
        let file =
            (setting.origin == micrun_firmware::Origin::HostConf).then(|| host.source_of(key)).flatten();
        let from = file.map_or_else(|| setting.origin.to_string(), ToString::to_string);
        line(key, setting.value, from)
    };
    let optional = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    macro_rules! setting {
        ($field:ident, $show:expr) => {{
            let show = $show;
            Setting { value: show(settings.$field.value.clone()), origin: settings.$field.origin }
        }};
    }
    vec![
        line("firmware", firmware.file.path.display().to_string(), firmware.elf.machine.to_string()),
        said("container.os", setting!(os, |os: micrun_firmware::Os| os.to_string())),
        said("ped.pedestal", setting!(pedestal, |p: micrun_firmware::Pedestal| p.to_string())),
        said("Memory", setting!(memory_mb, |n: u32| n.to_string())),
        said("VCPU", setting!(vcpu, |n: u32| n.to_string())),
        said("container.max_vcpu_num", setting!(max_vcpu, |n: u32| n.to_string())),
        said(
            "container.auto_close_timeout",
            setting!(auto_close, |d: Option<std::time::Duration>| optional(
                d.map(|d| humantime::format_duration(d).to_string())
            )),
        ),
        said("runtime.debug", setting!(debug, |on: bool| on.to_string())),
        said("runtime.static_resource", setting!(static_resource, |on: bool| on.to_string())),
        said("container.shell_prompt", setting!(shell_prompt, optional)),
        said(
            "Machine",
            setting!(qemu_machine, |m: Option<micrun_firmware::client_conf::Machine>| optional(
                m.map(|m| m.to_string())
            )),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Option<Request>> {
        Request::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn arguments() {
        assert_eq!(parse(&["-namespace", "n", "start"]).unwrap(), None);
        assert_eq!(parse(&["--print-config"]).unwrap(), Some(Request::default()));
        let all = Request { json: true, bundle: Some("/b".into()) };
        assert_eq!(parse(&["--print-config", "--json", "/b"]).unwrap(), Some(all));
        assert!(parse(&["--print-config", "--jsno"]).is_err());
        assert!(parse(&["--print-config", "/a", "/b"]).is_err());
    }

    #[test]
    fn every_key_with_an_effect_is_shown() {
        let places = Locations {
            file: "/nonexistent/micrun.conf".into(),
            dir: "/nonexistent/conf.d".into(),
            extra: None,
            body: None,
            environment: [("MICRUN_CONTAINER_MINMEM".to_owned(), "48".to_owned())].into(),
        };
        let report = report(None, &places).unwrap();
        let line = report.settings.iter().find(|line| line.key == "container_minmem").unwrap();
        assert_eq!((line.value.as_str(), line.from.as_str()), ("48", "$MICRUN_CONTAINER_MINMEM"));
        let state = report.settings.iter().find(|line| line.key == "state_dir").unwrap();
        assert_eq!((state.value.as_str(), state.from.as_str()), ("/run/micrun", "default"));
        let memory = report.settings.iter().find(|line| line.key == "container_maxmem").unwrap();
        assert_eq!((memory.value.as_str(), memory.from.as_str()), ("no ceiling", "default"));
    }
}

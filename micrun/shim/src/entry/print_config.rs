//! `--print-config [--json] [BUNDLE]`: every effective value of the configuration and where it comes from; with a
//! bundle, those of its firmware.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use micrun_firmware::host_conf::{Key, Locations, TABLE, Target};
use micrun_firmware::settings::plain;
use micrun_firmware::{Firmware, HostConf, Origin, annotations, is_firmware};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::oci::bundle::Spec;
use crate::rtos::create::apply_memory_limit;

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
    value: Value,
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
    let lines: Vec<_> =
        report.settings.iter().map(|line| (&line.key, plain(&line.value), &line.from)).collect();
    let keys = lines.iter().map(|(key, ..)| key.len()).max().unwrap_or(0);
    let values = lines.iter().map(|(_, value, _)| value.len()).max().unwrap_or(0);
    let lines = lines.into_iter().map(|(key, value, from)| format!("{key:keys$}  {value:values$}  {from}\n"));
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
            "`{}` is not the root file system of a firmware; if it is empty, mount the image there",
            rootfs.display()
        )));
    }
    let host = HostConf::for_container(places.clone(), &spec.annotations)?;
    let mut firmware = Firmware::resolve_on(&host, &rootfs, &spec.annotations)?;
    apply_memory_limit(&mut firmware, &spec.linux.resources, host.policy())?;
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
            Line { key: key.name.to_owned(), value: value.into(), from }
        })
        .collect()
}

/// What applies without a key of micrun.conf: for most, what applies without the annotation.
fn default(key: &Key) -> &'static str {
    let Target::Annotation(name) = key.target else { return key.default };
    annotations::TABLE.iter().find(|known| known.name == name).map_or(key.default, |known| known.default)
}

fn firmware_lines(host: &HostConf, firmware: &Firmware) -> Vec<Line> {
    let path = Line {
        key: "firmware".to_owned(),
        value: firmware.file.path.display().to_string().into(),
        from: firmware.elf.machine.to_string(),
    };
    let rows = firmware.settings.rows().into_iter().map(|row| {
        // The file says more than "micrun.conf".
        let file = (row.origin == Origin::HostConf).then(|| host.source_of(row.key)).flatten();
        let from = file.map_or_else(|| row.origin.to_string(), ToString::to_string);
        Line { key: row.key.to_owned(), value: row.value, from }
    });
    std::iter::once(path).chain(rows).collect()
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
            of_container: None,
            body: None,
            environment: [("MICRUN_CONTAINER_MINMEM".to_owned(), "48".to_owned())].into(),
        };
        let report = report(None, &places).unwrap();
        let line = report.settings.iter().find(|line| line.key == "container_minmem").unwrap();
        assert_eq!((plain(&line.value).as_str(), line.from.as_str()), ("48", "$MICRUN_CONTAINER_MINMEM"));
        let state = report.settings.iter().find(|line| line.key == "state_dir").unwrap();
        assert_eq!((plain(&state.value).as_str(), state.from.as_str()), ("/run/micrun", "default"));
        let memory = report.settings.iter().find(|line| line.key == "container_maxmem").unwrap();
        assert_eq!((plain(&memory.value).as_str(), memory.from.as_str()), ("no limit", "default"));
        let pedestals = report.settings.iter().find(|line| line.key == "allowed_pedestals").unwrap();
        assert!(plain(&pedestals.value).starts_with("qemu; another one only if"));
    }
}

//! Our own configuration, read by those who will read it.

use std::io::ErrorKind;

use super::finding::Finding;
use super::host::Host;
use super::registration;
use crate::conf;

/// micad.conf.
pub(super) fn daemon(host: &Host) -> Finding {
    host.config_finding.clone()
}

/// The clients' conf files, and the firmware that they name.
pub(super) fn clients(host: &Host) -> Finding {
    let dir = &host.config.conf_dir;
    let found = match conf::read_all(&host.at(dir)) {
        Ok(found) => found,
        Err(crate::Error::File { source, .. }) => return Finding::unread(dir, &source),
        Err(e) => return Finding::warning(e.sentence(), "see docs/CLIENT_CONF.md"),
    };
    let (mut findings, mut names) = (Vec::new(), Vec::new());
    for configured in found {
        let configured = match configured {
            Ok(configured) => configured,
            Err(crate::Error::File { source, path, .. }) if source.kind() == ErrorKind::PermissionDenied => {
                findings.push(Finding::unread(&path, &source));
                continue;
            }
            Err(e) => {
                let remedy = "correct it (docs/CLIENT_CONF.md): micad does not create its client";
                findings.push(Finding::warning(e.sentence(), remedy));
                continue;
            }
        };
        let path = configured.path.display();
        for warning in &configured.warnings {
            findings.push(Finding::note(format!("{path}: {warning}"), "correct or remove the key"));
        }
        let firmware = &configured.message.path;
        match host.has(firmware) {
            Ok(true) => {}
            Ok(false) => {
                let found = format!("{path} names {}, which is not there", firmware.display());
                findings.push(Finding::warning(found, "correct ClientPath, or install the firmware"));
            }
            Err(e) => findings.push(Finding::unread(firmware, &e)),
        }
        names.push(configured.message.name);
    }
    Finding::all(findings, || match names.as_slice() {
        [] => Finding::ok(format!("no client in {}", dir.display())),
        names => Finding::ok(names.join(", ")),
    })
}

/// micrun.conf and what belongs to it.
pub(super) fn shim(host: &Host) -> Finding {
    let mut locations = host.shim_locations();
    let extra = registration::option(host, "ConfigPath").filter(|path| !path.is_empty());
    locations.extra = extra.map(|path| host.at(path));
    // What may not be seen is not absent.
    let seen = [&locations.file, &locations.dir].into_iter().find_map(|path| {
        let error = path.try_exists().err()?;
        Some(Finding::unread(path, &error))
    });
    if let Some(finding) = seen {
        return finding;
    }
    if let Err(e) = std::fs::File::open(&locations.file)
        && e.kind() == ErrorKind::PermissionDenied
    {
        return Finding::unread(&locations.file, &e);
    }
    match micrun_firmware::HostConf::load(&locations) {
        Err(e) => {
            let remedy = "correct it (docs/MICRUN_CONF.md): no firmware container is created with it";
            Finding::error(e.to_string(), remedy)
        }
        Ok(conf) if !conf.warnings().is_empty() => {
            Finding::warning(conf.warnings().join("; "), "correct or remove what is not known")
        }
        Ok(conf) if conf.entries().is_empty() => Finding::ok("nothing is set, so the defaults apply"),
        Ok(conf) => Finding::ok(format!("{} keys are set", conf.entries().len())),
    }
}

//! The clock: certificates, logs and the ages of images depend on it.

use std::time::SystemTime;

use super::finding::Finding;
use super::host::Host;
use super::program;

/// Whether it shows a time at which this program existed.
pub(super) fn time(_: &Host) -> Finding {
    let now = SystemTime::now();
    let written = std::env::current_exe().and_then(|file| file.metadata()?.modified());
    let shown = |time: SystemTime| humantime::format_rfc3339_seconds(time).to_string();
    match written {
        Ok(written) if written > now => Finding::error(
            format!("the clock says {}, but this program is of {}", shown(now), shown(written)),
            "set the clock: until then certificates of registries are refused as not yet valid",
        ),
        _ => Finding::ok(shown(now)),
    }
}

/// Whether something keeps it right.
pub(super) fn synchronised(host: &Host) -> Finding {
    let Some(program) = host.own_program("timedatectl") else {
        return Finding::ok("not known: there is no timedatectl");
    };
    let said = program::run(&program, &["show", "--property=NTPSynchronized", "--value"]);
    match said.as_deref().map(str::trim) {
        Ok("yes") => Finding::ok("yes, as timedatectl says"),
        Ok("no") => Finding::note(
            "no, as timedatectl says",
            "run a time service: `systemctl enable --now systemd-timesyncd`, or chrony",
        ),
        // Without systemd it has nobody to ask.
        _ => Finding::ok("not known: timedatectl does not answer"),
    }
}

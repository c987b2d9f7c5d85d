//! The command line by which a debugger gets at firmware.

use std::path::Path;

/// gdb on the firmware at `elf`, connected to `target`: a socket, or `|` and a program. Upstream's `mica` hands the line to
/// a shell.
pub(super) fn command(elf: &Path, target: &str) -> String {
    let elf = quoted(&elf.display().to_string());
    let connect = quoted(&format!("target remote {target}"));
    format!("gdb {elf} -ex 'set remotetimeout unlimited' -ex {connect}")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

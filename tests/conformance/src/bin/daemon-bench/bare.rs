//! QEMU as somebody would start it by hand, with the options that micad gives it where they cost time.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use micrun_host_tests::firmware;

/// The machine of a client without settings, with 64 MiB.
const OPTIONS: &str = "-nodefaults -no-user-config -display none \
    -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny \
    -machine virt,gic-version=3,acpi=off -accel tcg,tb-size=32 -cpu cortex-a53 -m 64 -serial stdio";

/// The time from its start to the first byte of the firmware.
pub(crate) fn first_byte() -> Duration {
    let begun = Instant::now();
    let mut emulator = Command::new("qemu-system-aarch64")
        .args(OPTIONS.split_whitespace())
        .arg("-kernel")
        .arg(firmware::demo())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("QEMU can be run");
    let console = emulator.stdout.as_mut().expect("it has a pipe");
    console.read_exact(&mut [0]).expect("the firmware writes");
    let time = begun.elapsed();
    emulator.kill().unwrap();
    emulator.wait().unwrap();
    time
}

//! QEMU as somebody would start it by hand, with the options that micad gives it where they cost time.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use micrun_host_tests::firmware;

/// The machine of a client without settings, with 64 MiB.
const OPTIONS: &str = "-nodefaults -no-user-config -display none \
    -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny \
    -machine virt,gic-version=3,acpi=off -accel tcg,tb-size=32 -cpu cortex-a53 -m 64 -serial stdio";

/// The time from its start to the first byte of the firmware.
pub(crate) fn first_byte() -> Duration {
    let begun = Instant::now();
    let mut emulator = start();
    emulator.stdout.as_mut().expect("it has a pipe").read_exact(&mut [0]).expect("the firmware writes");
    let time = begun.elapsed();
    end(emulator);
    time
}

/// The time that the answer to a command takes, and how many bytes it has; `is_over` says of what has come whether that is
/// all.
pub(crate) fn answer(command: &str, is_over: impl Fn(&[u8]) -> bool) -> (Duration, usize) {
    let mut emulator = start();
    let (input, output) = (emulator.stdin.as_mut(), emulator.stdout.as_mut());
    let (input, output) = (input.expect("it has a pipe"), output.expect("it has a pipe"));
    let mut read = || {
        let (mut seen, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
        while !is_over(&seen) {
            let count = output.read(&mut chunk).expect("the firmware writes");
            assert!(count > 0, "QEMU has ended");
            seen.extend_from_slice(&chunk[..count]);
        }
        seen.len()
    };
    read();
    let begun = Instant::now();
    input.write_all(command.as_bytes()).expect("the firmware reads");
    let count = read();
    let time = begun.elapsed();
    end(emulator);
    (time, count)
}

fn start() -> Child {
    Command::new("qemu-system-aarch64")
        .args(OPTIONS.split_whitespace())
        .arg("-kernel")
        .arg(firmware::demo())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("QEMU can be run")
}

fn end(mut emulator: Child) {
    emulator.kill().unwrap();
    emulator.wait().unwrap();
}

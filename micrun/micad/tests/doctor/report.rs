//! The report as a whole.

use std::io::Read;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::machine::Machine;

#[test]
fn a_sound_machine_is_told_to_be_sound() {
    let machine = Machine::new();
    let findings = machine.examine();
    assert_eq!(findings.status, 0, "{findings:#?}");
    let notes: Vec<_> = findings.lines.values().filter(|line| line["level"] != "ok").collect();
    // There is no Docker, which is no fault.
    assert!(notes.is_empty(), "{notes:#?}");
    for line in findings.lines.values() {
        let keys: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["check", "found", "level", "remedy"]);
    }
}

/// Whoever the worst finding is of.
#[test]
fn the_status_is_that_of_the_worst_finding() {
    let machine = Machine::new();
    let status = |machine: &Machine| machine.examine().status;
    machine.script("timedatectl", "echo no");
    assert_eq!(status(&machine), 0);
    machine.remove("bin/crun");
    assert_eq!(status(&machine), 3);
    machine.write("etc/mica/micad.conf", "[Micad]\nQemuUidBase = many\n");
    assert_eq!(status(&machine), 4);
    let usage = machine.mica(&["--no-such-option"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    let unwritable = machine.mica(&["--bundle", "/no/such/directory/file"]).output().unwrap();
    assert_eq!(unwritable.status.code(), Some(1));
    let error = String::from_utf8(unwritable.stderr).unwrap();
    assert!(error.contains("cannot write /no/such/directory/file"), "{error}");
}

#[test]
fn people_get_a_line_for_each_check_below_its_group() {
    let machine = Machine::new();
    machine.write("etc/mica/micad.conf", "[Micad]\nNoSuchKey = 1\n");
    let output = machine.mica(&[]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("kernel\n  ok       version       Linux 6.12.48-test\n"), "{text}");
    let lines: Vec<_> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("  warning  config")).unwrap();
    assert!(lines[at].contains("the key \"nosuchkey\" is not known"), "{text}");
    assert_eq!(lines[at + 1].trim(), "-> correct or remove what is not known");
    assert!(text.ends_with("checks; errors: 0, warnings: 1, notes: 0\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_terminal_has_colours_unless_the_user_objects() {
    let machine = Machine::new();
    for (variable, coloured) in [("", true), ("1", false)] {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = ptsname(&master, Vec::new()).unwrap();
        let slave = std::fs::OpenOptions::new().read(true).write(true).open(slave.to_str().unwrap()).unwrap();
        let mut command = machine.mica(&[]);
        command.env("NO_COLOR", variable).stdin(Stdio::null()).stdout(slave);
        let mut child = command.spawn().unwrap();
        // With it goes the last writer beside the child.
        drop(command);
        let (mut text, mut chunk) = (Vec::new(), [0; 4096]);
        let mut master = std::fs::File::from(master);
        // A terminal without a writer ends with an error.
        while let Ok(n @ 1..) = master.read(&mut chunk) {
            text.extend(&chunk[..n]);
        }
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("version"), "{text}");
        assert_eq!(text.contains("\u{1b}[32mok"), coloured, "{text}");
    }
}

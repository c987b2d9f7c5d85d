//! micad: whether it answers, which it is, and its configuration.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::thread;

use libmica::ext::EXTENSIONS;
use serde_json::json;

use crate::machine::{MICAD, Machine};

/// A daemon that reads a request and answers it like this; with no answer it hangs.
fn impostor(machine: &Machine, answer: Option<&str>) {
    std::fs::create_dir_all(machine.path("run/mica")).unwrap();
    machine.mode("run/mica", 0o700);
    let listener = UnixListener::bind(machine.path("run/mica/mica-create.socket")).unwrap();
    machine.mode("run/mica/mica-create.socket", 0o600);
    let answer = answer.map(str::to_owned);
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 32];
            let _ = stream.read(&mut request);
            match &answer {
                Some(answer) => stream.write_all(answer.as_bytes()).unwrap(),
                None => open.push(stream),
            }
        }
    });
}

#[test]
fn a_daemon_that_is_not_there() {
    let mut machine = Machine::new();
    let own = concat!("micad ", env!("CARGO_PKG_VERSION"), " with the pedestals");
    machine.examine().assert("micad.daemon", "ok", own);
    machine.stop_micad();
    machine.examine().assert("micad.daemon", "error", "process 200 is a micad, but nobody answers");
    machine.remove(&format!("proc/{MICAD}"));
    machine.examine().assert("micad.daemon", "error", "no process is a micad");
}

#[test]
fn upstreams_daemon_works_and_lacks_commands() {
    let machine = Machine::without_micad();
    impostor(&machine, Some("No such file: MICA-FAILED"));
    let findings = machine.examine();
    findings.assert("micad.daemon", "note", "upstream's daemon");
    findings.assert_only(&[]);
}

#[test]
fn a_daemon_of_another_version_is_told() {
    let version = json!({"daemon": "micad", "version": "9.9.9", "protocol": 1, "pedestals": ["qemu"],
        "extensions": EXTENSIONS});
    let machine = Machine::without_micad();
    impostor(&machine, Some(&format!("{version}MICA-SUCCESS")));
    machine.examine().assert("micad.daemon", "note", "micad 9.9.9 with the pedestals qemu; this command is");
    let version =
        r#"{"daemon":"micad","version":"9.9.9","protocol":2,"pedestals":[],"extensions":[]}MICA-SUCCESS"#;
    let machine = Machine::without_micad();
    impostor(&machine, Some(version));
    machine.examine().assert("micad.daemon", "warning", "protocol 2");
    let version = r#"{"daemon":"micad","version":"0.0.9","protocol":1,"pedestals":[],"extensions":["list"]}MICA-SUCCESS"#;
    let machine = Machine::without_micad();
    impostor(&machine, Some(version));
    machine.examine().assert("micad.daemon", "warning", "does not know version, metrics");
}

#[test]
fn a_daemon_that_hangs_does_not_hang_the_doctor() {
    let machine = Machine::without_micad();
    impostor(&machine, None);
    machine.examine().assert("micad.daemon", "error", "did not answer `version`");
}

#[test]
fn sockets_that_may_not_be_used_are_not_absent() {
    let machine = Machine::new();
    machine.mode("run/mica", 0);
    let findings = machine.examine_as_nobody();
    machine.mode("run/mica", 0o700);
    findings.assert("micad.daemon", "note", "may not be used: Permission denied");
    findings.assert("permissions.runtime", "note", "Permission denied");
    findings.assert("leftovers.clients", "note", "Permission denied");
    findings.assert("leftovers.sockets", "note", "Permission denied");
}

#[test]
fn micad_conf_is_read_by_micads_own_reader() {
    let machine = Machine::new();
    machine.write("etc/mica/micad.conf", "[Micad]\nQemuPaht = /usr/bin\n");
    machine.examine().assert("micad.config", "warning", "the key \"qemupaht\" is not known");
    machine.write("etc/mica/micad.conf", "[Micad]\nQemuUidBase = many\n");
    machine.examine().assert("micad.config", "error", "/etc/mica/micad.conf: line 2");
    machine.mode("etc/mica/micad.conf", 0);
    machine.examine_as_nobody().assert("micad.config", "note", "Permission denied");
}

#[test]
fn the_running_daemons_own_options_count() {
    let machine = Machine::new();
    machine.write("srv/other.conf", "[Micad]\nQemuUidBase = many\n");
    let arguments = ["/usr/bin/micad", "--config", "/srv/other.conf", "--qemu-path=/opt/qemu"];
    machine.process(MICAD, "micad", &arguments, &[]);
    machine.examine().assert("micad.config", "error", "/srv/other.conf: line 2");
    machine.write("srv/other.conf", "");
    machine.examine().assert("qemu.programs", "error", "no emulator in /opt/qemu");
    machine.remove("srv/other.conf");
    machine.examine().assert("micad.config", "error", "srv/other.conf");
}

#[test]
fn conf_files_of_clients_and_their_firmware() {
    let machine = Machine::new();
    machine.examine().assert("micad.clients", "ok", "no client in /etc/mica");
    machine.write("etc/mica/good.conf", "[Mica]\nName = good\nClientPath = /lib/firmware/good.elf\n");
    machine.examine().assert("micad.clients", "warning", "/lib/firmware/good.elf, which is not there");
    machine.write("lib/firmware/good.elf", "");
    machine.examine().assert("micad.clients", "ok", "good");
    machine.write("etc/mica/bad.conf", "[Mica]\nName = a/b\nClientPath = /lib/firmware/good.elf\n");
    let findings = machine.examine();
    findings.assert("micad.clients", "warning", "bad.conf");
    findings.assert_only(&["micad.clients"]);
    machine.mode("etc/mica/bad.conf", 0);
    machine.examine_as_nobody().assert("micad.clients", "note", "bad.conf cannot be read: Permission denied");
}

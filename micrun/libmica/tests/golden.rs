//! The codec against vectors that an independent encoder (`golden/make.py`) made.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_endian = "little")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libmica::{ClientStatus, CreateMessage};
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn message(fields: &Value) -> CreateMessage {
    let text = |key: &str| fields[key].as_str().unwrap().to_owned();
    let number = |key: &str| i32::try_from(fields[key].as_i64().unwrap()).unwrap();
    CreateMessage {
        name: text("name"),
        path: text("path").into(),
        pedestal: text("pedestal"),
        pedestal_conf: text("pedestal_conf").into(),
        debug: fields["debug"].as_bool().unwrap(),
        cpu: text("cpu"),
        vcpus: number("vcpus"),
        max_vcpus: number("max_vcpus"),
        cpu_weight: number("cpu_weight"),
        cpu_capacity: number("cpu_capacity"),
        memory: number("memory"),
        max_memory: number("max_memory"),
        iomem: text("iomem"),
        network: text("network"),
    }
}

#[test]
fn create_messages_are_byte_exact_both_ways() {
    let described = fs::read_to_string(golden().join("create.json")).unwrap();
    let cases: BTreeMap<String, Value> = serde_json::from_str(&described).unwrap();
    assert!(cases.len() >= 4, "vectors are missing");
    for (case, fields) in cases {
        let bytes = fs::read(golden().join(format!("create-{case}.bin"))).unwrap();
        let expected = message(&fields);
        assert!(expected.encode().unwrap()[..] == bytes[..], "{case}: encoded differently");
        assert_eq!(CreateMessage::from_slice(&bytes).unwrap(), expected, "{case}");
    }
}

#[test]
fn status_lines_are_read_and_written_for_every_name_length() {
    let text = fs::read_to_string(golden().join("status.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() >= 65 * 5, "vectors are missing");
    for case in &cases {
        let [name, cpu, state, services, line] =
            ["name", "cpu", "state", "services", "line"].map(|key| case[key].as_str().unwrap());
        let status = ClientStatus::parse_for(name, line).unwrap_or_else(|| panic!("not read: {line:?}"));
        assert_eq!(status.display_name, libmica::names::display_name(name));
        assert_eq!(status.cpu, cpu, "{line:?}");
        assert_eq!(status.state.as_str(), state);
        let found: Vec<String> = status
            .services
            .iter()
            .map(|s| match &s.device {
                Some(device) => format!("{}({}) ", s.name, device.display()),
                None => format!("{} ", s.name),
            })
            .collect();
        assert_eq!(found.concat(), services);
        assert_eq!(status.to_string(), line);
        // Without the name, one case is truly ambiguous: see ClientStatus::parse.
        if status.display_name.len() < 31 || cpu.len() < 20 {
            assert_eq!(ClientStatus::parse(line).as_ref(), Some(&status), "{line:?}");
        }
    }
}

#[test]
fn the_vectors_are_what_python_makes() {
    let dir = tempfile::tempdir().unwrap();
    let Ok(run) = Command::new("python3").arg(golden().join("make.py")).arg(dir.path()).status() else {
        eprintln!("skipped: no python3 on this machine");
        return;
    };
    assert!(run.success());
    let mut compared = 0;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let fresh = entry.unwrap().path();
        let committed = golden().join(fresh.file_name().unwrap());
        assert!(
            fs::read(&fresh).unwrap() == fs::read(&committed).unwrap(),
            "{} differs",
            committed.display()
        );
        compared += 1;
    }
    assert!(compared >= 6, "make.py wrote {compared} files only");
}

#[test]
fn any_text_becomes_a_name() {
    for (text, expected) in [
        ("motor", "motor"),
        ("fw.v2", "fw.v2"),
        ("My App (2)", "My_App_(2)"),
        ("a/b", "a_b"),
        ("é", "_"),
        ("", "firmware"),
        ("..", "firmware"),
        ("mica-create", "firmware"),
        ("MICA-SUCCESS", "firmware"),
    ] {
        assert_eq!(libmica::names::from_text(text), expected);
    }
    let long = libmica::names::from_text(&"é".repeat(100));
    assert_eq!(long, "_".repeat(libmica::names::NAME_MAX));
}

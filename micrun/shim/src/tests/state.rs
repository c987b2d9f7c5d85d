//! The state directory between versions and owners.

use crate::error::Error;
use crate::rtos::state_dir::{Owner, StateDir};

#[test]
fn what_a_later_shim_wrote_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let owner = Owner::this_process("ns", "c", "/ns/c");
    StateDir::create(root.path(), &owner).unwrap();
    let dir = StateDir::of(root.path(), "c");
    assert_eq!(dir.owner().unwrap(), Some(owner.clone()));
    assert!(matches!(StateDir::create(root.path(), &owner), Err(Error::AlreadyExists(_))));

    let file = dir.path("state.json");
    let newer = std::fs::read_to_string(&file).unwrap().replace("\"version\":2", "\"version\":3");
    std::fs::write(&file, newer).unwrap();
    let error = dir.owner().unwrap_err().to_string();
    assert!(error.contains("has version 3, but this shim knows no version above 2"), "{error}");
    assert!(matches!(StateDir::create(root.path(), &owner), Err(Error::Newer { .. })));
    assert!(file.exists());
}

#[test]
fn what_an_earlier_shim_wrote_is_understood() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("c");
    std::fs::create_dir(&dir).unwrap();
    let first = r#"{"version":1,"namespace":"ns","id":"c","pid":1,"started":0}"#;
    std::fs::write(dir.join("state.json"), first).unwrap();
    let owner = StateDir::of(root.path(), "c").owner().unwrap().unwrap();
    assert_eq!((owner.id.as_str(), owner.cgroups_path.as_str()), ("c", ""));
    assert!(!owner.alive());
    // Its shim is dead, so the directory can be had.
    StateDir::create(root.path(), &Owner::this_process("ns", "c", "")).unwrap();
}

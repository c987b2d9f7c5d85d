//! The examples of the documentation that need a containerd, and those that run firmware.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

#[path = "../../../micrun-image-builder/tests/common/pages.rs"]
mod pages;

use std::fs;

use micrun_host_tests::system::Process;
use micrun_host_tests::{Host, firmware, isolation};

#[test]
fn the_examples_do_what_the_pages_say() {
    let host = Host::rooted_at(&isolation::state_dir().join("root"));
    let sessions = pages::sessions(&isolation::workspace().join("docs"), "containerd");
    assert!(!sessions.is_empty(), "no page has an example");
    for session in sessions {
        let folder = tempfile::tempdir().expect("there is a place for it");
        fs::copy(firmware::demo(), folder.path().join("fw.elf")).expect("the demo can be read");
        let ran = session.run(folder.path(), &isolation::binary("micrun-image-builder"));
        ran.unwrap_or_else(|wrong| panic!("{wrong}"));
    }
    host.assert_clean();
}

#[test]
fn the_examples_with_firmware_do_what_the_pages_say() {
    let allowed = isolation::state_dir().join("patches");
    let _host = Host::configured("[Policy]\nallow_restore = true\n", "");
    let sessions = pages::sessions(&isolation::workspace().join("docs"), "firmware");
    assert!(!sessions.is_empty(), "no page has an example");
    for session in sessions {
        let folder = tempfile::tempdir().expect("there is a place for it");
        let patched = firmware::patched_demo();
        let demos = [("fw.elf", firmware::demo()), ("new.elf", patched.clone())];
        for (name, elf) in demos.into_iter().chain([("freertos-demo-patched.elf", patched)]) {
            fs::copy(elf, folder.path().join(name)).expect("the demo can be read");
        }
        let session = session.replacing("/srv/patches", allowed.to_str().expect("UTF-8"));
        let ran = session.run(folder.path(), &isolation::binary("micrun-image-builder"));
        ran.unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(Process::running("qemu-system-aarch64"), [], "{} leaves firmware behind", session.place);
    }
}

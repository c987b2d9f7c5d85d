//! The examples of `docs/CONTAINERD.md`, run against a containerd that has nothing.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

#[path = "../../../micrun-image-builder/tests/common/pages.rs"]
mod pages;

use std::fs;

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

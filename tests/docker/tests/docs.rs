//! The examples of docs/DOCKER.md.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

#[path = "../../../micrun-image-builder/tests/common/pages.rs"]
mod pages;

use std::fs;
use std::os::unix::fs::symlink;

use micrun_docker_tests::Engine;
use micrun_host_tests::{firmware, isolation};

/// The first block of this language.
fn block(page: &str, language: &str) -> String {
    let after = page.split_once(&format!("```{language}\n")).expect("the page has one").1;
    after.split_once("```").expect("it ends").0.to_owned()
}

#[test]
fn the_examples_do_what_the_page_says() {
    let docs = isolation::workspace().join("docs");
    let page = fs::read_to_string(docs.join("DOCKER.md")).expect("the page is there");
    let engine = Engine::configured(&block(&page, "json"));
    // Beside the command `docker`.
    let builder = isolation::state_dir().join("micrun-image-builder");
    symlink(isolation::binary("micrun-image-builder"), &builder).expect("/run is writable");
    let sessions = pages::sessions(&docs, "docker");
    assert_eq!(sessions.len(), 2, "Run firmware, and Compose");
    for session in sessions {
        let folder = tempfile::tempdir().expect("there is a place for it");
        fs::copy(firmware::demo(), folder.path().join("fw.elf")).expect("the demo can be read");
        fs::write(folder.path().join("compose.yaml"), block(&page, "yaml")).expect("it is the test's own");
        session.run(folder.path(), &builder).unwrap_or_else(|wrong| panic!("{wrong}"));
    }
    engine.assert_clean();
}

//! The examples of `docs/REGISTRY.md`, run against a registry with a password.
#![allow(clippy::expect_used, reason = "a failed step fails the test")]

#[path = "../../../micrun-image-builder/tests/common/pages.rs"]
mod pages;

use micrun_host_tests::isolation;
use micrun_registry_tests::bench::Bench;
use micrun_registry_tests::registry::{Kind, Registry};

/// What the pages call the registry.
const NAME: &str = "localhost:5000";

#[test]
fn the_examples_do_what_the_pages_say() {
    let sessions = pages::sessions(&isolation::workspace().join("docs"), "registry");
    assert!(!sessions.is_empty(), "no page has an example");
    for session in sessions {
        let registry = Registry::start(Kind::Password);
        let bench = Bench::default();
        bench.pack("fw:1", "fw.tar", 20_000);
        let session = session.replacing(NAME, &registry.host());
        let ran = session.run(&bench.path(""), &isolation::binary("micrun-image-builder"));
        ran.unwrap_or_else(|wrong| panic!("{wrong}"));
    }
}

//! What `pack` writes, in Docker's two stores.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use micrun_docker_tests::{Engine, IMAGE_STORE, docker, docker_piped};
use micrun_host_tests::firmware::{self, PROMPT, builder};
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::isolation;

/// Packs the demo into a file of the test's folder.
fn pack(file: &str, options: &[&str]) -> String {
    let (demo, archive) = (firmware::demo(), isolation::state_dir().join(file));
    let [demo, archive] = [&demo, &archive].map(|path| path.to_str().expect("UTF-8").to_owned());
    builder(&[&["pack", &demo, "-t", DEMO, "-o", &archive], options].concat()).success();
    archive
}

#[track_caller]
fn load_and_run(archive: &str) {
    let said = docker(&["load", "--input", archive]).success();
    assert!(said.contains(&format!("Loaded image: {DEMO}")), "{said}");
    let mut demo = docker_piped(&["run", "--rm", "-i", "--runtime", MICA, DEMO]);
    demo.expect(PROMPT);
    demo.send("exit 3\r");
    assert_eq!(demo.wait(), 3, "{}", demo.output());
    docker(&["rmi", DEMO]).success();
}

#[test]
fn an_archive_is_loaded_into_dockers_own_store() {
    let engine = Engine::empty("{}");
    for (file, options) in [("demo.tar", &["--sbom"][..]), ("one.tar.gz", &["--platform", "linux/amd64"])] {
        load_and_run(&pack(file, options));
    }
    engine.assert_clean();
}

#[test]
fn an_archive_is_loaded_into_containerds_store_with_all_platforms() {
    let _engine = Engine::empty(IMAGE_STORE);
    let archive = pack("demo.tar", &["--sbom", "--provenance"]);
    load_and_run(&archive);
    docker(&["load", "--input", &archive]).success();
    let copy = isolation::state_dir().join("copy.tar");
    let copy = copy.to_str().expect("UTF-8");
    docker(&["save", "--output", copy, DEMO]).success();
    let said = builder(&["inspect", copy]).success();
    for platform in ["linux/amd64", "linux/arm64", "linux/riscv64"] {
        assert!(said.contains(platform), "{said}");
    }
}

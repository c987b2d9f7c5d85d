//! `import`, `load` and `export`: images go to containerd and back by its socket, without `ctr`.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::firmware::{self, PROMPT};
use micrun_host_tests::host::MICA;
use micrun_host_tests::process::Output;
use micrun_host_tests::{Host, isolation};

const NAME: &str = "localhost/imported:1";

/// A host whose containerd has nothing.
fn host() -> Host {
    Host::rooted_at(&isolation::state_dir().join("root"))
}

/// Packs the demo into a new layout.
fn layout(name: &str, options: &[&str]) -> PathBuf {
    let layout = isolation::state_dir().join(name);
    let elf = firmware::demo();
    let (elf, output) = (elf.to_str().expect("UTF-8"), layout.to_str().expect("UTF-8"));
    firmware::builder(&[&["pack", elf, "-q", "--tag", NAME, "--output", output], options].concat()).success();
    layout
}

fn builder(verb: &str, args: &[&str]) -> Output {
    let namespace = isolation::containerd_namespace();
    firmware::builder(&[&[verb, "--namespace", &namespace], args].concat())
}

fn import(image: &Path, options: &[&str]) -> Output {
    builder("import", &[&[image.to_str().expect("UTF-8")], options].concat())
}

/// What containerd has: images, blobs, leases, snapshots.
fn everything() -> [String; 4] {
    let list = |args: &[&str]| ctr(args).success();
    [
        list(&["images", "ls", "-q"]),
        list(&["content", "ls", "-q"]),
        list(&["leases", "ls", "-q"]),
        list(&["snapshots", "ls"]).lines().skip(1).collect::<Vec<_>>().join("\n"),
    ]
}

#[track_caller]
fn assert_nothing_is_there() {
    assert_eq!(everything(), ["", "", "", ""]);
}

#[track_caller]
fn assert_runs(host: &Host) {
    let mut console = ctr_piped(&["run", "--rm", "--runtime", MICA, NAME, "rtos"]);
    console.expect(PROMPT);
    console.send("exit\r");
    assert_eq!(console.wait(), 0);
    host.assert_clean();
}

/// The blobs of a layout.
fn blobs(layout: &Path) -> BTreeMap<String, Vec<u8>> {
    let folder = layout.join("blobs/sha256");
    let files = fs::read_dir(folder).expect("a layout has blobs").map(|file| file.expect("it can be read"));
    files
        .map(|it| {
            (it.file_name().to_string_lossy().into_owned(), fs::read(it.path()).expect("it can be read"))
        })
        .collect()
}

#[test]
fn an_imported_image_runs_and_comes_back_as_it_was() {
    let host = host();
    let layout = layout("layout", &[]);
    let digest = import(&layout, &[]).success();
    let [images, _, leases, snapshots] = everything();
    assert_eq!((images.trim_end(), leases.as_str()), (NAME, ""));
    // Unpacked: the layer is a snapshot before anything runs.
    assert!(snapshots.contains("Committed"), "{snapshots}");
    assert_runs(&host);
    let back = isolation::state_dir().join("back");
    let exported = builder("export", &[NAME, "-o", back.to_str().expect("UTF-8")]).success();
    assert_eq!(exported, digest);
    assert!(blobs(&back) == blobs(&layout), "the blobs differ");
    // Once more changes nothing, and an archive that nobody else wrote is one that ctr takes.
    assert_eq!(import(&back, &[]).success(), digest);
    let archive = isolation::state_dir().join("back.tar");
    builder("export", &[NAME, "-o", archive.to_str().expect("UTF-8"), "-q"]).success();
    host.import(&archive);
}

#[test]
fn what_the_garbage_collector_keeps_is_the_image_and_no_more() {
    let host = host();
    import(&layout("layout", &[]), &["--unpack=false"]).success();
    import(&layout("other", &["--memory", "48"]), &["--tag", "localhost/other:1"]).success();
    // Removes all that no image leads to, of which the first one's is none.
    ctr(&["images", "rm", "--sync", "localhost/other:1"]).success();
    assert_runs(&host);
    ctr(&["images", "rm", "--sync", NAME]).success();
    assert_nothing_is_there();
}

#[test]
fn a_name_goes_over_to_the_new_image() {
    let _host = host();
    let first = import(&layout("layout", &[]), &[]).success();
    let second = import(&layout("other", &["--memory", "48"]), &[]).success();
    assert_ne!(first, second);
    let listed = ctr(&["images", "ls"]).success();
    assert!(listed.contains(second.trim_end()) && !listed.contains(first.trim_end()), "{listed}");
}

#[test]
fn load_takes_what_pack_writes_to_a_pipe() {
    let host = host();
    let program = isolation::binary("micrun-image-builder");
    let elf = firmware::demo();
    let mut pack = Command::new(&program);
    pack.args(["pack", elf.to_str().expect("UTF-8"), "-q", "--tag", NAME, "--output", "-"]);
    let mut pack = pack.stdout(Stdio::piped()).spawn().expect("the builder can be run");
    let mut load = Command::new(&program);
    load.args(["load", "--namespace", &isolation::containerd_namespace()]);
    let archive = pack.stdout.take().expect("it is piped");
    let loaded = load.stdin(archive).output().expect("the builder can be run");
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    assert!(pack.wait().expect("it was started").success());
    assert_runs(&host);
}

#[test]
fn a_damaged_archive_leaves_nothing() {
    let _host = host();
    let layout = layout("layout", &[]);
    let largest = blobs(&layout).into_iter().max_by_key(|(_, content)| content.len()).expect("it has blobs");
    let (name, mut content) = largest;
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(layout.join("blobs/sha256").join(&name), content).expect("/run is writable");
    let refusal = import(&layout, &[]).failure();
    assert!(refusal.contains("the image is damaged") && refusal.contains(&name), "{refusal}");
    assert_nothing_is_there();
}

/// All of it is in containerd before the last step fails.
#[test]
fn an_import_that_fails_in_the_end_leaves_nothing() {
    let _host = host();
    let refusal = import(&layout("layout", &[]), &["--snapshotter", "nosuch"]).failure();
    assert!(refusal.contains("containerd did not ") && refusal.contains("nosuch"), "{refusal}");
    assert_nothing_is_there();
}

#[test]
fn an_image_of_another_namespace_is_this_ones_as_well() {
    let host = host();
    let layout = layout("layout", &[]);
    let path = layout.to_str().expect("UTF-8");
    firmware::builder(&["import", path, "--namespace", "elsewhere", "--unpack=false"]).success();
    assert_nothing_is_there();
    import(&layout, &[]).success();
    assert_runs(&host);
}

#[test]
fn who_is_not_there_is_named() {
    let _host = host();
    let missing = builder("export", &["localhost/nosuch:1"]).failure();
    assert!(missing.contains("containerd did not find the image localhost/nosuch:1"), "{missing}");
    let layout = layout("layout", &[]);
    let away = import(&layout, &["--address", "/run/nosuch.sock"]).failure();
    assert!(away.contains("no containerd answers at /run/nosuch.sock"), "{away}");
}

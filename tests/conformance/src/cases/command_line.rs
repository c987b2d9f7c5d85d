//! The binary's actions and flags.

use std::path::Path;
use std::process::{Command, Stdio};

use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::shim::oci::Options;
use containerd_shim_protos::types::introspection::RuntimeInfo;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::case::{both, mica};
use crate::shim::{self, Invocation};
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(readme_start_with_a_broken_spec_fails_and_says_why),
    both!(readme_v_prints_the_version),
    both!(readme_debug_is_a_flag_of_start),
    both!(containerd_1_6_start_may_be_asked_twice),
    mica!(containerd_2_2_info_describes_the_runtime, "the oracle is of containerd 1.6, which had no -info"),
    mica!(containerd_13504_info_has_the_features_of_the_runtime, "as above: no -info"),
    mica!(containerd_2_2_info_before_each_create_touches_nothing, "as above: no -info"),
];

/// README, "Commands": `start` fails with a text; containerd shows what it prints.
fn readme_start_with_a_broken_spec_fails_and_says_why(stage: &mut Stage) {
    let bundle = Bundle::empty("one");
    std::fs::write(bundle.path.join("config.json"), "no JSON").unwrap();
    let output = stage.start(&bundle, &Invocation::default());
    assert!(!output.status.success(), "{output:?}");
    assert_ne!(output.stderr, b"");
}

/// README, "Flags": `-v` shows the version.
fn readme_v_prints_the_version(stage: &mut Stage) {
    let output = Command::new(stage.subject.shim()).arg("-v").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("containerd-shim-") && text.contains(|c: char| c.is_ascii_digit()), "{text}");
}

/// README, "Flags": containerd passes `-debug` before the action when it logs debug messages itself; the reply
/// stays what it is.
fn readme_debug_is_a_flag_of_start(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let debug = Invocation { flags: vec!["-debug"], ..Default::default() };
    let shim = stage.launch_as(&bundle, &debug);
    assert!(shim.connect().connect("one").unwrap().shim_pid > 0);
}

/// containerd#11409, `start` again for an id whose shim is there: the same shim, at once.
fn containerd_1_6_start_may_be_asked_twice(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let first = stage.launch(&bundle);
    let again = stage.start(&bundle, &Invocation::default());
    assert!(again.status.success(), "{again:?}");
    assert_eq!(String::from_utf8(again.stdout).unwrap(), first.reply.address);
}

fn info(stage: &Stage, dir: &Path) -> RuntimeInfo {
    info_of(stage, dir, &Options::default())
}

fn info_of(stage: &Stage, dir: &Path, options: &Options) -> RuntimeInfo {
    let options = options.write_to_bytes().unwrap();
    let options = Invocation::default().with_options("containerd.runc.v1.Options", &options);
    let output = shim::run(Command::new(stage.subject.shim()).arg("-info"), dir, &options.stdin);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stderr, b"");
    RuntimeInfo::parse_from_bytes(&output.stdout).unwrap()
}

/// containerd 2.2, `core/runtime/v2/shim_manager.go`: `-info` with the options on stdin answers a `RuntimeInfo`.
fn containerd_2_2_info_describes_the_runtime(stage: &mut Stage) {
    let info = info(stage, Path::new("/run"));
    assert!(info.name.starts_with("io.containerd."), "{info}");
    assert!(!info.version.version.is_empty(), "{info}");
}

/// containerd#13504, #11169: the kubelet admits `hostUsers: false` by what the OCI runtime of the options says of itself, and
/// containerd 2.0 lets no volume with mapped owners into a container without.
fn containerd_13504_info_has_the_features_of_the_runtime(stage: &mut Stage) {
    let said = Command::new("runc").arg("features").output().unwrap();
    let mut wanted: Value = serde_json::from_slice(&said.stdout).unwrap();
    let options = Options { binary_name: "runc".into(), ..Default::default() };
    let features = info_of(stage, Path::new("/run"), &options).features.unwrap_or_default();
    assert_eq!(features.type_url, "types.containerd.io/opencontainers/runtime-spec/1/features/Features");
    wanted["potentiallyUnsafeConfigAnnotations"] = json!(["org.openeuler.micrun."]);
    assert_eq!(serde_json::from_slice::<Value>(&features.value).unwrap(), wanted);
    // One that is not there, or has no such command, is no reason to tell nothing.
    let options = Options { binary_name: "/bin/false".into(), ..Default::default() };
    let features = info_of(stage, Path::new("/run"), &options).features.unwrap_or_default();
    let ours = json!({"potentiallyUnsafeConfigAnnotations": ["org.openeuler.micrun."]});
    assert_eq!(serde_json::from_slice::<Value>(&features.value).unwrap(), ours);
}

/// containerd 2.2: `-info` runs before every Create until it has worked once, also beside running containers.
fn containerd_2_2_info_before_each_create_touches_nothing(stage: &mut Stage) {
    let running = stage.run("one");
    let dir = Path::new("/run/tmp/empty");
    std::fs::create_dir(dir).unwrap();
    let before = tree(Path::new("/run/micrun"));
    assert_ne!(before, 0);
    for _ in 0..5 {
        info(stage, dir);
    }
    assert_eq!((tree(dir), tree(Path::new("/run/micrun"))), (0, before));
    running.assert_answers("undisturbed");
}

/// How many files and folders are below a folder.
fn tree(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| 1 + tree(&entry.path())).sum()
}

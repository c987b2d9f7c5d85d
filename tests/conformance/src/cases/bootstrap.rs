//! The reply of `start` to containerd up to 2.2.

use std::io::Read;
use std::process::Stdio;

use nix::unistd::{getpgid, getsid};

use crate::case::both;
use crate::fifo::Reader;
use crate::reply::Form;
use crate::shim::Invocation;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(containerd_1_6_empty_stdin_is_answered_by_a_plain_address),
    both!(containerd_1_6_options_are_answered_by_a_plain_address),
    both!(containerd_1_7_max_shim_version_2_is_answered_at_most_by_version_2),
    both!(containerd_13763_legacy_any_is_not_taken_for_bootstrap_params),
    both!(readme_start_writes_the_address_into_the_bundle),
    both!(readme_start_lets_go_of_stdout_and_stderr),
    both!(readme_start_works_without_optional_environment),
    both!(runc_v2_leads_a_process_group_in_containerds_session),
];

/// containerd 1.6, `runtime/v2/binary.go`: without options nothing is on stdin, and the reply is the address.
fn containerd_1_6_empty_stdin_is_answered_by_a_plain_address(stage: &mut Stage) {
    let reply = stage.launch(&stage.bundle("one")).reply;
    assert_eq!((reply.form, reply.version), (Form::Plain, 2));
}

/// containerd 1.6: the runtime options come as an `Any`; no JSON is understood.
fn containerd_1_6_options_are_answered_by_a_plain_address(stage: &mut Stage) {
    let options = Invocation::default().with_options("containerd.runc.v1.Options", b"");
    let reply = stage.launch_as(&stage.bundle("one"), &options).reply;
    assert_eq!((reply.form, reply.version), (Form::Plain, 2));
}

/// containerd 1.7, `runtime/v2/shim.go`: plain or JSON, and no version above `MAX_SHIM_VERSION`.
fn containerd_1_7_max_shim_version_2_is_answered_at_most_by_version_2(stage: &mut Stage) {
    let invocation = Invocation::default().with("MAX_SHIM_VERSION", "2");
    let shim = stage.launch_as(&stage.bundle("one"), &invocation);
    assert!(shim.reply.form != Form::Protobuf && shim.reply.version == 2, "{:?}", shim.reply);
    assert_eq!(shim.reply.protocol, "ttrpc");
    assert!(shim.connect().connect("one").unwrap().shim_pid > 0);
}

/// containerd#13763, #13764: an `Any` parses as `BootstrapParams`, too; a 2.2 daemon must still be understood.
/// These options have a binary name and a root, in bytes that look like more fields.
fn containerd_13763_legacy_any_is_not_taken_for_bootstrap_params(stage: &mut Stage) {
    // Options { binary_name (6): "/usr/sbin/runc", root (7): "/run/containerd/runc" }
    let value = b"\x32\x0e/usr/sbin/runc\x3a\x14/run/containerd/runc";
    let options =
        Invocation::default().with_options("containerd.runc.v1.Options", value).with("MAX_SHIM_VERSION", "2");
    let reply = stage.launch_as(&stage.bundle("one"), &options).reply;
    assert_ne!(reply.form, Form::Protobuf);
    assert_eq!(reply.version, 2);
}

/// README, "Container Level Shims": the `address` file is what containerd loads the shim by after a restart.
fn readme_start_writes_the_address_into_the_bundle(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let shim = stage.launch(&bundle);
    assert_eq!(std::fs::read_to_string(bundle.path.join("address")).unwrap(), shim.reply.address);
}

/// containerd, `binary.go`: the reply ends when the last writer of the pipe has gone, so the server holds none.
fn readme_start_lets_go_of_stdout_and_stderr(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let _log = Reader::of(&bundle.path.join("log"));
    let mut command = stage.command("one", &Invocation::default(), &["start"]);
    let command = command.current_dir(&bundle.path).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut reply, mut errors) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut reply).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(crate::task::Task::connect_to(&reply).connect("one").is_ok(), "the server lives");
    assert_eq!(errors, "");
}

/// containerd 2.3 calls the old environment deprecated: all but `TTRPC_ADDRESS` may be missing already.
fn readme_start_works_without_optional_environment(stage: &mut Stage) {
    let bare = Invocation::default().with("GRPC_ADDRESS", "").with("NAMESPACE", "").with("GOMAXPROCS", "");
    let shim = stage.launch_as(&stage.bundle("one"), &bare);
    assert!(shim.connect().connect("one").unwrap().shim_pid > 0);
}

/// containerd, `manager_linux.go`: the server gets a process group of its own. In a session of its own, the scheduler would
/// set it against the rest of the machine's sessions (sched(7), autogroup).
fn runc_v2_leads_a_process_group_in_containerds_session(stage: &mut Stage) {
    let shim = stage.launch(&stage.bundle("one")).pid();
    assert_eq!(getpgid(Some(shim)).unwrap(), shim);
    assert_eq!(getsid(Some(shim)).unwrap(), getsid(None).unwrap());
}

//! Bytes that nobody in his right mind sends: property tests, bounded, through the binary and the wire.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use containerd_shim_protos::bootstrap_api::BootstrapParams;
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::bundle::Bundle;
use crate::case::{both, mica};
use crate::reply::{Form, Reply};
use crate::shim::Invocation;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(hostile_stdin_of_start_is_answered_or_refused),
    both!(hostile_any_on_stdin_is_never_taken_for_bootstrap_params),
    mica!(hostile_bootstrap_params_are_answered_or_refused, "the oracle is of containerd 1.6"),
    both!(hostile_stdin_of_info_and_delete_changes_nothing),
    both!(hostile_requests_are_answered),
    both!(hostile_frames_harm_their_connection_only),
    both!(hostile_runtime_options_of_create_are_taken_or_refused),
];

/// Every method of the Task service but Shutdown, which would end the shim.
const METHODS: [&str; 16] = [
    "State",
    "Create",
    "Start",
    "Delete",
    "Pids",
    "Pause",
    "Resume",
    "Checkpoint",
    "Kill",
    "Exec",
    "ResizePty",
    "CloseIO",
    "Update",
    "Wait",
    "Stats",
    "Connect",
];

/// How long an answer to what is no request is waited for.
const PATIENCE: Duration = Duration::from_millis(20);
/// Types of runtime options, of ours, of others, of nobody.
const OPTION_TYPES: [&str; 4] =
    ["containerd.runc.v1.Options", "runtimeoptions.v1.Options", "unheard.v1.Options", ""];

/// Tries a property on a number of values, and smaller ones when it does not hold.
#[track_caller]
fn hold<S: Strategy>(cases: u32, strategy: &S, property: impl Fn(S::Value))
where
    S::Value: std::fmt::Debug,
{
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let tried = TestRunner::new(config).run(strategy, |value| {
        property(value);
        Ok(())
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
}

/// Bytes without a slash: a path that the shim may come to believe in leads nowhere outside of the bundle.
fn bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>().prop_map(|byte| if byte == b'/' { b'.' } else { byte }), 0..length)
}

/// What `start` made of some stdin: a reply that containerd can read, and a shim that serves, or a text and no reply.
#[track_caller]
fn start(stage: &Stage, bundle: &Bundle, stdin: Vec<u8>) -> Option<Reply> {
    let output = stage.start(bundle, &Invocation { stdin, ..Default::default() });
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code().is_some_and(|status| status != 101 && status != 2), "it died: {text}");
    if output.status.success() {
        assert_eq!(text, "", "containerd merges stderr into the reply");
        return Some(Reply::parse(&output.stdout));
    }
    assert!(!text.is_empty() && output.stdout.is_empty(), "a refusal says why, and is no reply: {output:?}");
    None
}

/// containerd-facts: stdin is whatever the containerd at hand writes.
fn hostile_stdin_of_start_is_answered_or_refused(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let shim = stage.launch(&bundle);
    hold(48, &bytes(300), |stdin| {
        if let Some(reply) = start(stage, &bundle, stdin) {
            assert_eq!(reply.protocol, "ttrpc");
        }
    });
    assert!(shim.connect().connect("one").is_ok());
}

/// containerd#13763: any type of options, with any content.
fn hostile_any_on_stdin_is_never_taken_for_bootstrap_params(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let _shim = stage.launch(&bundle);
    let options = ("[a-z]{1,12}(\\.[a-z0-9]{1,8}){0,4}", bytes(200));
    hold(48, &options, |(type_url, value)| {
        let any = Any { type_url, value, ..Default::default() };
        if let Some(reply) = start(stage, &bundle, any.write_to_bytes().unwrap()) {
            assert_ne!(reply.form, Form::Protobuf);
        }
    });
}

/// containerd#12786: `BootstrapParams` with a byte changed, or cut short.
fn hostile_bootstrap_params_are_answered_or_refused(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let _shim = stage.launch(&bundle);
    let params = BootstrapParams {
        instance_id: "one".into(),
        namespace: stage.namespace.clone(),
        containerd_version: "2.3.1".into(),
        containerd_ttrpc_address: stage.events.address(),
        containerd_grpc_address: "/run/containerd/containerd.sock".into(),
        containerd_binary: "/run/containerd/bin".into(),
        ..Default::default()
    };
    let whole = params.write_to_bytes().unwrap();
    let change = (any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>(), any::<bool>());
    hold(64, &change, |(at, byte, end, cut)| {
        let mut stdin = whole.clone();
        let at = at.index(stdin.len());
        stdin[at] = byte;
        if cut {
            stdin.truncate(end.index(whole.len()));
        }
        start(stage, &bundle, stdin);
    });
}

/// containerd 2.2 writes the options to `-info`, too; `delete` has no use for stdin.
fn hostile_stdin_of_info_and_delete_changes_nothing(stage: &mut Stage) {
    let running = stage.run("one");
    let other = stage.bundle("two");
    // `delete` of the oracle wants a bundle in which Create has been.
    std::fs::write(other.path.join("runtime"), "/usr/sbin/runc").unwrap();
    hold(12, &bytes(300), |stdin| {
        let mut info = stage.command("two", &Invocation::default(), &["-info"]);
        let answered = crate::shim::run(&mut info, &other.path, &stdin);
        assert_ne!(answered.status.code(), Some(101), "{answered:?}");
        let mut delete = stage.command("two", &Invocation::default(), &["delete"]);
        let deleted = crate::shim::run(&mut delete, &other.path, &stdin);
        assert!(deleted.status.success(), "{deleted:?}");
    });
    running.assert_answers("undisturbed");
}

/// Any bytes as the message of any method: an answer, and a shim that lives.
fn hostile_requests_are_answered(stage: &mut Stage) {
    let running = stage.run("one");
    let request = (prop::sample::select(&METHODS[..]), bytes(120));
    hold(256, &request, |(method, payload)| match running.task.send_bytes(method, payload) {
        Ok(()) | Err(containerd_shim_protos::ttrpc::Error::RpcStatus(_)) => {}
        Err(error) => panic!("{method}: {error}"),
    });
    running.assert_answers("undisturbed");
}

/// Any bytes instead of frames.
fn hostile_frames_harm_their_connection_only(stage: &mut Stage) {
    let running = stage.run("one");
    hold(64, &prop::collection::vec(any::<u8>(), 0..200), |bytes| {
        let mut hostile = UnixStream::connect(running.shim.socket()).unwrap();
        hostile.set_read_timeout(Some(PATIENCE)).unwrap();
        // The shim may hang up before it has read all.
        let _ = hostile.write_all(&bytes);
        let _ = hostile.shutdown(std::net::Shutdown::Write);
        // It may answer, hang up, or wait for the rest of a frame.
        let _ = hostile.read_to_end(&mut Vec::new());
        assert!(running.task.state("one").is_ok());
    });
    running.assert_answers("undisturbed");
}

/// `CreateTaskRequest.options`: what stands in containerd's configuration, for any runtime.
fn hostile_runtime_options_of_create_are_taken_or_refused(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let shim = stage.launch(&bundle);
    let task = shim.connect();
    hold(24, &(prop::sample::select(&OPTION_TYPES[..]), bytes(100)), |(type_url, value)| {
        let mut request = bundle.request();
        let options = Any { type_url: type_url.into(), value, ..Default::default() };
        request.options = Some(options).into();
        match task.create(&request) {
            Ok(_) => drop(task.delete("one").unwrap()),
            Err(error) => {
                assert!(error.to_string().len() > 20, "{error}");
                // Nothing of it is left.
                assert!(task.state("one").is_err());
            }
        }
    });
    task.create(&bundle.request()).unwrap();
}

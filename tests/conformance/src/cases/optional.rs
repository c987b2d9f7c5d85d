//! Rpcs that a shim serves or answers UNIMPLEMENTED to, with a reason.

use containerd_shim_protos::api::{
    CheckpointTaskRequest, Empty, ExecProcessRequest, Status, UpdateTaskRequest,
};
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::ttrpc::{self, Code};
use micrun_host_tests::console::terminal_size;

use crate::case::both;
use crate::container::Container;
use crate::events::topic;
use crate::task::code_of;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(readme_pause_and_resume),
    both!(readme_pause_and_resume_of_the_wrong_state_are_refused),
    both!(readme_kill_of_a_paused_task),
    both!(readme_resize_without_a_terminal_is_no_error),
    both!(readme_resize_before_the_start),
    both!(readme_resize_right_after_the_start),
    both!(rust_extensions_163_stats_have_a_type_that_containerd_knows),
    both!(readme_update_takes_linux_resources),
    both!(urunc_763_exec_is_served_or_says_why_not),
    both!(readme_checkpoint_is_served_or_says_why_not),
];

/// Served, or refused as UNIMPLEMENTED with more than the method's name.
#[track_caller]
fn served_or_explained<T: std::fmt::Debug>(answer: &ttrpc::Result<T>) {
    if let Err(error) = answer {
        let passable =
            [Code::UNIMPLEMENTED, Code::UNKNOWN, Code::INVALID_ARGUMENT].contains(&code_of(answer));
        assert!(passable && error.to_string().len() > 40, "{error}");
    }
}

/// README, events: `TaskPaused` and `TaskResumed` follow the rpcs.
fn readme_pause_and_resume(stage: &mut Stage) {
    let container = stage.run("one");
    container.assert_answers("before");
    container.task.pause("one").unwrap();
    assert_eq!(container.status(), Status::PAUSED);
    container.say("echo kept");
    container.task.resume("one").unwrap();
    assert_eq!(container.status(), Status::RUNNING);
    container.stdout().expect_line("kept");
    stage.events.expect("one", topic::RESUMED);
    let expected = [topic::CREATE, topic::START, topic::PAUSED, topic::RESUMED];
    assert_eq!(stage.events.topics_of("one"), expected);
}

/// Only what runs can be paused, only what is paused resumed.
fn readme_pause_and_resume_of_the_wrong_state_are_refused(stage: &mut Stage) {
    let container = stage.create("one");
    stage.refused(&container.task.pause("one"), Code::FAILED_PRECONDITION, "Pause of a created task");
    container.start();
    stage.refused(&container.task.resume("one"), Code::FAILED_PRECONDITION, "Resume of a running task");
    container.assert_answers("undisturbed");
}

/// A pod with a frozen container can be torn down.
fn readme_kill_of_a_paused_task(stage: &mut Stage) {
    let container = stage.run("one");
    container.assert_answers("ready");
    container.task.pause("one").unwrap();
    container.kill(nix::libc::SIGKILL);
    if container.ends_within(std::time::Duration::from_millis(500)).is_none() {
        // A frozen cgroup of version 1 keeps even SIGKILL; containerd's clients resume it.
        container.task.resume("one").unwrap();
    }
    assert_eq!(container.wait(), 137);
    container.delete();
}

/// kubectl resizes whatever it is attached to.
fn readme_resize_without_a_terminal_is_no_error(stage: &mut Stage) {
    let container = stage.run("one");
    container.task.resize("one", 132, 50).unwrap();
    container.assert_answers("undisturbed");
}

/// A task on a terminal, created.
fn create_on_a_terminal(stage: &Stage) -> Container<'_> {
    let bundle = stage.bundle("one").on_a_terminal();
    let shim = stage.launch(&bundle);
    let container = Container::new(stage, bundle, shim);
    let mut request = container.request();
    request.terminal = true;
    // A terminal has no stream of its own for errors.
    request.stderr.clear();
    container.task.create(&request).unwrap();
    container
}

/// A terminal takes its size before the first byte and at any time.
fn readme_resize_before_the_start(stage: &mut Stage) {
    let container = create_on_a_terminal(stage);
    container.task.resize("one", 90, 30).unwrap();
    let terminal = stage.subject.terminal("one", container.start());
    container.assert_answers("ready");
    assert_eq!(terminal_size(&terminal), "30 90");
    container.task.resize("one", 132, 50).unwrap();
    assert_eq!(terminal_size(&terminal), "50 132");
    assert!(container.task.state("one").unwrap().terminal);
}

/// `ctr run --tty` tells the size once, when Start has answered: an RTOS may have announced its console or not.
fn readme_resize_right_after_the_start(stage: &mut Stage) {
    let container = create_on_a_terminal(stage);
    let terminal = stage.subject.terminal("one", container.start());
    container.task.resize("one", 132, 50).unwrap();
    container.assert_answers("ready");
    assert_eq!(terminal_size(&terminal), "50 132");
}

/// rust-extensions#163, #466: containerd decodes two messages, those of cgroup v1 and v2, by these names.
fn rust_extensions_163_stats_have_a_type_that_containerd_knows(stage: &mut Stage) {
    let container = stage.run("one");
    let stats = container.task.stats("one").unwrap().stats.unwrap_or_default();
    let known = ["io.containerd.cgroups.v1.Metrics", "io.containerd.cgroups.v2.Metrics"];
    assert!(known.contains(&stats.type_url.as_str()), "{stats}");
    assert!(!stats.value.is_empty());
}

/// `UpdateTaskRequest.resources`: the OCI `LinuxResources` as JSON, as `kubectl` in-place resize sends them.
fn readme_update_takes_linux_resources(stage: &mut Stage) {
    let container = stage.run("one");
    let resources = Any {
        type_url: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources".into(),
        value: br#"{"cpu":{"shares":512}}"#.to_vec(),
        ..Default::default()
    };
    let request =
        UpdateTaskRequest { id: "one".into(), resources: Some(resources).into(), ..Default::default() };
    container.task.call::<Empty>("Update", &request).unwrap();
    container.assert_answers("undisturbed");
}

/// urunc#763: exec into something that is no Linux.
fn urunc_763_exec_is_served_or_says_why_not(stage: &mut Stage) {
    let container = stage.run("one");
    let process = Any {
        type_url: "types.containerd.io/opencontainers/runtime-spec/1/Process".into(),
        value: br#"{"cwd":"/","args":["/bin/busybox","true"],"user":{"uid":0,"gid":0}}"#.to_vec(),
        ..Default::default()
    };
    let request = ExecProcessRequest {
        id: "one".into(),
        exec_id: "another".into(),
        spec: Some(process).into(),
        ..Default::default()
    };
    served_or_explained(&container.task.call::<Empty>("Exec", &request));
    container.assert_answers("undisturbed");
}

/// The same for Checkpoint: the machine may lack what it takes (criu, for runc).
fn readme_checkpoint_is_served_or_says_why_not(stage: &mut Stage) {
    let container = stage.run("one");
    container.assert_answers("ready");
    let path = "/run/tmp/checkpoint".to_owned();
    std::fs::create_dir(&path).unwrap();
    let request = CheckpointTaskRequest { id: "one".into(), path, ..Default::default() };
    let answer = container.task.call::<Empty>("Checkpoint", &request);
    served_or_explained(&answer);
    if answer.is_err() {
        container.assert_answers("undisturbed");
    }
}

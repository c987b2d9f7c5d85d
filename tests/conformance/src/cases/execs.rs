//! Execs: those that cannot be started, and those that never are.

use std::path::{Path, PathBuf};

use containerd_shim_protos::api::{
    DeleteRequest, DeleteResponse, Empty, ExecProcessRequest, KillRequest, StartRequest, StartResponse,
    WaitRequest, WaitResponse,
};
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::ttrpc;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::json;

use crate::case::linux;
use crate::container::Container;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    linux!(
        an_exec_that_cannot_be_started_is_waited_for,
        "an exec of firmware is a line, which can always be sent"
    ),
    linux!(
        execs_that_cannot_be_started_keep_nothing_open,
        "an exec of firmware is a line, which can always be sent"
    ),
    linux!(
        containerd_an_exec_that_never_started_is_deleted_with_status_0,
        "an exec needs a shell with a prompt; a unit test has one"
    ),
    linux!(containerd_real_time_signals_reach_execs, "an RTOS knows no signals"),
    linux!(containerd_an_exec_on_a_terminal_has_no_stderr, "its execs have no terminal"),
];

/// A request for an exec that runs a program.
fn request(id: &str, args: &[&str]) -> ExecProcessRequest {
    let process = json!({"cwd": "/", "args": args, "user": {"uid": 0, "gid": 0}});
    let process = Any {
        type_url: "types.containerd.io/opencontainers/runtime-spec/1/Process".into(),
        value: process.to_string().into_bytes(),
        ..Default::default()
    };
    let (id, exec_id) = ("one".into(), id.into());
    ExecProcessRequest { id, exec_id, spec: Some(process).into(), ..Default::default() }
}

fn start(container: &Container<'_>, id: &str) -> ttrpc::Result<StartResponse> {
    let request = StartRequest { id: "one".into(), exec_id: id.into(), ..Default::default() };
    container.task.call("Start", &request)
}

fn wait(container: &Container<'_>, id: &str) -> u32 {
    let request = WaitRequest { id: "one".into(), exec_id: id.into(), ..Default::default() };
    container.task.call::<WaitResponse>("Wait", &request).unwrap().exit_status
}

fn delete(container: &Container<'_>, id: &str) -> u32 {
    let request = DeleteRequest { id: "one".into(), exec_id: id.into(), ..Default::default() };
    container.task.call::<DeleteResponse>("Delete", &request).unwrap().exit_status
}

/// Adds an exec of a program that is not there, with a FIFO as stdin, and fails to start it.
fn fail_to_start(container: &Container<'_>, id: &str) {
    let stdin = container.bundle.path.join(format!("{id}.in"));
    mkfifo(&stdin, Mode::S_IRWXU).unwrap();
    let stdin = stdin.display().to_string();
    let request = ExecProcessRequest { stdin, ..request(id, &["/no/such/program"]) };
    container.task.call::<Empty>("Exec", &request).unwrap();
    start(container, id).unwrap_err();
}

/// docker and CRI wait before they start.
fn an_exec_that_cannot_be_started_is_waited_for(stage: &mut Stage) {
    let container = stage.run("one");
    for number in 0..5 {
        let id = format!("e{number}");
        fail_to_start(&container, &id);
        wait(&container, &id);
        delete(&container, &id);
    }
    container.assert_answers("undisturbed");
}

/// A probe that fails each ten seconds must not fill the shim's table of descriptors.
fn execs_that_cannot_be_started_keep_nothing_open(stage: &mut Stage) {
    let container = stage.run("one");
    for number in 0..5 {
        fail_to_start(&container, &format!("e{number}"));
    }
    let open = open_below(container.shim.pid(), &container.bundle.path);
    // The shim's log is there too.
    let inputs = open.iter().filter(|path| path.extension().is_some_and(|kind| kind == "in"));
    assert_eq!(inputs.count(), 0, "{open:?}");
}

/// containerd's client suite, `TestContainerExecNoBinaryExists` and others: clients delete what they gave up.
fn containerd_an_exec_that_never_started_is_deleted_with_status_0(stage: &mut Stage) {
    let container = stage.run("one");
    container.task.call::<Empty>("Exec", &request("never", &["/bin/busybox", "true"])).unwrap();
    assert_eq!(delete(&container, "never"), 0);
    start(&container, "never").unwrap_err();
    container.assert_answers("undisturbed");
}

/// `ctr tasks kill -s 34 --exec-id`: SIGRTMIN and its followers have no names.
fn containerd_real_time_signals_reach_execs(stage: &mut Stage) {
    let container = stage.run("one");
    for signal in [34, 50, 64] {
        let id = format!("e{signal}");
        container.task.call::<Empty>("Exec", &request(&id, &["/bin/busybox", "sleep", "1000"])).unwrap();
        start(&container, &id).unwrap();
        let request = KillRequest { id: "one".into(), exec_id: id.clone(), signal, ..Default::default() };
        container.task.call::<Empty>("Kill", &request).unwrap();
        assert_eq!(wait(&container, &id), 128 + signal);
    }
}

/// A client may name a stream that a terminal does not have.
fn containerd_an_exec_on_a_terminal_has_no_stderr(stage: &mut Stage) {
    let container = stage.run("one");
    let mut request = request("tty", &["/bin/busybox", "true"]);
    request.terminal = true;
    request.stdout = container.stream("stdout");
    request.stderr = "/run/no/such/stderr".into();
    let process = request.spec.mut_or_insert_default();
    let text = String::from_utf8(std::mem::take(&mut process.value)).unwrap();
    process.value = text.replacen('{', r#"{"terminal":true,"#, 1).into_bytes();
    container.task.call::<Empty>("Exec", &request).unwrap();
    start(&container, "tty").unwrap();
    assert_eq!(wait(&container, "tty"), 0);
}

/// Files below a folder that a process has open.
fn open_below(pid: Pid, folder: &Path) -> Vec<PathBuf> {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let targets = links.filter_map(|link| link.path().read_link().ok());
    targets.filter(|target| target.starts_with(folder)).collect()
}

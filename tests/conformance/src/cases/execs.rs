//! Execs that cannot be started.

use std::path::{Path, PathBuf};

use containerd_shim_protos::api::{
    DeleteRequest, DeleteResponse, Empty, ExecProcessRequest, StartRequest, StartResponse, WaitRequest,
    WaitResponse,
};
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

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
];

/// Adds an exec of a program that is not there, with a FIFO as stdin, and fails to start it.
fn fail_to_start(container: &Container<'_>, id: &str) {
    let stdin = container.bundle.path.join(format!("{id}.in"));
    mkfifo(&stdin, Mode::S_IRWXU).unwrap();
    let process = Any {
        type_url: "types.containerd.io/opencontainers/runtime-spec/1/Process".into(),
        value: br#"{"cwd":"/","args":["/no/such/program"],"user":{"uid":0,"gid":0}}"#.to_vec(),
        ..Default::default()
    };
    let request = ExecProcessRequest {
        id: "one".into(),
        exec_id: id.into(),
        stdin: stdin.display().to_string(),
        spec: Some(process).into(),
        ..Default::default()
    };
    container.task.call::<Empty>("Exec", &request).unwrap();
    let request = StartRequest { id: "one".into(), exec_id: id.into(), ..Default::default() };
    container.task.call::<StartResponse>("Start", &request).unwrap_err();
}

/// docker and CRI wait before they start.
fn an_exec_that_cannot_be_started_is_waited_for(stage: &mut Stage) {
    let container = stage.run("one");
    for number in 0..5 {
        let id = format!("e{number}");
        fail_to_start(&container, &id);
        let request = WaitRequest { id: "one".into(), exec_id: id.clone(), ..Default::default() };
        container.task.call::<WaitResponse>("Wait", &request).unwrap();
        let request = DeleteRequest { id: "one".into(), exec_id: id, ..Default::default() };
        container.task.call::<DeleteResponse>("Delete", &request).unwrap();
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

/// Files below a folder that a process has open.
fn open_below(pid: Pid, folder: &Path) -> Vec<PathBuf> {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let targets = links.filter_map(|link| link.path().read_link().ok());
    targets.filter(|target| target.starts_with(folder)).collect()
}

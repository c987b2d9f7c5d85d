//! The Sandbox service, which containerd 2.x asks for a pod where its runtime has `sandboxer = "shim"`.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use containerd_shim_protos::api::Empty;
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::sandbox_api::{
    CreateSandboxRequest, PlatformResponse, SandboxMetricsResponse, SandboxStatusResponse,
    StartSandboxResponse, StopSandboxRequest, WaitSandboxResponse,
};
use containerd_shim_protos::ttrpc::{self, Code};
use micrun_host_tests::wait;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::bundle::Bundle;
use crate::case::mica;
use crate::container::Container;
use crate::events::topic;
use crate::shim::Shim;
use crate::subject::Program;
use crate::task::{Task, code_of};
use crate::{Case, Stage};

const SERVICE: &str = "containerd.runtime.sandbox.v1.Sandbox";
const MEMBER: (&str, &str) = ("io.kubernetes.cri.sandbox-id", "pod");

/// Why the cases are none for the oracle.
pub(super) const NO_SANDBOX: &str = "containerd 1.6's shim has no Sandbox service";

pub(super) const CASES: &[Case] = &[
    mica!(sandbox_proto_create_then_start, NO_SANDBOX),
    mica!(sandbox_proto_namespaces_are_those_asked_for, NO_SANDBOX),
    mica!(sandbox_proto_the_machines_namespaces, NO_SANDBOX),
    mica!(sandbox_proto_users_of_the_pod, NO_SANDBOX),
    mica!(sandbox_proto_users_of_the_pods_network, NO_SANDBOX),
    mica!(sandbox_proto_platform, NO_SANDBOX),
    mica!(sandbox_proto_metrics, NO_SANDBOX),
    mica!(sandbox_proto_stop_ends_the_containers_first, NO_SANDBOX),
    mica!(sandbox_proto_stop_of_what_never_ran, NO_SANDBOX),
    mica!(sandbox_proto_shutdown_ends_the_shim, NO_SANDBOX),
    mica!(plugins_sandbox_controller_shutdown_after_a_failure, NO_SANDBOX),
    mica!(sandbox_proto_refusals, NO_SANDBOX),
    mica!(containerd_2_4_task_shutdown_spares_the_sandbox, NO_SANDBOX),
];

/// A shim of the sandbox `pod`, as containerd's sandbox controller starts it: in a bundle without a specification.
pub(super) struct Pod {
    pub(super) bundle: Bundle,
    pub(super) shim: Shim,
    sandbox: Task,
}

impl Pod {
    fn launch(stage: &Stage) -> Self {
        let bundle = Bundle::empty("pod");
        let shim = stage.launch(&bundle);
        let sandbox = shim.connect().speaking(SERVICE);
        Self { bundle, shim, sandbox }
    }

    /// With a running sandbox; gives the holder's process id as well.
    pub(super) fn run(stage: &Stage) -> (Self, Pid) {
        let pod = Self::launch(stage);
        pod.create(&request()).unwrap();
        let pid = pod.start().unwrap();
        (pod, pid)
    }

    fn create(&self, request: &CreateSandboxRequest) -> ttrpc::Result<Empty> {
        self.sandbox.call("CreateSandbox", request)
    }

    fn start(&self) -> ttrpc::Result<Pid> {
        let response: StartSandboxResponse = self.ask("StartSandbox")?;
        Ok(Pid::from_raw(i32::try_from(response.pid).expect("process ids fit")))
    }

    /// A request with nothing but the sandbox's id: the first field of each of them.
    pub(super) fn ask<R: Message>(&self, method: &str) -> ttrpc::Result<R> {
        self.sandbox.call(method, &StopSandboxRequest { sandbox_id: "pod".into(), ..Default::default() })
    }

    pub(super) fn status(&self) -> SandboxStatusResponse {
        self.ask("SandboxStatus").unwrap()
    }

    pub(super) fn wait(&self) -> WaitSandboxResponse {
        self.ask("WaitSandbox").unwrap()
    }

    fn stop(&self) {
        self.ask::<Empty>("StopSandbox").unwrap();
    }
}

fn request() -> CreateSandboxRequest {
    CreateSandboxRequest { sandbox_id: "pod".into(), ..Default::default() }
}

/// The same with CRI's options: a `PodSandboxConfig` of a host name and a `NamespaceOption`.
fn request_with(hostname: &str, namespaces: &[u8]) -> CreateSandboxRequest {
    let field = |number: u8, value: &[u8]| {
        [&[number << 3 | 2, u8::try_from(value.len()).expect("short")][..], value].concat()
    };
    let linux = field(2, &field(1, namespaces));
    let value = [field(2, hostname.as_bytes()), field(8, &linux)].concat();
    let options = Any { type_url: "runtime.v1.PodSandboxConfig".into(), value, ..Default::default() };
    CreateSandboxRequest { options: Some(options).into(), ..request() }
}

/// A container of the pod, whose `start` finds the sandbox's shim.
pub(super) fn member<'a>(stage: &'a Stage, id: &str) -> Container<'a> {
    stage.create_of(id, Program::Shell, &[MEMBER])
}

fn namespace(process: &str, kind: &str) -> u64 {
    fs::metadata(format!("/proc/{process}/ns/{kind}")).expect("the process runs").ino()
}

pub(super) fn is_gone(pid: Pid) {
    wait::until("the holder is gone", || kill(pid, None).is_err().then_some(()));
}

/// `sandbox.proto`: Create prepares, Start starts; State and Ping tell.
fn sandbox_proto_create_then_start(stage: &mut Stage) {
    let pod = Pod::launch(stage);
    pod.create(&request()).unwrap();
    assert_eq!((pod.status().state.as_str(), pod.status().pid), ("SANDBOX_NOTREADY", 0));
    let pid = pod.start().unwrap();
    kill(pid, None).expect("it runs");
    pod.ask::<Empty>("PingSandbox").unwrap();
    let status = pod.status();
    assert_eq!((status.state.as_str(), status.pid), ("SANDBOX_READY", pid.as_raw().unsigned_abs()));
    assert!(status.created_at.is_some() && status.exited_at.is_none());
}

/// containerd `internal/cri/opts`, `WithPodNamespaces`: containers join `/proc/PID/ns/...` of the sandbox.
fn sandbox_proto_namespaces_are_those_asked_for(stage: &mut Stage) {
    let made = Command::new("ip").args(["netns", "add", "pod"]).status().expect("iproute2 is installed");
    assert!(made.success());
    let pod = Pod::launch(stage);
    // Network and IPC of the pod, processes of the pod as well.
    let request = CreateSandboxRequest {
        netns_path: "/run/netns/pod".into(),
        ..request_with("the-pod", &[1 << 3, 0, 2 << 3, 0, 3 << 3, 0])
    };
    pod.create(&request).unwrap();
    let pid = pod.start().unwrap().to_string();
    let asked = fs::metadata("/run/netns/pod").expect("it was made").ino();
    assert_eq!(namespace(&pid, "net"), asked);
    for kind in ["ipc", "uts", "pid", "mnt"] {
        assert_ne!(namespace(&pid, kind), namespace("self", kind), "{kind}");
    }
    let name =
        Command::new("nsenter").args(["--target", &pid, "--uts", "hostname"]).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&name.stdout), "the-pod\n");
    // Whoever sees it from the pod finds nothing there.
    let files = fs::read_dir(Path::new("/proc").join(&pid).join("root")).expect("root may look").count();
    assert_eq!(files, 0, "its root directory is empty");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    for line in ["Uid:\t65534\t65534\t65534\t65534", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.contains(line), "{line} in {status}");
    }
    pod.stop();
    let deleted = Command::new("ip").args(["netns", "delete", "pod"]).status().expect("it runs");
    assert!(deleted.success());
}

/// CRI's `NamespaceMode` NODE, and no network namespace: nothing is made that was not asked for.
fn sandbox_proto_the_machines_namespaces(stage: &mut Stage) {
    let pod = Pod::launch(stage);
    pod.create(&request_with("ignored", &[1 << 3, 2, 2 << 3, 2, 3 << 3, 2])).unwrap();
    let pid = pod.start().unwrap().to_string();
    for kind in ["net", "ipc", "uts", "pid"] {
        assert_eq!(namespace(&pid, kind), namespace("self", kind), "{kind}");
    }
}

/// CRI's `NamespaceOption`: IPC and processes of the pod, and users: `UserNamespace` with root as user 100000 of the machine,
/// and as group 200000.
fn own_users() -> CreateSandboxRequest {
    let range = |host: &[u8]| [&[1 << 3], host, &[2 << 3, 0, 3 << 3, 0x80, 0x80, 4]].concat();
    let field = |number: u8, value: &[u8]| {
        [&[number << 3 | 2, u8::try_from(value.len()).expect("short")][..], value].concat()
    };
    let (uids, gids) = (field(2, &range(&[0xa0, 0x8d, 6])), field(3, &range(&[0xc0, 0x9a, 12])));
    let users = field(5, &[uids, gids].concat());
    request_with("the-pod", &[&[1 << 3, 0, 2 << 3, 0, 3 << 3, 0][..], &users].concat())
}

#[track_caller]
fn assert_holds_as_nobody_of(pid: &str) {
    let map = |file: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).expect("it runs");
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!((map("uid_map"), map("gid_map")), (ids("100000"), ids("200000")));
    for kind in ["user", "ipc", "pid", "mnt"] {
        assert_ne!(namespace(pid, kind), namespace("self", kind), "{kind}");
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    for line in ["Uid:\t165534\t165534\t165534\t165534", "CapEff:\t0000000000000000"] {
        assert!(status.contains(line), "{line} in {status}");
    }
    let files = fs::read_dir(Path::new("/proc").join(pid).join("root")).expect("root may look").count();
    assert_eq!(files, 0, "its root directory is empty");
}

fn ids(first: &str) -> Vec<String> {
    ["0", first, "65536"].map(str::to_owned).to_vec()
}

/// Kubernetes' `hostUsers: false`: containers join `/proc/PID/ns/user`, and the pod's other namespaces belong to that.
fn sandbox_proto_users_of_the_pod(stage: &mut Stage) {
    let pod = Pod::launch(stage);
    pod.create(&own_users()).unwrap();
    let pid = pod.start().unwrap();
    assert_holds_as_nobody_of(&pid.to_string());
    pod.stop();
    is_gone(pid);
}

/// containerd makes the pod's network in a user namespace (`setupNetnsWithinUserns`), whose root is to rule it.
fn sandbox_proto_users_of_the_pods_network(stage: &mut Stage) {
    let mut maker = Command::new("unshare");
    maker.args(["--user", "--net", "/bin/sh", "-c", "echo there; exec sleep 1000"]);
    let mut maker = maker.stdout(Stdio::piped()).spawn().expect("util-linux is installed");
    let mut word = [0; 6];
    maker.stdout.take().expect("it is a pipe").read_exact(&mut word).expect("it is there");
    let made = maker.id().to_string();
    fs::write(format!("/proc/{made}/uid_map"), ids("100000").join(" ")).unwrap();
    fs::write(format!("/proc/{made}/gid_map"), ids("200000").join(" ")).unwrap();
    let pod = Pod::launch(stage);
    let netns_path = format!("/proc/{made}/ns/net");
    pod.create(&CreateSandboxRequest { netns_path, ..own_users() }).unwrap();
    let pid = pod.start().unwrap().to_string();
    for kind in ["user", "net"] {
        assert_eq!(namespace(&pid, kind), namespace(&made, kind), "{kind}");
    }
    assert_holds_as_nobody_of(&pid);
    assert_ne!(namespace(&pid, "uts"), namespace("self", "uts"));
    maker.kill().unwrap();
    maker.wait().unwrap();
}

/// containerd makes the specification by it.
fn sandbox_proto_platform(stage: &mut Stage) {
    let pod = Pod::launch(stage);
    pod.create(&request()).unwrap();
    let platform = pod.ask::<PlatformResponse>("Platform").unwrap().platform.unwrap_or_default();
    assert_eq!(platform.os, "linux");
    let expected = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    assert_eq!(platform.architecture, expected);
}

/// Numbers of a type that containerd knows.
fn sandbox_proto_metrics(stage: &mut Stage) {
    let (pod, _) = Pod::run(stage);
    let metrics = pod.ask::<SandboxMetricsResponse>("SandboxMetrics").unwrap().metrics.unwrap_or_default();
    assert_eq!(metrics.id, "pod");
    let data = metrics.data.unwrap_or_default();
    assert!(data.type_url.contains("io.containerd.cgroups.v"), "{}", data.type_url);
    assert!(!data.value.is_empty());
}

/// The sandbox is only said to have ended when nothing of the pod runs any more.
fn sandbox_proto_stop_ends_the_containers_first(stage: &mut Stage) {
    let (pod, pid) = Pod::run(stage);
    let container = member(stage, "one");
    assert_eq!(container.shim.reply.address, pod.shim.reply.address, "one shim for the pod");
    container.start();
    container.assert_answers("alive");
    pod.stop();
    assert_eq!(container.wait(), 137);
    stage.events.expect("one", topic::EXIT);
    let exit = pod.wait();
    assert!(exit.exited_at.is_some());
    is_gone(pid);
    let status = pod.status();
    assert_eq!(status.state, "SANDBOX_NOTREADY");
    assert_eq!(status.exited_at, exit.exited_at);
    // containerd stops once more before it removes.
    pod.stop();
    assert_eq!(container.delete(), 137);
}

/// containerd stops what it failed to start.
fn sandbox_proto_stop_of_what_never_ran(stage: &mut Stage) {
    let pod = Pod::launch(stage);
    pod.create(&request()).unwrap();
    pod.stop();
    pod.wait();
    assert_eq!(code_of(&pod.start()), Code::FAILED_PRECONDITION);
}

/// `sandbox.proto`: "`ShutdownSandbox` must shutdown shim instance". Nothing may be left of the pod.
fn sandbox_proto_shutdown_ends_the_shim(stage: &mut Stage) {
    let (pod, pid) = Pod::run(stage);
    let container = member(stage, "one");
    container.start();
    let (shim, socket) = (pod.shim.pid(), pod.shim.socket());
    pod.ask::<Empty>("ShutdownSandbox").unwrap();
    assert!(
        !socket.exists(),
        "containerd cleans up now, and nobody would if the shim were killed on its way out"
    );
    stage.events.expect("one", topic::DELETE);
    is_gone(pid);
    wait::until("the shim is gone", || kill(shim, None).is_err().then_some(()));
}

/// containerd `plugins/sandbox/controller.go`, `cleanupShim`: after a `CreateSandbox` that failed.
fn plugins_sandbox_controller_shutdown_after_a_failure(stage: &mut Stage) {
    let pod = Pod::launch(stage);
    let shim = pod.shim.pid();
    let broken = CreateSandboxRequest {
        options: Some(Any { type_url: "x.Options".into(), value: vec![1], ..Default::default() }).into(),
        ..request()
    };
    assert_eq!(code_of(&pod.create(&broken)), Code::INVALID_ARGUMENT);
    pod.ask::<Empty>("ShutdownSandbox").unwrap();
    wait::until("the shim is gone", || kill(shim, None).is_err().then_some(()));
}

/// What is not there is `NOT_FOUND`, what is there twice `ALREADY_EXISTS`, and a sandbox is started once.
fn sandbox_proto_refusals(stage: &mut Stage) {
    let pod = Pod::launch(stage);
    for method in [
        "StartSandbox",
        "Platform",
        "StopSandbox",
        "WaitSandbox",
        "SandboxStatus",
        "PingSandbox",
        "SandboxMetrics",
    ] {
        assert_eq!(code_of(&pod.ask::<Empty>(method)), Code::NOT_FOUND, "{method}");
    }
    let unnamed = CreateSandboxRequest { sandbox_id: "../x".into(), ..Default::default() };
    assert_eq!(code_of(&pod.create(&unnamed)), Code::INVALID_ARGUMENT);
    let nowhere = CreateSandboxRequest { netns_path: "/run/netns/absent".into(), ..request() };
    pod.create(&nowhere).unwrap();
    assert_eq!(code_of(&pod.create(&nowhere)), Code::ALREADY_EXISTS);
    assert_eq!(code_of(&pod.start()), Code::INTERNAL, "there is no such network namespace");
    // The sandbox's id is no container's.
    assert_eq!(code_of(&pod.shim.connect().state("pod")), Code::NOT_FOUND);
}

/// containerd 2.4 sends Task's Shutdown after every task it deletes.
fn containerd_2_4_task_shutdown_spares_the_sandbox(stage: &mut Stage) {
    let (pod, _) = Pod::run(stage);
    let container = member(stage, "one");
    container.start();
    container.end();
    container.task.shutdown("one").unwrap();
    assert_eq!(pod.status().state, "SANDBOX_READY");
}

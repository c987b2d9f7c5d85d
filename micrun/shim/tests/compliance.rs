//! docs/COMPLIANCE.md against the program: every rpc is in its table, and answers as the table says.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use containerd_shim_protos::bootstrap_api::{BootstrapParams, BootstrapResult};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::{TaskClient, api, ttrpc};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use ttrpc::Code;

/// The methods of `containerd.task.v2.Task` and `.v3.Task`.
const METHODS: [&str; 17] = [
    "Checkpoint",
    "CloseIO",
    "Connect",
    "Create",
    "Delete",
    "Exec",
    "Kill",
    "Pause",
    "Pids",
    "ResizePty",
    "Resume",
    "Shutdown",
    "Start",
    "State",
    "Stats",
    "Update",
    "Wait",
];

/// The methods of `containerd.runtime.sandbox.v1.Sandbox`.
const SANDBOX_METHODS: [&str; 9] = [
    "CreateSandbox",
    "PingSandbox",
    "Platform",
    "SandboxMetrics",
    "SandboxStatus",
    "ShutdownSandbox",
    "StartSandbox",
    "StopSandbox",
    "WaitSandbox",
];

/// The rpcs of the table under a heading, with what its second column says.
fn table(heading: &str) -> BTreeMap<String, String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/COMPLIANCE.md");
    let text = std::fs::read_to_string(page).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with(heading)).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|')).flat_map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let served = cells[1].to_owned();
        cells[0].split(", ").map(move |rpc| (rpc.to_owned(), served.clone())).collect::<Vec<_>>()
    });
    rows.collect()
}

/// A served shim without containers, ended with this.
struct Shim {
    client: ttrpc::Client,
    _dir: tempfile::TempDir,
}

impl Shim {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        mkfifo(&dir.path().join("log"), Mode::S_IRWXU).unwrap();
        std::fs::write(dir.path().join("config.json"), r#"{"ociVersion":"1.1.0"}"#).unwrap();
        // containerd 2.3 says where the socket shall be; the place that others get is root's.
        let mut params = BootstrapParams::new();
        params.instance_id = "a".into();
        params.namespace = "ns".into();
        params.containerd_version = "2.3.1".into();
        params.containerd_ttrpc_address = dir.path().join("nobody.ttrpc").display().to_string();
        params.set_socket_dir(dir.path().display().to_string());
        let mut child = Command::new(env!("CARGO_BIN_EXE_containerd-shim-mica-v2"))
            .args(["-namespace", "ns", "-id", "a", "start"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&params.write_to_bytes().unwrap()).unwrap();
        let output = child.wait_with_output().unwrap();
        let reply = BootstrapResult::parse_from_bytes(&output.stdout).unwrap();
        let client = ttrpc::Client::connect(&reply.address).unwrap();
        Self { client, _dir: dir }
    }

    /// The code of the answer to a request about no container at all.
    fn answer(&self, service: &str, method: &str) -> Code {
        let mut raw = ttrpc::Request::new();
        raw.service = service.into();
        raw.method = method.into();
        raw.payload = api::Empty::new().write_to_bytes().unwrap();
        raw.timeout_nano = 10_000_000_000;
        match self.client.request(raw) {
            Ok(_) => Code::OK,
            Err(ttrpc::Error::RpcStatus(status)) => status.code(),
            Err(other) => panic!("{method}: {other}"),
        }
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        let mut request = api::ShutdownRequest::new();
        request.now = true;
        let context = ttrpc::context::with_duration(std::time::Duration::from_secs(100));
        let _ = TaskClient::new(self.client.clone()).shutdown(context, &request);
    }
}

#[test]
fn every_rpc_is_in_the_table_and_answers_as_it_says() {
    let table = table("| rpc |");
    assert_eq!(table.keys().map(String::as_str).collect::<Vec<_>>(), METHODS);
    let shim = Shim::start();
    for (method, served) in &table {
        // It would be the last answer of all.
        if method == "Shutdown" {
            continue;
        }
        for service in ["containerd.task.v2.Task", "containerd.task.v3.Task"] {
            let code = shim.answer(service, method);
            match served.as_str() {
                "yes" | "where it can" => assert_ne!(code, Code::UNIMPLEMENTED, "{method}"),
                "no" => assert_eq!(code, Code::UNIMPLEMENTED, "{method}"),
                other => panic!("{method}: what does {other:?} mean?"),
            }
            // What names no container is about one that is not there, and Create lacks an id.
            let expected = match method.as_str() {
                "Connect" => Code::OK,
                "Create" => Code::INVALID_ARGUMENT,
                _ => Code::NOT_FOUND,
            };
            if served != "no" {
                assert_eq!(code, expected, "{method}");
            }
        }
    }
}

#[test]
fn every_rpc_of_a_sandbox_is_in_the_table_and_answers_as_it_says() {
    let table = table("| sandbox rpc |");
    assert_eq!(table.keys().map(String::as_str).collect::<Vec<_>>(), SANDBOX_METHODS);
    let shim = Shim::start();
    for (method, served) in &table {
        assert_eq!(served, "yes", "{method}");
        let expected = match method.as_str() {
            // It would be the last answer of all.
            "ShutdownSandbox" => continue,
            // It lacks an id.
            "CreateSandbox" => Code::INVALID_ARGUMENT,
            _ => Code::NOT_FOUND,
        };
        assert_eq!(shim.answer("containerd.runtime.sandbox.v1.Sandbox", method), expected, "{method}");
    }
}

//! The binary as containerd runs it: `start`, `-info`, and the server that `start` leaves behind.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use containerd_shim_protos::bootstrap_api::{BootstrapParams, BootstrapResult};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::types::introspection::RuntimeInfo;
use containerd_shim_protos::{TaskClient, api, ttrpc};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

const SHIM: &str = env!("CARGO_BIN_EXE_containerd-shim-mica-v2");
const V2: &str = "containerd.task.v2.Task";
const V3: &str = "containerd.task.v3.Task";

/// A directory with bundles and sockets; servers that the test left running are ended with it.
struct Place {
    dir: tempfile::TempDir,
    servers: Vec<String>,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), servers: Vec::new() }
    }

    fn bundle(&self, id: &str, annotations: &str) -> PathBuf {
        let bundle = self.dir.path().join(id);
        std::fs::create_dir(&bundle).unwrap();
        mkfifo(&bundle.join("log"), Mode::S_IRWXU).unwrap();
        let spec = format!(r#"{{"ociVersion":"1.1.0","annotations":{{{annotations}}}}}"#);
        std::fs::write(bundle.join("config.json"), spec).unwrap();
        bundle
    }

    /// What containerd 2.3 does to start a shim.
    fn start(&mut self, bundle: &Path, id: &str) -> BootstrapResult {
        let mut params = BootstrapParams::new();
        params.instance_id = id.into();
        params.namespace = "ns".into();
        params.containerd_version = "2.3.1".into();
        params.containerd_ttrpc_address = self.dir.path().join("nobody.ttrpc").display().to_string();
        params.set_socket_dir(self.dir.path().display().to_string());
        let output =
            run(bundle, &["-namespace", "ns", "-id", id, "start"], &params.write_to_bytes().unwrap());
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stderr, b"", "containerd merges stderr into the reply");
        let result = BootstrapResult::parse_from_bytes(&output.stdout).unwrap();
        self.servers.push(result.address.clone());
        result
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for address in &self.servers {
            if let Ok(client) = ttrpc::Client::connect(address) {
                let mut request = api::ShutdownRequest::new();
                request.now = true;
                let _ = TaskClient::new(client).shutdown(deadline(), &request);
            }
        }
    }
}

fn run(dir: &Path, args: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(SHIM)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    child.wait_with_output().unwrap()
}

fn deadline() -> ttrpc::context::Context {
    ttrpc::context::with_duration(std::time::Duration::from_secs(100))
}

fn call(
    client: &ttrpc::Client,
    service: &str,
    method: &str,
    request: &dyn protobuf_dyn::Dyn,
) -> ttrpc::Result<Vec<u8>> {
    let mut raw = ttrpc::Request::new();
    raw.service = service.into();
    raw.method = method.into();
    raw.payload = request.bytes();
    raw.timeout_nano = 10_000_000_000;
    client.request(raw).map(|response| response.payload)
}

/// Any protobuf message as bytes.
mod protobuf_dyn {
    use containerd_shim_protos::protobuf::Message;

    pub(crate) trait Dyn {
        fn bytes(&self) -> Vec<u8>;
    }

    impl<M: Message> Dyn for M {
        fn bytes(&self) -> Vec<u8> {
            self.write_to_bytes().unwrap()
        }
    }
}

#[test]
fn info_names_the_runtime_and_touches_nothing() {
    let place = Place::new();
    let output = run(place.dir.path(), &["-info"], b"");
    assert!(output.status.success());
    assert_eq!(output.stderr, b"");
    let info = RuntimeInfo::parse_from_bytes(&output.stdout).unwrap();
    assert_eq!(info.name, "io.containerd.mica.v2");
    assert_eq!(info.version.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 0);
}

#[test]
fn containerd_12786_bootstrap_params_get_a_result_in_kind() {
    let mut place = Place::new();
    let bundle = place.bundle("a", "");
    let result = place.start(&bundle, "a");
    assert_eq!((result.version, result.protocol.as_str()), (3, "ttrpc"));
    let socket_dir = format!("unix://{}/", place.dir.path().display());
    assert!(result.address.starts_with(&socket_dir), "{} is not in the asked directory", result.address);
    assert_eq!(std::fs::read_to_string(bundle.join("address")).unwrap(), result.address);
}

#[test]
fn one_server_speaks_task_v2_and_v3() {
    let mut place = Place::new();
    let bundle = place.bundle("a", "");
    let address = place.start(&bundle, "a").address;
    let client = ttrpc::Client::connect(&address).unwrap();
    let pid: u32 = std::fs::read_to_string(bundle.join("shim.pid")).unwrap().parse().unwrap();
    for service in [V2, V3] {
        let payload = call(&client, service, "Connect", &api::ConnectRequest::new()).unwrap();
        assert_eq!(api::ConnectResponse::parse_from_bytes(&payload).unwrap().shim_pid, pid);
    }
}

#[test]
fn containers_of_a_pod_share_a_server_and_others_do_not() {
    let mut place = Place::new();
    let pod = r#""io.kubernetes.cri.sandbox-id":"pod""#;
    let bundles = [place.bundle("pod", ""), place.bundle("member", pod), place.bundle("other", "")];
    let first = place.start(&bundles[0], "pod").address;
    assert_eq!(place.start(&bundles[1], "member").address, first);
    assert_ne!(place.start(&bundles[2], "other").address, first);
}

#[test]
fn shutdown_ends_the_server_and_removes_its_socket() {
    let mut place = Place::new();
    let bundle = place.bundle("a", "");
    let address = place.start(&bundle, "a").address;
    let mut reader = std::fs::File::open(bundle.join("log")).unwrap();
    let client = TaskClient::new(ttrpc::Client::connect(&address).unwrap());
    client.shutdown(deadline(), &api::ShutdownRequest::new()).unwrap();
    let pid = std::fs::read_to_string(bundle.join("shim.pid")).unwrap();
    // The server's log FIFO ends when the last process that holds it has gone.
    let mut log = String::new();
    std::io::Read::read_to_string(&mut reader, &mut log).unwrap();
    assert!(log.contains("the shim ends"), "{log}");
    assert!(!Path::new(address.trim_start_matches("unix://")).exists());
    assert!(!Path::new("/proc").join(pid).join("exe").exists());
}

#[test]
fn a_broken_spec_is_a_clear_error() {
    let place = Place::new();
    let bundle = place.bundle("a", "no JSON");
    let output = run(&bundle, &["-namespace", "ns", "-id", "a", "start"], b"");
    assert!(!output.status.success());
    assert_eq!(output.stdout, b"");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("config.json") && text.contains("cannot parse"), "{text}");
}

/// containerd's sandbox controller makes such bundles (`plugins/sandbox/controller.go`).
#[test]
fn a_bundle_without_a_spec_is_a_sandboxs() {
    let mut place = Place::new();
    let bundle = place.bundle("a", "");
    std::fs::remove_file(bundle.join("config.json")).unwrap();
    let sandbox = place.start(&bundle, "a");
    let member = place.bundle("b", r#""io.kubernetes.cri.sandbox-id":"a""#);
    assert_eq!(place.start(&member, "b").address, sandbox.address, "its containers find it");
}

/// smolvm#889: containerd's flags are deprecated; the parameters say the same.
#[test]
fn smolvm_889_bootstrap_params_alone_are_enough() {
    let mut place = Place::new();
    let bundle = place.bundle("a", "");
    let with_flags = place.start(&bundle, "a");
    let mut params = BootstrapParams::new();
    params.instance_id = "a".into();
    params.namespace = "ns".into();
    params.containerd_version = "2.4.0".into();
    params.set_socket_dir(place.dir.path().display().to_string());
    let output = run(&bundle, &["start"], &params.write_to_bytes().unwrap());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(BootstrapResult::parse_from_bytes(&output.stdout).unwrap(), with_flags);
}

#[test]
fn an_annotation_chooses_the_announced_version() {
    let mut place = Place::new();
    let bundle = place.bundle("a", r#""org.openeuler.micrun.runtime.shim_version":"2""#);
    assert_eq!(place.start(&bundle, "a").version, 2);
}

#[test]
fn options_of_an_unknown_type_are_an_error_that_names_it() {
    let place = Place::new();
    let bundle = place.bundle("a", "");
    let mut any = containerd_shim_protos::protobuf::well_known_types::any::Any::new();
    any.type_url = "windows.v1.Options".into();
    let output = run(&bundle, &["-namespace", "ns", "-id", "a", "start"], &any.write_to_bytes().unwrap());
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("`windows.v1.Options`"), "{text}");
    assert!(!bundle.join("address").exists());
}

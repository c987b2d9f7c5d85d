//! A task service whose daemon and event sink belong to the test.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use containerd_shim_protos::api::{
    CloseIORequest, CreateTaskRequest, DeleteRequest, KillRequest, PauseRequest, ResumeRequest, StartRequest,
    WaitRequest,
};
use containerd_shim_protos::shim_async::Task;
use containerd_shim_protos::ttrpc::r#async::TtrpcContext;
use containerd_shim_protos::ttrpc::proto::MessageHeader;
use containerd_shim_protos::ttrpc::{self, Code};
use micrun_firmware::host_conf::Locations;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::daemon::Daemon;
pub(super) use super::daemon::Script;
use crate::cgroup::Layout;
use crate::service::ending::Ending;
use crate::service::task::TaskService;
use crate::task::budget::Budget;
use crate::task::containers::Containers;
use crate::task::context::Context;
use crate::task::events::{Event, EventSink};

/// Events in the order of publication.
#[derive(Default)]
pub(super) struct Recorder(Mutex<Vec<Event>>);

impl EventSink for Recorder {
    fn publish(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// Everything a test needs, in a directory of its own.
pub(super) struct Fixture {
    pub service: Arc<TaskService>,
    pub context: Arc<Context>,
    pub containers: Arc<Containers>,
    pub daemon: Arc<Daemon>,
    recorder: Arc<Recorder>,
    pub dir: tempfile::TempDir,
    stdout: Option<pipe::Receiver>,
    /// `config.json` of the next container.
    pub spec: serde_json::Value,
    /// The checkpoint that the next container goes on from.
    pub checkpoint: String,
}

impl Fixture {
    /// A service without containers, on a machine without cgroups.
    pub(super) fn new(script: Script) -> Self {
        Self::with_cgroups(script, None)
    }

    /// A service without containers.
    pub(super) fn with_cgroups(script: Script, cgroups: Option<Layout>) -> Self {
        Self::in_namespace("test", script, cgroups)
    }

    /// A service for a containerd namespace.
    pub(super) fn in_namespace(namespace: &str, script: Script, cgroups: Option<Layout>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let daemon = Daemon::new(script);
        let recorder = Arc::new(Recorder::default());
        let context = Context {
            namespace: namespace.into(),
            state_root: dir.path().join("state"),
            host_conf: Locations {
                file: dir.path().join("micrun.conf"),
                dir: dir.path().join("conf.d"),
                extra: None,
                of_container: None,
                body: None,
                environment: BTreeMap::new(),
            },
            cgroups,
            shared: OnceLock::new(),
            budget: Budget::default(),
            mica: daemon.clone(),
            events: recorder.clone(),
        };
        let (context, containers) = (Arc::new(context), Arc::<Containers>::default());
        let service = TaskService::new(Arc::clone(&context), Arc::clone(&containers), Ending::new(None));
        let spec = Self::spec(script.pedestal);
        Self {
            service,
            context,
            containers,
            daemon,
            recorder,
            dir,
            stdout: None,
            spec,
            checkpoint: String::new(),
        }
    }

    /// Adds an annotation to the bundle that Create will find.
    pub(super) fn annotate(&mut self, key: &str, value: &str) {
        self.spec["annotations"][format!("org.openeuler.micrun.{key}")] = value.into();
    }

    /// Writes micrun.conf, which the next Create reads.
    pub(super) fn configure(&self, text: &str) {
        std::fs::write(self.dir.path().join("micrun.conf"), text).unwrap();
    }

    /// Makes a FIFO.
    pub(super) fn fifo(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        path
    }

    fn spec(pedestal: &str) -> serde_json::Value {
        let pedestal = if pedestal.is_empty() { "qemu" } else { pedestal };
        serde_json::json!({
            "annotations": {"org.openeuler.micrun.ped.pedestal": pedestal},
            "root": {"path": "rootfs"},
        })
    }

    /// Creates container `c` of a bundle with a small firmware.
    pub(super) async fn create(&mut self) -> ttrpc::Result<()> {
        let stdout = self.output_fifo();
        self.create_with(|request| request.stdout = stdout).await
    }

    /// The FIFO whose contents [`Self::read_stdout`] gives.
    pub(super) fn output_fifo(&mut self) -> String {
        if self.stdout.is_none() {
            let stdout = self.fifo("stdout");
            self.stdout = Some(pipe::OpenOptions::new().open_receiver(&stdout).unwrap());
        }
        self.dir.path().join("stdout").display().to_string()
    }

    /// Creates it with a request that `change` completes.
    pub(super) async fn create_with(
        &mut self,
        change: impl FnOnce(&mut CreateTaskRequest),
    ) -> ttrpc::Result<()> {
        let bundle = self.dir.path().join("bundle");
        write_bundle(&bundle, &self.spec);
        let mut request = CreateTaskRequest::new();
        request.id = "c".into();
        request.bundle = bundle.display().to_string();
        request.checkpoint.clone_from(&self.checkpoint);
        change(&mut request);
        self.service.create(&context(), request).await.map(drop)
    }

    pub(super) async fn close_stdin(&self) -> ttrpc::Result<()> {
        let mut request = CloseIORequest::new();
        request.id = "c".into();
        request.stdin = true;
        self.service.close_io(&context(), request).await.map(drop)
    }

    /// What the RTOS gets as input: the next `count` bytes.
    pub(super) async fn read_input(&self, count: usize) -> String {
        let daemon = self.daemon.clone();
        let read = move || {
            let mut bytes = vec![0; count];
            (&daemon.master).read_exact(&mut bytes).map(|()| bytes)
        };
        String::from_utf8(tokio::task::spawn_blocking(read).await.unwrap().unwrap()).unwrap()
    }

    /// Waits for a condition.
    pub(super) async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(100);
        while !condition(self) {
            assert!(std::time::Instant::now() < limit, "waited in vain");
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    pub(super) async fn start(&self) -> ttrpc::Result<()> {
        let mut request = StartRequest::new();
        request.id = "c".into();
        self.service.start(&context(), request).await.map(drop)
    }

    pub(super) async fn kill(&self, signal: u32) -> ttrpc::Result<()> {
        let mut request = KillRequest::new();
        request.id = "c".into();
        request.signal = signal;
        self.service.kill(&context(), request).await.map(drop)
    }

    pub(super) async fn pause(&self) -> ttrpc::Result<()> {
        let mut request = PauseRequest::new();
        request.id = "c".into();
        self.service.pause(&context(), request).await.map(drop)
    }

    pub(super) async fn resume(&self) -> ttrpc::Result<()> {
        let mut request = ResumeRequest::new();
        request.id = "c".into();
        self.service.resume(&context(), request).await.map(drop)
    }

    pub(super) async fn wait(&self) -> u32 {
        let mut request = WaitRequest::new();
        request.id = "c".into();
        self.service.wait(&context(), request).await.unwrap().exit_status
    }

    pub(super) async fn delete(&self) -> ttrpc::Result<u32> {
        let mut request = DeleteRequest::new();
        request.id = "c".into();
        self.service.delete(&context(), request).await.map(|response| response.exit_status)
    }

    /// Everything that stdout carries until its end.
    pub(super) async fn read_stdout(&mut self) -> String {
        let mut text = String::new();
        self.stdout.as_mut().unwrap().read_to_string(&mut text).await.unwrap();
        text
    }

    /// The next `count` bytes that stdout carries.
    pub(super) async fn read_output(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        self.stdout.as_mut().unwrap().read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Topics so far, without their prefix, and exit statuses.
    pub(super) fn events(&self) -> Vec<String> {
        let events = self.recorder.0.lock().unwrap();
        events
            .iter()
            .map(|event| match event {
                Event::Exit(exit) => format!("exit {}", exit.exit_status),
                other => other.topic().trim_start_matches("/tasks/").to_owned(),
            })
            .collect()
    }

    /// Files that the shim keeps for its containers.
    pub(super) fn leftovers(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("state")).map_or(0, Iterator::count)
    }
}

/// The RPC code of a failed call.
pub(super) fn code<T: std::fmt::Debug>(result: ttrpc::Result<T>) -> Code {
    match result.unwrap_err() {
        ttrpc::Error::RpcStatus(status) => status.code(),
        other => panic!("not an RPC status: {other}"),
    }
}

pub(super) fn context() -> TtrpcContext {
    TtrpcContext {
        mh: MessageHeader::default(),
        metadata: std::collections::HashMap::default(),
        timeout_nano: 0,
        connection_data: Arc::default(),
    }
}

pub(super) fn write_bundle(bundle: &Path, spec: &serde_json::Value) {
    let rootfs = bundle.join("rootfs");
    std::fs::create_dir_all(&rootfs).unwrap();
    let firmware = rootfs.join("firmware.elf");
    // That of an earlier bundle is read-only, for all but root.
    let _ = std::fs::remove_file(&firmware);
    std::fs::write(&firmware, small_elf()).unwrap();
    std::fs::set_permissions(&firmware, PermissionsExt::from_mode(0o444)).unwrap();
    std::fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
}

/// An aarch64 executable with one segment of four bytes.
pub(super) fn small_elf() -> Vec<u8> {
    let mut elf = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    elf.extend([2_u16, 183].map(u16::to_le_bytes).concat());
    elf.extend(1_u32.to_le_bytes());
    elf.extend([0x4000_0000_u64, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 1, 64, 0, 0].map(u16::to_le_bytes).concat());
    elf.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    elf.extend([120_u64, 0x4000_0000, 0x4000_0000, 4, 4, 4].map(u64::to_le_bytes).concat());
    elf.extend([0x00, 0x00, 0x00, 0x14]);
    elf
}

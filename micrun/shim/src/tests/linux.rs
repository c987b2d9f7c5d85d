//! The Linux engine against an OCI runtime that misbehaves on purpose.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use containerd_shim_protos::api::{
    DeleteRequest, ExecProcessRequest, KillRequest, PidsRequest, StartRequest, StateRequest, Status,
    UpdateTaskRequest, WaitRequest,
};
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci::Options;
use containerd_shim_protos::shim_async::Task;
use containerd_shim_protos::ttrpc::{self, Code};

use super::fixture::{Fixture, Script, code, context};
use crate::oci::any;
use crate::os::children;

/// A container `c` of the runtime in `runtime.sh`.
struct Stage {
    f: Fixture,
    runtime: PathBuf,
}

impl Stage {
    /// A stage whose container's init process runs `program`, a shell script.
    fn new(program: &str) -> Self {
        children::adopt_orphans().unwrap();
        let mut f = Fixture::new(Script::default());
        f.spec = serde_json::json!({"root": {"path": "rootfs"}});
        let dir = f.dir.path().join("runtime");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("program"), program).unwrap();
        let runtime = dir.join("runtime");
        std::fs::write(&runtime, include_str!("runtime.sh")).unwrap();
        std::fs::set_permissions(&runtime, PermissionsExt::from_mode(0o755)).unwrap();
        Self { f, runtime }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.runtime.with_file_name(name)
    }

    /// Has the runtime refuse an action.
    fn refuse(&self, action: &str) {
        std::fs::write(self.path(&format!("refuse-{action}")), "it does not want to").unwrap();
    }

    /// How often an action was asked for.
    fn asked(&self, action: &str) -> usize {
        let calls = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        calls.lines().filter(|call| call.split(' ').next() == Some(action)).count()
    }

    fn options(&self) -> Any {
        let mut options = Options::new();
        options.binary_name = self.runtime.display().to_string();
        // Only root may give a pipe to somebody else.
        options.io_uid = nix::unistd::getuid().as_raw();
        options.io_gid = nix::unistd::getgid().as_raw();
        any::pack(&options)
    }

    async fn create(&mut self) -> ttrpc::Result<()> {
        let (stdin, stdout) = (self.f.fifo("stdin"), self.f.output_fifo());
        let options = self.options();
        self.f
            .create_with(|request| {
                request.options = Some(options).into();
                request.stdin = stdin.display().to_string();
                request.stdout = stdout;
            })
            .await
    }

    /// Adds an exec that runs `program`.
    async fn exec(&self, id: &str, program: &str) -> ttrpc::Result<()> {
        std::fs::write(self.path("exec-program"), program).unwrap();
        let mut request = ExecProcessRequest::new();
        request.id = "c".into();
        request.exec_id = id.into();
        let stdin = self.f.dir.path().join(format!("{id}.in"));
        if !stdin.exists() {
            self.f.fifo(&format!("{id}.in"));
        }
        request.stdin = stdin.display().to_string();
        request.spec.mut_or_insert_default().value = b"{}".to_vec();
        self.f.service.exec(&context(), request).await.map(drop)
    }

    async fn start_exec(&self, id: &str) -> ttrpc::Result<u32> {
        let request = StartRequest { id: "c".into(), exec_id: id.into(), ..StartRequest::default() };
        self.f.service.start(&context(), request).await.map(|response| response.pid)
    }

    async fn wait_exec(&self, id: &str) -> u32 {
        let request = WaitRequest { id: "c".into(), exec_id: id.into(), ..WaitRequest::default() };
        self.f.service.wait(&context(), request).await.unwrap().exit_status
    }

    async fn delete_exec(&self, id: &str) -> ttrpc::Result<u32> {
        let request = DeleteRequest { id: "c".into(), exec_id: id.into(), ..DeleteRequest::default() };
        self.f.service.delete(&context(), request).await.map(|response| response.exit_status)
    }

    async fn status(&self) -> Status {
        let request = StateRequest { id: "c".into(), ..StateRequest::default() };
        self.f.service.state(&context(), request).await.unwrap().status.unwrap()
    }
}

/// Descriptors of this process that are open on a file.
fn open_on(path: &Path) -> usize {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    entries.filter(|entry| entry.path().read_link().is_ok_and(|target| target == path)).count()
}

#[tokio::test]
async fn a_life_from_create_to_delete() {
    let mut s = Stage::new("echo out; exit 3");
    s.create().await.unwrap();
    assert_eq!(s.status().await, Status::CREATED);
    s.f.start().await.unwrap();
    assert_eq!(s.f.read_stdout().await, "out\n");
    assert_eq!(s.f.wait().await, 3);
    assert_eq!(s.f.delete().await.unwrap(), 3);
    assert_eq!(s.f.events(), ["create", "start", "exit 3", "delete"]);
    assert_eq!((s.asked("create"), s.asked("start"), s.asked("delete")), (1, 1, 1));
}

#[tokio::test]
async fn a_refused_create_says_why_and_leaves_nothing() {
    let mut s = Stage::new("exit 0");
    s.refuse("create");
    let error = s.create().await.unwrap_err();
    assert!(error.to_string().contains("it does not want to"), "{error}");
    assert_eq!(code::<()>(Err(error)), Code::INTERNAL);
    assert_eq!(code(s.f.start().await), Code::NOT_FOUND);
    assert_eq!(open_on(&s.f.dir.path().join("stdin")), 0);
    assert!(s.f.events().is_empty());
}

#[tokio::test]
async fn a_container_whose_process_is_not_known_is_taken_away() {
    let mut s = Stage::new("exit 0");
    std::fs::write(s.path("no-pid-file"), "").unwrap();
    let error = s.create().await.unwrap_err();
    assert!(error.to_string().contains("init.pid"), "{error}");
    assert_eq!(s.asked("delete"), 1);
    assert_eq!(code(s.f.start().await), Code::NOT_FOUND);
}

#[tokio::test]
async fn a_refused_start_ends_the_container() {
    let mut s = Stage::new("exit 0");
    s.create().await.unwrap();
    s.refuse("start");
    assert_eq!(code(s.f.start().await), Code::INTERNAL);
    assert_eq!(s.f.wait().await, 126, "who waits is answered");
    assert_eq!(s.f.read_stdout().await, "", "its process is gone");
    assert_eq!(code(s.f.start().await), Code::FAILED_PRECONDITION);
    assert_eq!(s.f.delete().await.unwrap(), 126);
    assert_eq!(s.f.events(), ["create", "delete"]);
}

#[tokio::test]
async fn a_second_start_disturbs_nobody() {
    let mut s = Stage::new("cat");
    s.create().await.unwrap();
    s.f.start().await.unwrap();
    s.exec("e", "exec cat").await.unwrap();
    s.start_exec("e").await.unwrap();
    assert_eq!(code(s.f.start().await), Code::FAILED_PRECONDITION);
    assert_eq!(code(s.start_exec("e").await), Code::FAILED_PRECONDITION);
    std::fs::write(s.f.dir.path().join("stdin"), "still there\n").unwrap();
    s.f.close_stdin().await.unwrap();
    assert_eq!(s.f.read_stdout().await, "still there\n");
    assert_eq!(s.f.wait().await, 0);
}

#[tokio::test]
async fn an_exec_that_cannot_be_started_is_waited_for_and_keeps_nothing_open() {
    let mut s = Stage::new("exec sleep 1000");
    s.create().await.unwrap();
    s.f.start().await.unwrap();
    s.refuse("exec");
    for number in 0..25 {
        let id = format!("e{number}");
        s.exec(&id, "exit 0").await.unwrap();
        assert_eq!(code(s.start_exec(&id).await), Code::INTERNAL);
        assert_eq!(s.wait_exec(&id).await, 126);
        assert_eq!(open_on(&s.f.dir.path().join(format!("{id}.in"))), 0);
        assert_eq!(code(s.start_exec(&id).await), Code::FAILED_PRECONDITION);
    }
    assert_eq!(s.delete_exec("e0").await.unwrap(), 126);
    assert_eq!(s.asked("exec"), 25);
    s.f.kill(9).await.unwrap();
    assert_eq!(s.f.wait().await, 137);
}

#[tokio::test]
async fn containerd_10651_execs_end_before_their_container() {
    let mut s = Stage::new("exec sleep 1000");
    s.create().await.unwrap();
    s.f.start().await.unwrap();
    s.exec("e", "exit 5").await.unwrap();
    s.start_exec("e").await.unwrap();
    assert_eq!(s.wait_exec("e").await, 5);
    assert_eq!(code(s.exec("e", "exit 0").await), Code::ALREADY_EXISTS);
    s.exec("late", "exit 0").await.unwrap();
    s.f.kill(15).await.unwrap();
    assert_eq!(s.f.wait().await, 143);
    assert_eq!(code(s.start_exec("late").await), Code::NOT_FOUND);
    assert_eq!(s.delete_exec("e").await.unwrap(), 5);
    let events = ["create", "start", "exec-added", "exec-started", "exit 5", "exec-added", "exit 143"];
    assert_eq!(s.f.events(), events);
}

#[tokio::test]
async fn an_exec_that_exists_is_told_by_its_own_name() {
    let mut s = Stage::new("exec sleep 1000");
    s.create().await.unwrap();
    s.exec("e1", "exit 0").await.unwrap();
    let error = s.exec("e1", "exit 0").await.unwrap_err().to_string();
    assert!(error.contains("exec `e1` of container `c` already exists"), "{error}");
    s.f.delete().await.unwrap();
}

#[tokio::test]
async fn what_the_runtime_refuses_changes_no_state() {
    let mut s = Stage::new("exec sleep 1000");
    s.create().await.unwrap();
    s.f.start().await.unwrap();
    s.refuse("pause");
    assert_eq!(code(s.f.pause().await), Code::INTERNAL);
    assert_eq!(s.status().await, Status::RUNNING);
    std::fs::remove_file(s.path("refuse-pause")).unwrap();
    s.f.pause().await.unwrap();
    s.refuse("resume");
    assert_eq!(code(s.f.resume().await), Code::INTERNAL);
    assert_eq!(s.status().await, Status::PAUSED);
    std::fs::remove_file(s.path("refuse-resume")).unwrap();
    s.f.resume().await.unwrap();
    s.refuse("update");
    let request = UpdateTaskRequest { id: "c".into(), ..UpdateTaskRequest::default() };
    assert_eq!(code(s.f.service.update(&context(), request).await), Code::INTERNAL);
    s.f.kill(9).await.unwrap();
    assert_eq!(s.f.wait().await, 137);
    assert_eq!(s.f.events(), ["create", "start", "paused", "resumed", "exit 137"]);
}

#[tokio::test]
async fn words_of_an_earlier_refusal_are_no_reason_for_a_later_one() {
    let mut s = Stage::new("exec sleep 1000");
    s.create().await.unwrap();
    s.f.start().await.unwrap();
    s.refuse("pause");
    s.f.pause().await.unwrap_err();
    std::fs::remove_file(s.path("refuse-pause")).unwrap();
    std::fs::write(s.path("init.pid"), "0x").unwrap();
    let error = s.f.pause().await.unwrap_err().to_string();
    assert!(!error.contains("it does not want to"), "{error}");
    s.f.kill(9).await.unwrap();
    s.f.wait().await;
}

#[tokio::test]
async fn signals_to_all_go_through_the_runtime_and_its_refusal_is_told() {
    let mut s = Stage::new("exec sleep 1000");
    s.create().await.unwrap();
    s.f.start().await.unwrap();
    s.refuse("kill");
    let all = KillRequest { id: "c".into(), signal: 15, all: true, ..KillRequest::default() };
    assert_eq!(code(s.f.service.kill(&context(), all.clone()).await), Code::INTERNAL);
    // What was refused was not sent another way: the process can still be frozen.
    s.f.pause().await.unwrap();
    s.f.resume().await.unwrap();
    std::fs::remove_file(s.path("refuse-kill")).unwrap();
    s.f.service.kill(&context(), all).await.unwrap();
    assert_eq!(s.f.wait().await, 143);
    assert_eq!(code(s.f.kill(9).await), Code::NOT_FOUND);
}

#[tokio::test]
async fn a_container_is_never_without_a_process() {
    let mut s = Stage::new("exec sleep 1000");
    s.create().await.unwrap();
    s.refuse("ps");
    let request = PidsRequest { id: "c".into(), ..PidsRequest::default() };
    let pids = s.f.service.pids(&context(), request).await.unwrap().processes;
    let init: u32 = std::fs::read_to_string(s.path("init.pid")).unwrap().trim().parse().unwrap();
    assert_eq!(pids.iter().map(|process| process.pid).collect::<Vec<_>>(), [init]);
    s.f.delete().await.unwrap();
}

#[tokio::test]
async fn a_container_that_never_ran_is_killed_by_delete_whatever_the_runtime_says() {
    let mut s = Stage::new("exit 0");
    s.create().await.unwrap();
    s.refuse("delete");
    assert_eq!(s.f.delete().await.unwrap(), 137);
    assert_eq!(s.f.events(), ["create", "exit 137", "delete"]);
    assert_eq!(code(s.f.delete().await), Code::NOT_FOUND);
}

#[tokio::test]
async fn who_waits_for_an_exec_that_is_deleted_unstarted_is_answered() {
    let mut s = Stage::new("exec sleep 1000");
    s.create().await.unwrap();
    s.f.start().await.unwrap();
    s.exec("e", "exit 0").await.unwrap();
    let (waited, deleted) = tokio::join!(s.wait_exec("e"), s.delete_exec("e"));
    assert_eq!((waited, deleted.unwrap()), (0, 0));
    s.f.kill(9).await.unwrap();
    s.f.wait().await;
}

#[tokio::test]
async fn input_reaches_the_process_and_ends_with_close_io() {
    let mut s = Stage::new("cat; echo end");
    s.create().await.unwrap();
    s.f.start().await.unwrap();
    std::fs::write(s.f.dir.path().join("stdin"), "typed\n").unwrap();
    s.f.close_stdin().await.unwrap();
    assert_eq!(s.f.read_stdout().await, "typed\nend\n");
    assert_eq!(s.f.wait().await, 0);
}

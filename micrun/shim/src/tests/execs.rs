//! Commands for the firmware's shell, whose side the test plays; and checkpoints.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;

use containerd_shim_protos::api::{
    CheckpointTaskRequest, DeleteRequest, ExecProcessRequest, KillRequest, StartRequest, StateRequest,
    Status, WaitRequest,
};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::shim::oci::CheckpointOptions;
use containerd_shim_protos::shim_async::Task;
use containerd_shim_protos::ttrpc::{self, Code};
use libmica::ext::ExitReason;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::daemon::Daemon;
use super::fixture::{Fixture, Script, code, context};

pub(super) const SHELL: Script = Script {
    no_wait: false,
    broken_waits: 0,
    refuse_start: false,
    exit_during_start: false,
    refuse_set: None,
    shell: true,
    pedestal: "",
};

fn with_prompt() -> Fixture {
    let mut f = Fixture::new(SHELL);
    f.annotate("container.shell_prompt", "$ ");
    // As shells do when they begin: the terminal has one.
    f.daemon.shell().write_all(b"booting\r\n").unwrap();
    f
}

pub(super) async fn exec(f: &Fixture, id: &str, args: &[&str]) -> ttrpc::Result<pipe::Receiver> {
    let stdout = f.dir.path().join(format!("{id}.out"));
    if !stdout.exists() {
        mkfifo(&stdout, Mode::S_IRWXU).unwrap();
    }
    let reader = pipe::OpenOptions::new().open_receiver(&stdout).unwrap();
    let mut request = ExecProcessRequest::new();
    request.id = "c".into();
    request.exec_id = id.into();
    request.stdout = stdout.display().to_string();
    request.spec.mut_or_insert_default().value = json!({"args": args, "cwd": "/"}).to_string().into_bytes();
    f.service.exec(&context(), request).await.map(|_| reader)
}

pub(super) async fn start(f: &Fixture, id: &str) -> ttrpc::Result<()> {
    let request = StartRequest { id: "c".into(), exec_id: id.into(), ..StartRequest::default() };
    f.service.start(&context(), request).await.map(drop)
}

pub(super) async fn wait(f: &Fixture, id: &str) -> u32 {
    let request = WaitRequest { id: "c".into(), exec_id: id.into(), ..WaitRequest::default() };
    f.service.wait(&context(), request).await.unwrap().exit_status
}

pub(super) async fn kill(f: &Fixture, id: &str) -> ttrpc::Result<()> {
    let request = KillRequest { id: "c".into(), exec_id: id.into(), signal: 15, ..KillRequest::default() };
    f.service.kill(&context(), request).await.map(drop)
}

async fn delete(f: &Fixture, id: &str) -> ttrpc::Result<u32> {
    let request = DeleteRequest { id: "c".into(), exec_id: id.into(), ..DeleteRequest::default() };
    f.service.delete(&context(), request).await.map(|response| response.exit_status)
}

async fn status(f: &Fixture, id: &str) -> Status {
    let request = StateRequest { id: "c".into(), exec_id: id.into(), ..StateRequest::default() };
    f.service.state(&context(), request).await.unwrap().status.unwrap()
}

/// Plays the shell on its terminal.
fn play(daemon: &Arc<Daemon>, answers: &[&str]) -> tokio::task::JoinHandle<Vec<String>> {
    play_on(daemon.shell(), answers)
}

/// Plays a shell: for each line that comes, echoes it and writes the next answer, until there is none.
pub(super) fn play_on(terminal: &File, answers: &[&str]) -> tokio::task::JoinHandle<Vec<String>> {
    let mut shell = terminal.try_clone().unwrap();
    let answers: Vec<String> = answers.iter().map(ToString::to_string).collect();
    tokio::task::spawn_blocking(move || {
        let mut heard = Vec::new();
        for answer in answers {
            let mut line = Vec::new();
            let mut byte = [0];
            while byte != *b"\r" {
                shell.read_exact(&mut byte).unwrap();
                line.extend(byte);
            }
            let line = String::from_utf8(line).unwrap().trim().to_owned();
            shell.write_all(format!("{line}\r\n{answer}").as_bytes()).unwrap();
            heard.push(line);
        }
        heard
    })
}

pub(super) async fn text(mut reader: pipe::Receiver) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_commands_output_and_status_are_those_of_its_exec() {
    let mut f = with_prompt();
    f.create().await.unwrap();
    assert_eq!(code(exec(&f, "early", &["x"]).await), Code::FAILED_PRECONDITION);
    f.start().await.unwrap();
    let shell = play(&f.daemon, &["$ ", "one\r\ntwo\r\n$ ", "no such\r\nmicrun-exit: 127\r\n$ "]);
    let output = exec(&f, "e1", &["show", "all"]).await.unwrap();
    assert_eq!(status(&f, "e1").await, Status::CREATED);
    start(&f, "e1").await.unwrap();
    assert_eq!(text(output).await, "one\ntwo\n");
    assert_eq!(wait(&f, "e1").await, 0);
    assert_eq!(status(&f, "e1").await, Status::STOPPED);
    let output = exec(&f, "e2", &["nonsense"]).await.unwrap();
    start(&f, "e2").await.unwrap();
    assert_eq!((text(output).await.as_str(), wait(&f, "e2").await), ("no such\n", 127));
    assert_eq!(shell.await.unwrap(), ["", "show all", "nonsense"]);
    assert_eq!(delete(&f, "e2").await.unwrap(), 127);
    assert_eq!(code(delete(&f, "e2").await), Code::NOT_FOUND);
    assert_eq!(code(exec(&f, "e1", &["again"]).await), Code::ALREADY_EXISTS);
    assert_eq!(code(kill(&f, "e1").await), Code::NOT_FOUND);
    let once = ["exec-added", "exec-started", "exit 0", "exec-added", "exec-started", "exit 127"];
    assert_eq!(f.events()[2..], once);
}

/// Docker's health checks come like this.
#[tokio::test]
async fn a_line_for_a_shell_of_linux_is_one_for_the_firmwares() {
    let mut f = with_prompt();
    f.create().await.unwrap();
    f.start().await.unwrap();
    let shell = play(&f.daemon, &["$ ", "fine\r\n$ "]);
    let reader = exec(&f, "e", &["/bin/sh", "-c", "status  all"]).await.unwrap();
    start(&f, "e").await.unwrap();
    assert_eq!((text(reader).await.as_str(), wait(&f, "e").await), ("fine\n", 0));
    assert_eq!(shell.await.unwrap()[1], "status  all");
}

#[tokio::test]
async fn commands_run_one_after_the_other_and_end_with_their_container() {
    let mut f = with_prompt();
    f.create().await.unwrap();
    f.start().await.unwrap();
    // The first never comes to its prompt.
    let shell = play(&f.daemon, &["$ ", "working\r\n"]);
    let mut output = exec(&f, "e1", &["work"]).await.unwrap();
    let _waiting = exec(&f, "e2", &["wait"]).await.unwrap();
    let _created = exec(&f, "e3", &["never"]).await.unwrap();
    start(&f, "e1").await.unwrap();
    let mut piece = [0; 8];
    output.read_exact(&mut piece).await.unwrap();
    assert_eq!(&piece, b"working\n");
    start(&f, "e2").await.unwrap();
    assert_eq!(shell.await.unwrap(), ["", "work"]);
    assert_eq!(status(&f, "e2").await, Status::RUNNING);
    assert_eq!(code(delete(&f, "e2").await), Code::FAILED_PRECONDITION);
    kill(&f, "e2").await.unwrap();
    assert_eq!(wait(&f, "e2").await, 143);
    f.daemon.end(ExitReason::Exited, 5);
    assert_eq!(f.wait().await, 5);
    assert_eq!((wait(&f, "e1").await, wait(&f, "e3").await), (137, 137));
    assert_eq!(f.events().last().unwrap(), "exit 5", "the container's end is the last");
    f.delete().await.unwrap();
}

#[tokio::test]
async fn a_command_that_was_never_started_is_deleted_without_a_word() {
    let mut f = with_prompt();
    f.create().await.unwrap();
    f.start().await.unwrap();
    let output = exec(&f, "e1", &["never"]).await.unwrap();
    assert_eq!(delete(&f, "e1").await.unwrap(), 0);
    assert_eq!(text(output).await, "", "its output ends");
    assert_eq!(code(start(&f, "e1").await), Code::NOT_FOUND);
    assert_eq!(f.events()[2..], ["exec-added"]);
}

#[tokio::test]
async fn a_killed_command_is_interrupted_and_the_shell_serves_the_next() {
    let mut f = with_prompt();
    f.create().await.unwrap();
    f.start().await.unwrap();
    let shell = play(&f.daemon, &["$ ", "busy\r\n"]);
    let output = exec(&f, "e1", &["loop"]).await.unwrap();
    start(&f, "e1").await.unwrap();
    shell.await.unwrap();
    kill(&f, "e1").await.unwrap();
    assert_eq!(wait(&f, "e1").await, 143);
    assert_eq!(text(output).await.replace("busy\n", ""), "");
    // The shell hears the interrupt and comes back.
    let mut terminal = f.daemon.shell().try_clone().unwrap();
    let heard = tokio::task::spawn_blocking(move || {
        let mut byte = [0];
        terminal.read_exact(&mut byte).unwrap();
        terminal.write_all(b"stopped\r\n$ ").unwrap();
        byte
    });
    assert_eq!(heard.await.unwrap(), [3]);
    let shell = play(&f.daemon, &["fine\r\n$ "]);
    let output = exec(&f, "e2", &["next"]).await.unwrap();
    start(&f, "e2").await.unwrap();
    assert_eq!(text(output).await, "fine\n");
    assert_eq!(shell.await.unwrap(), ["next"]);
}

#[tokio::test]
async fn firmware_without_a_shell_takes_no_commands_and_says_why() {
    let mut f = Fixture::new(Script::default());
    f.create().await.unwrap();
    f.start().await.unwrap();
    let error = exec(&f, "e1", &["x"]).await.unwrap_err();
    assert!(error.to_string().contains("container.shell_prompt"), "{error}");
    assert_eq!(code::<()>(Err(error)), Code::UNIMPLEMENTED);
    assert_eq!(code(start(&f, "e1").await), Code::NOT_FOUND);
}

#[tokio::test]
async fn what_is_no_line_is_refused() {
    let mut f = with_prompt();
    f.create().await.unwrap();
    f.start().await.unwrap();
    let long = "x".repeat(2000);
    for (n, args) in
        [vec![], vec![""], vec!["a\rb"], vec!["a", "\u{3}"], vec![long.as_str()]].iter().enumerate()
    {
        assert_eq!(code(exec(&f, &format!("e{n}"), args).await), Code::INVALID_ARGUMENT, "{args:?}");
    }
}

pub(super) async fn checkpoint(f: &Fixture, path: &str, exit: bool) -> ttrpc::Result<()> {
    let mut request = CheckpointTaskRequest::new();
    request.id = "c".into();
    request.path = path.into();
    if exit {
        let options = CheckpointOptions { exit, ..CheckpointOptions::default() };
        request.options.mut_or_insert_default().value = options.write_to_bytes().unwrap();
    }
    f.service.checkpoint(&context(), request).await.map(drop)
}

#[tokio::test]
async fn a_checkpoint_holds_the_state_and_what_it_fits() {
    let mut f = Fixture::new(Script::default());
    let path = f.dir.path().join("checkpoint");
    let path = path.to_str().unwrap().to_owned();
    f.create().await.unwrap();
    assert_eq!(code(checkpoint(&f, &path, false).await), Code::FAILED_PRECONDITION);
    f.start().await.unwrap();
    checkpoint(&f, &path, false).await.unwrap();
    assert_eq!(f.events().last().unwrap(), "checkpointed");
    checkpoint(&f, &path, true).await.unwrap();
    assert_eq!(f.wait().await, 137, "the options asked for its end");
    f.delete().await.unwrap();

    f.checkpoint.clone_from(&path);
    f.configure("allow_restore = true\n");
    f.create().await.unwrap();
    std::fs::remove_file(format!("{path}/machine.state")).unwrap();
    f.start().await.unwrap();
    assert_eq!(f.daemon.count("restore the state"), 1, "it was opened at Create");
    f.kill(9).await.unwrap();
    f.wait().await;
    f.delete().await.unwrap();

    let label = std::fs::read_to_string(format!("{path}/micrun.json")).unwrap();
    std::fs::write(format!("{path}/machine.state"), "the state").unwrap();
    for (now, text, expected) in [
        ("\"memory_mb\":64", "\"memory_mb\":65", Code::INVALID_ARGUMENT),
        ("\"hardware\":\"sha256:", "\"hardware\":\"sha256:0", Code::INVALID_ARGUMENT),
        ("\"firmware\":\"sha256:", "\"firmware\":\"sha256:0", Code::INVALID_ARGUMENT),
        ("\"size\":9", "\"size\":8", Code::INVALID_ARGUMENT),
        ("{", "", Code::INVALID_ARGUMENT),
        ("\"version\":2", "\"version\":1", Code::INVALID_ARGUMENT),
        ("\"version\":2", "\"version\":3", Code::FAILED_PRECONDITION),
    ] {
        assert!(label.contains(now), "{label}");
        std::fs::write(format!("{path}/micrun.json"), label.replace(now, text)).unwrap();
        assert_eq!(code(f.create().await), expected);
        assert_eq!(f.leftovers(), 0);
    }
    // As large as it was, and another.
    std::fs::write(format!("{path}/micrun.json"), label).unwrap();
    std::fs::write(format!("{path}/machine.state"), "the State").unwrap();
    let refusal = f.create().await.unwrap_err().to_string();
    assert!(refusal.contains("is not the state that"), "{refusal}");
}

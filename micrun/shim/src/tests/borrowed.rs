//! Commands on the console, where the firmware has one terminal alone.

use std::fs::{File, OpenOptions};
use std::io::Write;

use containerd_shim_protos::ttrpc::Code;

use super::execs::{SHELL, exec, kill, play_on, start, text, wait};
use super::fixture::{Fixture, Script, code};

/// A container whose firmware has its shell on the console, and a stdin.
async fn one_terminal() -> Fixture {
    let mut f = Fixture::new(Script::default());
    f.annotate("container.shell_prompt", "$ ");
    let (stdin, stdout) = (f.fifo("stdin").display().to_string(), f.output_fifo());
    f.create_with(|request| (request.stdin, request.stdout) = (stdin, stdout)).await.unwrap();
    f.start().await.unwrap();
    f.daemon.print("boot\r\n$ ");
    assert_eq!(f.read_output(8).await, "boot\r\n$ ");
    f
}

/// Whoever attaches.
fn attach(f: &Fixture) -> File {
    OpenOptions::new().write(true).open(f.dir.path().join("stdin")).unwrap()
}

#[tokio::test]
async fn a_detached_console_serves_a_command_and_keeps_its_own_copy() {
    let mut f = one_terminal().await;
    let shell = play_on(&f.daemon.master, &["$ ", "one\r\ntwo\r\nmicrun-exit: 3\r\n$ "]);
    let output = exec(&f, "e1", &["show", "all"]).await.unwrap();
    start(&f, "e1").await.unwrap();
    assert_eq!(text(output).await, "one\ntwo\n");
    assert_eq!(wait(&f, "e1").await, 3);
    assert_eq!(shell.await.unwrap(), ["", "show all"]);
    let log = "\r\n$ show all\r\none\r\ntwo\r\nmicrun-exit: 3\r\n$ ";
    assert_eq!(f.read_output(log.len()).await, log);
}

#[tokio::test]
async fn while_somebody_is_attached_it_is_refused() {
    let f = one_terminal().await;
    let client = attach(&f);
    let error = exec(&f, "e1", &["x"]).await.unwrap_err();
    assert!(error.to_string().contains("its console is in use"), "{error}");
    assert_eq!(code::<()>(Err(error)), Code::FAILED_PRECONDITION);
    drop(client);
    let shell = play_on(&f.daemon.master, &["$ ", "fine\r\n$ "]);
    let output = exec(&f, "e1", &["x"]).await.unwrap();
    start(&f, "e1").await.unwrap();
    assert_eq!(text(output).await, "fine\n");
    shell.await.unwrap();
}

/// Looking who is there must not end stdin for those who come later.
#[tokio::test]
async fn what_is_typed_meanwhile_waits_for_the_end_of_the_command() {
    let f = one_terminal().await;
    let shell = play_on(&f.daemon.master, &["$ ", "working\r\n"]);
    let output = exec(&f, "e1", &["work"]).await.unwrap();
    start(&f, "e1").await.unwrap();
    assert_eq!(shell.await.unwrap(), ["", "work"]);
    let mut client = attach(&f);
    client.write_all(b"typed").unwrap();
    f.daemon.print("done\r\n$ ");
    assert_eq!(text(output).await, "working\ndone\n");
    assert_eq!(f.read_input(5).await, "typed");
}

#[tokio::test]
async fn a_killed_command_gives_the_console_back_at_its_prompt() {
    let f = one_terminal().await;
    let shell = play_on(&f.daemon.master, &["$ ", "busy\r\n"]);
    let _output = exec(&f, "e1", &["loop"]).await.unwrap();
    start(&f, "e1").await.unwrap();
    shell.await.unwrap();
    kill(&f, "e1").await.unwrap();
    assert_eq!(wait(&f, "e1").await, 143);
    assert_eq!(f.read_input(1).await, "\u{3}");
    f.daemon.print("stopped\r\n$ ");
    attach(&f).write_all(b"typed").unwrap();
    assert_eq!(f.read_input(5).await, "typed");
}

/// Images name a prompt, and the machine gets a second port, of which stock firmware knows nothing.
#[tokio::test]
async fn a_second_terminal_without_a_shell_leaves_it_to_the_console() {
    let mut f = Fixture::new(SHELL);
    f.annotate("container.shell_prompt", "$ ");
    f.create().await.unwrap();
    f.start().await.unwrap();
    let shell = play_on(&f.daemon.master, &["$ ", "one\r\n$ ", "$ ", "two\r\n$ "]);
    for (id, said) in [("e1", "one\n"), ("e2", "two\n")] {
        let output = exec(&f, id, &["x"]).await.unwrap();
        start(&f, id).await.unwrap();
        assert_eq!(text(output).await, said);
    }
    assert_eq!(shell.await.unwrap(), ["", "x", "", "x"]);
}

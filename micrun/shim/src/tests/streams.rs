//! Every kind of stdio that Create may name, in the service.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use containerd_shim_protos::ttrpc::{self, Code};
use libmica::ext::ExitReason;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep};

use super::fixture::{Fixture, Script, code};

impl Fixture {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a shell script and answers its path.
    fn program(&self, script: &str) -> String {
        let path = self.path("logger");
        fs::write(&path, format!("#!/bin/sh\nset -eu\n{script}\n")).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    /// Creates container `c` with both outputs at `uri`.
    async fn create_at(&mut self, uri: &str) -> ttrpc::Result<()> {
        self.create_with(|request| {
            request.stdout = uri.into();
            request.stderr = uri.into();
        })
        .await
    }

    /// Runs the container from its start to its end.
    async fn run(&mut self, text: &str) {
        self.start().await.unwrap();
        self.daemon.print(text);
        self.daemon.end(ExitReason::Exited, 0);
        assert_eq!(self.wait().await, 0);
    }
}

/// kata#4391, #13334: `nerdctl run -d` needs `binary://`.
#[tokio::test]
async fn kata_4391_binary_uri() {
    let mut f = Fixture::new(Script::default());
    let out = f.path("out").display().to_string();
    let program =
        f.program(r#"echo "$1 $#" > "$2.args"; env > "$2.env"; exec 5>&-; cat <&3 > "$2"; cat <&4 >> "$2""#);
    f.create_at(&format!("binary://{program}?out={out}&out=second&x")).await.unwrap();
    assert_eq!(f.text("out.args"), "out 4\n");
    let env = f.text("out.env");
    assert!(env.contains("CONTAINER_ID=c\n") && env.contains("CONTAINER_NAMESPACE=test\n"), "{env}");
    assert!(!env.contains("CARGO"), "the shim's environment is not the program's: {env}");
    f.run("for the program").await;
    // The program has ended by the end of Delete.
    f.delete().await.unwrap();
    assert_eq!(f.text("out"), "for the program");
}

#[tokio::test]
async fn binary_v2_is_ready_by_a_byte() {
    let mut f = Fixture::new(Script::default());
    let out = f.path("out").display().to_string();
    let program = f.program(r#"printf x >&5; exec 5>&-; cat <&3 > "$2""#);
    f.create_at(&format!("binary-v2://{program}?out={out}")).await.unwrap();
    f.run("for the program").await;
    f.delete().await.unwrap();
    assert_eq!(f.text("out"), "for the program");
}

#[tokio::test]
async fn a_binary_v2_program_that_dies_early_fails_create() {
    let mut f = Fixture::new(Script::default());
    let program = f.program("exit 3");
    let error = f.create_at(&format!("binary-v2://{program}")).await.unwrap_err().to_string();
    assert!(error.contains(&program) && error.contains("exit status: 3"), "{error}");
    assert_eq!((f.daemon.count("create"), f.leftovers()), (0, 0));
}

#[tokio::test]
async fn a_program_that_is_not_there_fails_create() {
    let mut f = Fixture::new(Script::default());
    let error = f.create_at("binary:///no/such/logger").await.unwrap_err().to_string();
    assert!(error.contains("/no/such/logger") && error.contains("cannot be started"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_never_ready_fails_create() {
    let mut f = Fixture::new(Script::default());
    let program = f.program("exec sleep 1000");
    let error = f.create_at(&format!("binary://{program}")).await.unwrap_err().to_string();
    assert!(error.contains("was not ready after 10s"), "{error}");
}

/// Its output is lost, loudly; the RTOS goes on to its own end.
#[tokio::test]
async fn a_program_that_dies_does_not_end_the_rtos() {
    let mut f = Fixture::new(Script::default());
    let program = f.program("exit 0");
    f.create_at(&format!("binary://{program}")).await.unwrap();
    f.run("into the void").await;
    f.delete().await.unwrap();
}

#[tokio::test]
async fn a_program_that_does_not_end_is_stopped_with_the_container() {
    let mut f = Fixture::new(Script::default());
    let out = f.path("out").display().to_string();
    let program =
        f.program(r#"trap 'echo stopped > "$2"; exit 0' TERM; exec 5>&-; while :; do sleep 0.01; done"#);
    f.create_at(&format!("binary://{program}?out={out}")).await.unwrap();
    f.run("").await;
    f.delete().await.unwrap();
    assert_eq!(f.text("out"), "stopped\n");
}

#[tokio::test]
async fn a_file_is_made_and_appended_to() {
    let mut f = Fixture::new(Script::default());
    let log = f.path("new/dir/log");
    for round in ["one ", "two "] {
        f.create_at(&format!("file://{}", log.display())).await.unwrap();
        f.daemon.end.send_replace(None);
        f.run(round).await;
        f.delete().await.unwrap();
    }
    assert_eq!(f.text("new/dir/log"), "one two ");
}

#[tokio::test]
async fn a_rotated_file_is_followed() {
    let mut f = Fixture::new(Script::default());
    let log = f.path("log");
    f.create_at(&format!("file://{}", log.display())).await.unwrap();
    f.start().await.unwrap();
    f.daemon.print("before");
    f.until(|f| f.text("log") == "before").await;
    fs::rename(&log, f.path("log.1")).unwrap();
    f.daemon.print("after");
    f.until(|f| f.path("log").exists() && f.text("log") == "after").await;
    // copytruncate, the other way of logrotate(8).
    fs::write(&log, "").unwrap();
    f.daemon.print("last");
    f.daemon.end(ExitReason::Exited, 0);
    assert_eq!(f.wait().await, 0);
    assert_eq!((f.text("log.1").as_str(), f.text("log").as_str()), ("before", "last"));
}

#[tokio::test]
async fn everything_is_in_the_file_when_the_exit_is_known() {
    let mut f = Fixture::new(Script::default());
    let log = f.path("log").display().to_string();
    f.create_at(&format!("file://{log}")).await.unwrap();
    f.start().await.unwrap();
    let lines = (0..20_000).map(|line| line.to_string()).collect::<Vec<_>>().join("\n");
    let (daemon, text) = (f.daemon.clone(), lines.clone());
    tokio::task::spawn_blocking(move || daemon.print(&text)).await.unwrap();
    f.daemon.end(ExitReason::Exited, 0);
    assert_eq!(f.wait().await, 0);
    assert!(f.text("log") == lines);
}

#[tokio::test]
async fn other_schemes_are_invalid_and_named() {
    let mut f = Fixture::new(Script::default());
    let error = f.create_at("ttrpc+unix:///run/s?streaming_id=x").await.unwrap_err();
    assert!(error.to_string().contains("`ttrpc+unix`"), "{error}");
    assert_eq!(code(Err::<(), _>(error)), Code::INVALID_ARGUMENT);
    let input = f.create_with(|request| request.stdin = "file:///tmp/x".into()).await;
    assert_eq!(code(input), Code::INVALID_ARGUMENT);
}

#[tokio::test]
async fn without_streams_the_rtos_runs_all_the_same() {
    let mut f = Fixture::new(Script::default());
    f.create_at("").await.unwrap();
    f.run("nobody asked").await;
}

/// The end of a client's input is no end for the next client; `CloseIO` makes it final.
#[tokio::test]
async fn input_goes_on_with_the_next_client() {
    let mut f = Fixture::new(Script::default());
    let stdin = f.fifo("stdin");
    f.create_with(|request| request.stdin = stdin.display().to_string()).await.unwrap();
    f.start().await.unwrap();
    for word in ["first", "second"] {
        let mut client = pipe::OpenOptions::new().open_sender(&stdin).unwrap();
        client.write_all(word.as_bytes()).await.unwrap();
        drop(client);
        assert_eq!(f.read_input(word.len()).await, word);
    }
    f.close_stdin().await.unwrap();
    // Nobody reads any more: opening fails once the shim has seen the end.
    f.until(|_| pipe::OpenOptions::new().open_sender(&stdin).is_err()).await;
}

const AUTO_CLOSE: &str = "container.auto_close_timeout";

#[tokio::test(start_paused = true)]
async fn auto_close_stops_what_nobody_is_attached_to() {
    let mut f = Fixture::new(Script::default());
    f.annotate(AUTO_CLOSE, "45");
    let begin = Instant::now();
    f.create().await.unwrap();
    f.start().await.unwrap();
    assert_eq!(f.wait().await, 0);
    assert_eq!((begin.elapsed().as_secs(), f.daemon.count("stop")), (45, 1));
    assert_eq!(f.events(), ["create", "start", "exit 0"]);
}

#[tokio::test(start_paused = true)]
async fn auto_close_waits_for_the_last_client_to_leave() {
    let mut f = Fixture::new(Script::default());
    f.annotate(AUTO_CLOSE, "45");
    let stdin = f.fifo("stdin");
    f.create_with(|request| request.stdin = stdin.display().to_string()).await.unwrap();
    let client = pipe::OpenOptions::new().open_sender(&stdin).unwrap();
    let begin = Instant::now();
    f.start().await.unwrap();
    sleep(Duration::from_mins(5)).await;
    assert_eq!(f.daemon.count("stop"), 0);
    drop(client);
    sleep(Duration::from_secs(30)).await;
    let mut client = pipe::OpenOptions::new().open_sender(&stdin).unwrap();
    client.write_all(b"back").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(f.read_input(4).await, "back");
    sleep(Duration::from_mins(5)).await;
    assert_eq!(f.daemon.count("stop"), 0);
    drop(client);
    assert_eq!(f.wait().await, 0);
    assert!((675..680).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

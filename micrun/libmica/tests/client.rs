//! The async client against sockets that play a daemon.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use libmica::{Client, ClientState, CreateMessage, Error, Timeouts, create, trace};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// Serves one connection on `file`: reads a request, sends `chunks`, closes; gives the request.
fn serve(dir: &Path, file: &str, chunks: Vec<&'static str>) -> tokio::task::JoinHandle<Vec<u8>> {
    let listener = UnixListener::bind(dir.join(file)).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let n = stream.read(&mut request).await.unwrap();
        request.truncate(n);
        for chunk in chunks {
            stream.write_all(chunk.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        request
    })
}

fn setup() -> (tempfile::TempDir, Client) {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::new(dir.path());
    (dir, client)
}

#[tokio::test]
async fn create_sends_one_whole_message() {
    let (dir, client) = setup();
    let daemon = serve(dir.path(), "mica-create.socket", vec!["MICA-SUCCESS"]);
    let message = CreateMessage { name: "c".into(), path: "/f".into(), ..CreateMessage::default() };
    client.create(&message).await.unwrap();
    let request = daemon.await.unwrap();
    assert_eq!(request.len(), create::SIZE);
    assert_eq!(CreateMessage::from_slice(&request).unwrap(), message);
}

#[tokio::test]
async fn a_taken_name_is_told_apart() {
    let (dir, client) = setup();
    let _daemon = serve(dir.path(), "mica-create.socket", vec!["c is already ", "createdMICA-", "FAILED"]);
    let message = CreateMessage { name: "c".into(), ..CreateMessage::default() };
    assert!(matches!(client.create(&message).await, Err(Error::AlreadyExists { name }) if name == "c"));
}

#[tokio::test]
async fn the_daemons_words_come_through() {
    let (dir, client) = setup();
    let _daemon = serve(dir.path(), "mica-create.socket", vec!["No such file: /fMICA-FAILED"]);
    let message = CreateMessage { name: "c".into(), path: "/f".into(), ..CreateMessage::default() };
    let error = client.create(&message).await.unwrap_err();
    assert!(matches!(&error, Error::Failed { text, .. } if text == "No such file: /f"), "{error}");
}

#[tokio::test]
async fn status_is_parsed() {
    let (dir, client) = setup();
    let line = "c                             3                   Running             rpmsg-tty(/dev/ttyRPMSG0) MICA-SUCCESS";
    let daemon = serve(dir.path(), "c.socket", vec![line]);
    let status = client.status("c").await.unwrap();
    assert_eq!((status.cpu.as_str(), status.state), ("3", ClientState::Running));
    assert_eq!(status.services[0].device, Some(PathBuf::from("/dev/ttyRPMSG0")));
    assert_eq!(daemon.await.unwrap(), b"status");
}

#[tokio::test]
async fn no_daemon_no_client_and_a_stale_socket_are_three_things() {
    let (dir, client) = setup();
    assert!(matches!(client.stop("c").await, Err(Error::DaemonNotRunning { .. })));
    let nowhere = Client::new(dir.path().join("missing"));
    assert!(matches!(nowhere.list().await, Err(Error::DaemonNotRunning { .. })));
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("stale.socket")).unwrap());
    assert!(matches!(client.stop("stale").await, Err(Error::DaemonNotRunning { .. })));
    let _daemon = UnixListener::bind(dir.path().join("mica-create.socket")).unwrap();
    assert!(matches!(client.stop("c").await, Err(Error::ClientNotFound { name }) if name == "c"));
}

#[tokio::test]
async fn upstreams_daemon_has_no_extensions() {
    let (dir, client) = setup();
    let _control = serve(dir.path(), "c.socket", vec!["Invalid command: pauseMICA-FAILED"]);
    assert!(matches!(client.pause("c").await, Err(Error::Unsupported { command }) if command == "pause"));
    let _create = serve(dir.path(), "mica-create.socket", vec!["No such file: MICA-FAILED"]);
    assert!(matches!(client.version().await, Err(Error::Unsupported { .. })));
}

#[tokio::test]
async fn a_silent_daemon_times_out() {
    let (dir, client) = setup();
    let _listener = UnixListener::bind(dir.path().join("c.socket")).unwrap();
    let short = Duration::from_millis(20);
    let client = client.with_timeouts(Timeouts { start: short, transfer: short, other: short });
    assert!(matches!(client.start("c").await, Err(Error::Timeout { after, .. }) if after == short));
    assert!(matches!(client.stop("c").await, Err(Error::Timeout { .. })));
}

#[tokio::test]
async fn replies_that_make_no_sense() {
    let (dir, client) = setup();
    let _a = serve(dir.path(), "a.socket", vec!["half a reply MICA-SUCC"]);
    assert!(matches!(client.stop("a").await, Err(Error::MalformedReply { .. })));
    let _b = serve(dir.path(), "b.socket", vec!["{\"no\":1}MICA-SUCCESS"]);
    assert!(matches!(client.stats("b").await, Err(Error::MalformedReply { .. })));
    let _c = serve(dir.path(), "c.socket", vec!["no columnsMICA-SUCCESS"]);
    assert!(matches!(client.status("c").await, Err(Error::MalformedReply { .. })));
}

#[tokio::test]
async fn a_directory_too_deep_for_a_socket_is_an_error() {
    let client = Client::new("/".to_owned() + &"d".repeat(60));
    assert!(matches!(client.stop(&"n".repeat(65)).await, Err(Error::SocketPathTooLong { limit: 107, .. })));
}

#[tokio::test]
async fn events_come_line_by_line_however_they_are_cut() {
    let (dir, client) = setup();
    let chunks = vec!["{\"seq\":1}\n{\"se", "q\":2}", "\n", "MICA-", "SUCCESS"];
    let daemon = serve(dir.path(), "mica-create.socket", chunks);
    let mut events = client.events().await.unwrap();
    assert_eq!(events.next().await.unwrap().as_deref(), Some("{\"seq\":1}"));
    assert_eq!(events.next().await.unwrap().as_deref(), Some("{\"seq\":2}"));
    assert_eq!(events.next().await.unwrap(), None);
    assert_eq!(daemon.await.unwrap(), b"events");
}

#[tokio::test]
async fn a_daemon_without_events_says_so_and_one_that_dies_is_an_error() {
    for (answer, supported) in [
        ("No such file: MICA-FAILED", false),
        ("a create message has 1772 bytes, got 6: MICA-FAILED", false),
        ("{\"seq\":1}\n", true),
        ("user 7 may not use the mica daemonMICA-FAILED", true),
    ] {
        let (dir, client) = setup();
        let _daemon = serve(dir.path(), "mica-create.socket", vec![answer]);
        let mut events = client.events().await.unwrap();
        let error = loop {
            match events.next().await {
                Ok(line) => assert!(line.is_some(), "{answer}: it is no orderly end"),
                Err(error) => break error,
            }
        };
        assert_eq!(!matches!(error, Error::Unsupported { .. }), supported, "{answer}: {error}");
    }
}

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0c1902b7-01";

fn traced() -> (tempfile::TempDir, Client) {
    let (dir, client) = setup();
    (dir, client.with_context(|| trace::Context::new(PARENT, "")))
}

/// Answers on `file` as a daemon does that has these extensions.
async fn ask_version(dir: &Path, client: &Client, extensions: &'static str) {
    let socket = dir.join("mica-create.socket");
    // The one before is gone.
    let _ = std::fs::remove_file(&socket);
    let daemon = serve(dir, "mica-create.socket", vec![extensions, "MICA-SUCCESS"]);
    client.version().await.unwrap();
    daemon.await.unwrap();
    std::fs::remove_file(socket).unwrap();
}

const KNOWS: &str =
    r#"{"daemon":"d","version":"1","protocol":1,"pedestals":[],"extensions":["version","trace"]}"#;
const KNOWS_NOT: &str =
    r#"{"daemon":"d","version":"1","protocol":1,"pedestals":[],"extensions":["version"]}"#;

#[tokio::test]
async fn only_a_daemon_that_knows_it_is_told_for_which_trace_a_request_is() {
    let (dir, client) = traced();
    let line = format!("trace {PARENT}\n");
    for (extensions, expected) in [
        (None, "stop".to_owned()),
        (Some(KNOWS), format!("{line}stop")),
        (Some(KNOWS_NOT), "stop".to_owned()),
    ] {
        if let Some(extensions) = extensions {
            ask_version(dir.path(), &client, extensions).await;
        }
        let daemon = serve(dir.path(), "c.socket", vec!["MICA-SUCCESS"]);
        client.stop("c").await.unwrap();
        assert_eq!(daemon.await.unwrap(), expected.as_bytes());
        std::fs::remove_file(dir.path().join("c.socket")).unwrap();
    }
    ask_version(dir.path(), &client, KNOWS).await;
    let daemon = serve(dir.path(), "mica-create.socket", vec!["MICA-SUCCESS"]);
    let message = CreateMessage { name: "c".into(), path: "/f".into(), ..CreateMessage::default() };
    client.create(&message).await.unwrap();
    let request = daemon.await.unwrap();
    let (context, rest) = trace::Context::split(&request);
    assert_eq!(context, trace::Context::new(PARENT, ""));
    assert_eq!(CreateMessage::from_slice(rest).unwrap(), message);
}

#[tokio::test]
async fn a_daemon_that_was_replaced_by_upstreams_is_asked_again_without() {
    let (dir, client) = traced();
    ask_version(dir.path(), &client, KNOWS).await;
    let listener = UnixListener::bind(dir.path().join("c.socket")).unwrap();
    let daemon = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in ["Invalid command: traceMICA-FAILED", "MICA-SUCCESS"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let count = stream.read(&mut request).await.unwrap();
            requests.push(request[..count].to_vec());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    client.stop("c").await.unwrap();
    let requests = daemon.await.unwrap();
    assert_eq!(requests, [format!("trace {PARENT}\nstop").into_bytes(), b"stop".to_vec()]);
}

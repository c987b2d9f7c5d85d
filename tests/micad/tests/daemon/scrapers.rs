//! Who asks for metrics over HTTP: scrapers, and those who mean no good.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use rustix::process::Uid;

use crate::connections::open_to_nobody;
use crate::harness::{Daemon, PATIENCE, eventually};
use crate::metrics::Numbers;
use crate::tiny_elf;

const SOCKET: &str = "metrics.sock";
const GET: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A daemon that serves metrics in both ways.
pub(crate) fn serving() -> Daemon {
    Daemon::start_with(&["--metrics-socket", SOCKET, "--metrics-address", "127.0.0.1:0"])
}

/// Where it does so over TCP, by its log.
pub(crate) fn address(daemon: &Daemon) -> SocketAddr {
    let log = daemon.log();
    let (_, rest) = log.split_once("metrics on http://").unwrap_or_else(|| panic!("{log}"));
    rest.split('/').next().unwrap().parse().unwrap()
}

fn connect(daemon: &Daemon) -> TcpStream {
    let stream = TcpStream::connect(address(daemon)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `request` and gives the answer: its head and its body.
fn ask(mut stream: impl Read + Write, request: &[u8]) -> (String, String) {
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let length = format!("\r\nContent-Length: {}\r\n", body.len());
    assert!(head.contains(&length), "{head}");
    (head.to_owned(), body.to_owned())
}

fn accepting(accept: &str) -> Vec<u8> {
    format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn metrics_come_over_a_socket_and_over_tcp_in_the_format_that_is_asked_for() {
    let daemon = serving();
    daemon.create("x", &tiny_elf::echo(daemon.dir())).await;
    let openmetrics = "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    for (head, body) in [
        ask(daemon.connect(SOCKET), GET.as_bytes()),
        ask(connect(&daemon), GET.as_bytes()),
        ask(connect(&daemon), &accepting("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")),
    ] {
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains(openmetrics), "{head}");
        assert!(body.ends_with("\n# EOF\n"), "{body}");
        let clients = Numbers::read(&body).get("mica_clients{state=\"Offline\"}");
        assert!((clients - 1.0).abs() < f64::EPSILON, "{clients}");
    }
    let (head, body) = ask(connect(&daemon), &accepting("text/plain;version=0.0.4;q=1,*/*;q=0.1"));
    assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
    assert!(!body.contains("# EOF"), "{body}");
    // In pieces, as a slow network brings it.
    let mut slow = connect(&daemon);
    slow.set_nodelay(true).unwrap();
    let (first, last) = GET.split_at(GET.len() - 1);
    for byte in first.as_bytes() {
        slow.write_all(&[*byte]).unwrap();
    }
    assert!(ask(slow, last.as_bytes()).0.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn what_is_no_request_for_metrics_is_answered_and_nothing_more() {
    let daemon = serving();
    let huge = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100));
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "404 Not Found"),
        (b"GET /metrics/../etc/passwd HTTP/1.1\r\n\r\n", "404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405 Method Not Allowed\r\nAllow: GET"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400 Bad Request"),
        (b"list\r\n\r\n", "400 Bad Request"),
        (&[0xff; 5000], "400 Bad Request"),
        (many.as_bytes(), "431 Request Header Fields Too Large"),
        (huge.as_bytes(), "431 Request Header Fields Too Large"),
    ] {
        for (head, body) in [ask(daemon.connect(SOCKET), request), ask(connect(&daemon), request)] {
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
            assert_eq!(body, "micad answers GET /metrics and nothing else\n");
        }
    }
}

#[test]
fn slow_and_deaf_peers_hold_nobody_up() {
    let daemon = serving();
    let half = &GET.as_bytes()[..20];
    let mut slow = connect(&daemon);
    slow.write_all(half).unwrap();
    let mut deaf: Vec<_> = (0..5).map(|_| daemon.connect(SOCKET)).collect();
    for peer in &mut deaf {
        peer.write_all(GET.as_bytes()).unwrap();
    }
    assert!(ask(connect(&daemon), GET.as_bytes()).0.starts_with("HTTP/1.1 200"));
    assert!(ask(daemon.connect(SOCKET), GET.as_bytes()).0.starts_with("HTTP/1.1 200"));
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
}

/// The newest are served, and no more are kept than a few.
#[tokio::test]
async fn a_flood_of_connections_keeps_no_scraper_out() {
    let daemon = serving();
    let sockets = || {
        let fds = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().flatten();
        fds.filter_map(|fd| fs::read_link(fd.path()).ok()).filter(|to| to.starts_with("socket:")).count()
    };
    let before = sockets();
    let flood: Vec<_> = (0..300).map(|_| connect(&daemon)).collect();
    assert!(ask(connect(&daemon), GET.as_bytes()).0.starts_with("HTTP/1.1 200"));
    eventually("the oldest are closed", || sockets() <= before + 16).await;
    drop(flood);
}

#[tokio::test]
async fn another_user_gets_metrics_only_if_allowed() {
    let fetch = |daemon: &Daemon| {
        open_to_nobody(daemon, SOCKET);
        let socket = daemon.run_dir().join(SOCKET);
        let asking = std::thread::spawn(move || {
            let nobody = Uid::from_raw(65534);
            // Of this thread alone.
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            ask(UnixStream::connect(socket).unwrap(), GET.as_bytes())
        });
        asking.join().unwrap()
    };
    let daemon = Daemon::start_with(&["--metrics-socket", SOCKET]);
    let (head, body) = fetch(&daemon);
    assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{head}");
    assert!(body.starts_with("user 65534 may not use the mica daemon: ask as root"), "{body}");
    let refused = Numbers::of(&daemon.client()).await;
    let refused = refused.get("mica_connections_refused_total{reason=\"not_allowed\"}");
    assert!((refused - 1.0).abs() < f64::EPSILON, "{refused}");
    drop(daemon);

    let daemon = Daemon::start_with(&["--metrics-socket", SOCKET, "--allow-uid", "65534"]);
    assert!(fetch(&daemon).0.starts_with("HTTP/1.1 200 OK\r\n"));
}

/// No socket, no port, no thread.
#[tokio::test]
async fn off_means_that_nothing_listens() {
    let daemon = Daemon::start();
    let listens_on_tcp = |pid: u32| {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let own: Vec<_> = fds.filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
        let tables = ["tcp", "tcp6"].map(|it| fs::read_to_string(format!("/proc/net/{it}")).unwrap());
        let inodes =
            tables.iter().flat_map(|table| table.lines()).filter_map(|line| line.split_whitespace().nth(9));
        inodes
            .map(|inode| format!("socket:[{inode}]"))
            .any(|name| own.iter().any(|it| it.as_os_str() == name.as_str()))
    };
    assert!(!listens_on_tcp(daemon.pid()));
    assert!(!daemon.run_dir().join(SOCKET).exists());
    eventually("no thread beside the first", || {
        fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().count() == 1
    })
    .await;
    drop(daemon);
    // It would have been seen.
    let daemon = serving();
    assert!(listens_on_tcp(daemon.pid()));
    assert!(daemon.run_dir().join(SOCKET).exists());
}

#[test]
fn the_socket_is_for_the_owner_alone_and_goes_with_the_daemon() {
    use std::os::unix::fs::PermissionsExt;
    let mut daemon = serving();
    let socket = daemon.run_dir().join(SOCKET);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    daemon.end(rustix::process::Signal::KILL);
    daemon.launch();
    assert!(ask(daemon.connect(SOCKET), GET.as_bytes()).0.starts_with("HTTP/1.1 200"));
    daemon.end(rustix::process::Signal::TERM);
    assert!(!socket.exists());
}

/// Firmware matters more: the daemon starts without.
#[test]
fn a_port_that_is_taken_is_told_and_left_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let daemon = Daemon::start_with(&["--metrics-address", &address]);
    let told = format!("there are no metrics over TCP: cannot listen on {address}: Address already in use");
    assert!(daemon.log().contains(&told), "{}", daemon.log());
}

#[test]
fn an_address_of_other_machines_is_refused() {
    let daemon = Daemon::start();
    let output = daemon.command().args(["--metrics-address", "0.0.0.0:9743"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{error}");
    assert!(
        error.contains("0.0.0.0:9743 can be reached by other machines: write 127.0.0.1 or [::1]"),
        "{error}"
    );
}

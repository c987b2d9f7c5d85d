//! The numbers that the daemon tells of itself.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::time::Duration;

use libmica::Client;
use rustix::process::{Pid, Signal};

use crate::harness::{Daemon, eventually, mica};
use crate::tiny_elf;

/// All samples, by their names and labels as they are written.
pub(crate) struct Numbers(BTreeMap<String, f64>);

impl Numbers {
    /// As the daemon has them now.
    pub(crate) async fn of(client: &Client) -> Self {
        Self::read(&client.metrics(false).await.unwrap())
    }

    /// Reads either format.
    pub(crate) fn read(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        };
        Self(samples.map(sample).collect())
    }

    /// One that must be there.
    pub(crate) fn get(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("no {name} among {:#?}", self.0))
    }

    /// All whose names begin so.
    fn with_prefix(&self, prefix: &str) -> Vec<&str> {
        self.0.keys().filter(|name| name.starts_with(prefix)).map(String::as_str).collect()
    }

    /// Asserts that each of these is there and has this value.
    #[track_caller]
    fn assert(&self, expected: &[(&str, f64)]) {
        for (name, value) in expected {
            assert!(
                (self.get(name) - value).abs() < f64::EPSILON,
                "{name} is {}, not {value}",
                self.get(name)
            );
        }
    }
}

#[tokio::test]
async fn a_life_is_counted() {
    let daemon = Daemon::start();
    let client = daemon.create("x", &tiny_elf::echo(daemon.dir())).await;
    Numbers::of(&client).await.assert(&[
        ("mica_clients{state=\"Offline\"}", 1.0),
        ("mica_client_state{client=\"x\",pedestal=\"qemu\",state=\"Offline\"}", 1.0),
        ("mica_starts_total{pedestal=\"qemu\"}", 0.0),
        ("mica_commands_total{command=\"create\",result=\"done\"}", 1.0),
    ]);

    client.start("x").await.unwrap();
    daemon.console("x").read_to("H");
    let running = Numbers::of(&client).await;
    running.assert(&[
        ("mica_clients{state=\"Running\"}", 1.0),
        ("mica_clients{state=\"Offline\"}", 0.0),
        ("mica_client_state{client=\"x\",pedestal=\"qemu\",state=\"Running\"}", 1.0),
        ("mica_starts_total{pedestal=\"qemu\"}", 1.0),
        ("mica_starts_total{pedestal=\"baremetal\"}", 0.0),
        ("mica_start_duration_seconds_count{pedestal=\"qemu\"}", 1.0),
        ("mica_start_duration_seconds_bucket{le=\"+Inf\",pedestal=\"qemu\"}", 1.0),
    ]);
    assert!(running.get("mica_start_duration_seconds_sum{pedestal=\"qemu\"}") > 0.0);
    assert!(running.get("mica_client_memory_bytes{client=\"x\"}") > 1e6);
    // The kernel counts in ticks of 10 ms.
    assert!(running.get("mica_client_cpu_seconds_total{client=\"x\"}") >= 0.0);
    let stats = client.stats("x").await.unwrap();
    let uptime = Duration::from_secs_f64(running.get("mica_client_uptime_seconds{client=\"x\"}"));
    assert!(uptime.as_micros() <= stats.uptime_usec.into(), "{uptime:?}, {stats:?}");

    // A reader of events counts from its first line on.
    let mut events = daemon.connect("mica-create.socket");
    events.write_all(b"events").unwrap();
    events.read_exact(&mut [0]).unwrap();
    client.pause("x").await.unwrap();
    client.start("x").await.unwrap_err();
    client.diagnose("x", false).await.unwrap();
    assert_eq!(daemon.ask("x.socket", b"dance"), "Invalid command: danceMICA-FAILED");
    Numbers::of(&client).await.assert(&[
        ("mica_clients{state=\"Suspended\"}", 1.0),
        ("mica_client_state{client=\"x\",pedestal=\"qemu\",state=\"Suspended\"}", 1.0),
        ("mica_commands_total{command=\"pause\",result=\"done\"}", 1.0),
        ("mica_commands_total{command=\"events\",result=\"done\"}", 1.0),
        ("mica_commands_total{command=\"start\",result=\"done\"}", 1.0),
        ("mica_commands_total{command=\"start\",result=\"failed\"}", 1.0),
        ("mica_commands_total{command=\"diagnose\",result=\"done\"}", 1.0),
        ("mica_commands_total{command=\"invalid\",result=\"failed\"}", 1.0),
        // It was refused, it did not fail.
        ("mica_start_failures_total{pedestal=\"qemu\"}", 0.0),
    ]);

    client.resume("x").await.unwrap();
    client.stop("x").await.unwrap();
    let stopped = Numbers::of(&client).await;
    stopped.assert(&[
        ("mica_exits_total{reason=\"stopped\"}", 1.0),
        ("mica_client_state{client=\"x\",pedestal=\"qemu\",state=\"Offline\"}", 1.0),
    ]);
    assert!(stopped.with_prefix("mica_client_memory").is_empty());
    assert!(stopped.with_prefix("mica_client_uptime").is_empty());

    client.remove("x").await.unwrap();
    let gone = Numbers::of(&client).await;
    gone.assert(&[("mica_clients{state=\"Offline\"}", 0.0), ("mica_exits_total{reason=\"stopped\"}", 1.0)]);
    assert!(gone.with_prefix("mica_client_state").is_empty());
}

/// By the reason in the report, whoever ended it.
#[tokio::test]
async fn every_end_is_counted_once() {
    let daemon = Daemon::start();
    for (name, kind, status) in [("exits", 0, 7), ("faults", 1, 139)] {
        let client = daemon.boot(name, &tiny_elf::exits(daemon.dir(), kind, status)).await;
        client.wait(name).await.unwrap();
    }
    let client = daemon.boot("resets", &tiny_elf::resets(daemon.dir())).await;
    client.wait("resets").await.unwrap();
    daemon.boot("killed", &tiny_elf::echo(daemon.dir())).await;
    let pid = i32::try_from(client.stats("killed").await.unwrap().pid).unwrap();
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    client.wait("killed").await.unwrap();
    let garbage = daemon.path("garbage.elf");
    fs::write(&garbage, "no firmware").unwrap();
    daemon.create("garbage", &garbage).await;
    client.start("garbage").await.unwrap_err();
    Numbers::of(&client).await.assert(&[
        ("mica_exits_total{reason=\"exited\"}", 1.0),
        ("mica_exits_total{reason=\"fault\"}", 1.0),
        ("mica_exits_total{reason=\"reset\"}", 1.0),
        ("mica_exits_total{reason=\"killed\"}", 1.0),
        ("mica_exits_total{reason=\"stopped\"}", 0.0),
        ("mica_starts_total{pedestal=\"qemu\"}", 4.0),
        ("mica_start_failures_total{pedestal=\"qemu\"}", 1.0),
        ("mica_stop_failures_total", 0.0),
    ]);
}

#[tokio::test]
async fn what_an_earlier_daemon_left_is_counted() {
    let mut daemon = Daemon::start();
    let client = daemon.boot("stays", &tiny_elf::echo(daemon.dir())).await;
    daemon.boot("dies", &tiny_elf::echo(daemon.dir())).await;
    let began = Numbers::of(&client).await.get("mica_daemon_start_time_seconds");
    let pid = i32::try_from(client.stats("dies").await.unwrap().pid).unwrap();
    daemon.end(Signal::KILL);
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    eventually("QEMU has ended", || !crate::harness::is_alive(pid.unsigned_abs())).await;
    daemon.launch();
    let numbers = Numbers::of(&client).await;
    numbers.assert(&[
        ("mica_adoptions_total{result=\"taken_over\"}", 1.0),
        ("mica_adoptions_total{result=\"lost\"}", 1.0),
        ("mica_exits_total{reason=\"killed\"}", 1.0),
        ("mica_starts_total{pedestal=\"qemu\"}", 0.0),
        ("mica_clients{state=\"Running\"}", 1.0),
    ]);
    assert!(numbers.get("mica_daemon_start_time_seconds") > began);
}

/// However many there are, and whatever they are called.
#[tokio::test]
async fn only_so_many_clients_have_metrics_of_their_own() {
    let daemon = Daemon::start_with(&["--metrics-clients", "2"]);
    let echo = tiny_elf::echo(daemon.dir());
    for name in ["c", "b\"{}\\n", "a"] {
        daemon.create(name, &echo).await;
    }
    let numbers = Numbers::of(&daemon.client()).await;
    numbers.assert(&[("mica_clients_not_shown", 1.0), ("mica_clients{state=\"Offline\"}", 3.0)]);
    assert_eq!(
        numbers.with_prefix("mica_client_state"),
        [
            "mica_client_state{client=\"a\",pedestal=\"qemu\",state=\"Offline\"}",
            "mica_client_state{client=\"b\\\"{}\\\\n\",pedestal=\"qemu\",state=\"Offline\"}",
        ]
    );
}

#[test]
fn mica_prints_either_format() {
    let daemon = Daemon::start();
    let print = |arguments: &[&str]| {
        let output = mica(&daemon, arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = print(&["metrics"]);
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert!(text.contains("# TYPE mica_starts counter\n"), "{text}");
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&format!("\nmica_build_info{{{version},")), "{text}");
    let plain = print(&["metrics", "--plain"]);
    assert!(!plain.contains("# EOF"), "{plain}");
    assert!(plain.contains("# TYPE mica_starts_total counter\n"), "{plain}");
    let names = |text: &str| Numbers::read(text).0.into_keys().collect::<Vec<_>>();
    let le = |name: &String| !name.contains("le=");
    assert_eq!(
        names(&text).into_iter().filter(le).collect::<Vec<_>>(),
        names(&plain).into_iter().filter(le).collect::<Vec<_>>()
    );
}

/// They are the daemon's, not a client's.
#[tokio::test]
async fn a_client_has_no_metrics_command() {
    let daemon = Daemon::start();
    daemon.create("x", &tiny_elf::echo(daemon.dir())).await;
    let reply = daemon.ask("x.socket", b"metrics");
    assert_eq!(reply, "Invalid command: metrics (send it to the daemon's own socket)MICA-FAILED");
}

#[tokio::test]
async fn connections_are_counted_and_why_they_are_refused() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let silent = daemon.connect("mica-create.socket");
    // Connections are accepted in their order.
    Numbers::of(&client).await.assert(&[("mica_connections", 2.0)]);
    let mut reply = String::new();
    std::io::Read::read_to_string(&mut &silent, &mut reply).unwrap();
    let refused = Numbers::of(&client).await;
    refused.assert(&[
        ("mica_connections_refused_total{reason=\"silent\"}", 1.0),
        ("mica_connections_refused_total{reason=\"not_allowed\"}", 0.0),
    ]);
}

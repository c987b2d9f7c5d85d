//! What the daemon logs, and how.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::harness::{Daemon, PATIENCE, eventually};
use crate::tiny_elf;

/// Has a client live, and ask for what is refused.
async fn live(daemon: &Daemon) -> u32 {
    let client = daemon.boot("x", &tiny_elf::echo(daemon.dir())).await;
    let pid = client.stats("x").await.unwrap().pid;
    client.start("x").await.unwrap_err();
    client.remove("x").await.unwrap();
    pid
}

#[tokio::test]
async fn lines_are_plain_unless_another_format_is_asked_for() {
    let daemon = Daemon::start();
    let pid = live(&daemon).await;
    let log = daemon.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(": x: ")).collect();
    assert_eq!(
        lines,
        [
            "info: x: created",
            &format!("info: x: started, process {pid}"),
            "warn: x: refused: cannot start x: it is Running",
            "info: x: stopped by command (status 0, Stopped)",
            "info: x: removed",
        ]
    );
}

#[tokio::test]
async fn json_has_a_document_in_each_line_with_what_it_is_about() {
    let daemon = Daemon::start_with(&["--log-format", "json"]);
    let pid = live(&daemon).await;
    let log = daemon.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let about: Vec<_> = lines.iter().filter(|line| line["client"] == "x").collect();
    let texts: Vec<_> = about.iter().map(|line| line["msg"].as_str().unwrap()).collect();
    assert_eq!(texts[0], "created");
    assert_eq!(
        texts[2..],
        ["refused: cannot start x: it is Running", "stopped by command (status 0, Stopped)", "removed"]
    );
    assert!(about.iter().all(|line| line["pedestal"] == "qemu"), "{about:?}");
    assert_eq!((&about[1]["pid"], &about[1]["level"]), (&pid.into(), &"info".into()));
    assert_eq!(about[2]["level"], "warning");
    assert_eq!(about[3]["status"], 0);
}

/// A client's labels, in a file that nobody can change.
fn labels(document: &str) -> File {
    let mut file = micrun_firmware::memory_file::create().unwrap();
    file.write_all(document.as_bytes()).and_then(|()| file.rewind()).unwrap();
    micrun_firmware::memory_file::seal(&file).unwrap();
    file
}

/// Of whoever has made it, and after a restart of the daemon.
#[tokio::test]
async fn lines_about_a_client_say_what_is_known_of_it() {
    let mut daemon = Daemon::start_with(&["--log-format", "json"]);
    let client = daemon.boot("x", &tiny_elf::echo(daemon.dir())).await;
    let known = labels(r#"{"pod":"plant/motor-0","namespace":"k8s.io","level":"none","Bad":"x"}"#);
    client.about("x", known.as_fd()).await.unwrap();
    daemon.end(rustix::process::Signal::TERM);
    daemon.launch();
    client.stop("x").await.unwrap();
    client.remove("x").await.unwrap();
    client.create(&crate::harness::message("x", &tiny_elf::echo(daemon.dir()))).await.unwrap();
    let log = daemon.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |text: &str| lines.iter().rfind(|line| line["client"] == "x" && line["msg"] == text).unwrap();
    for text in ["stopped by command (status 0, Stopped)", "removed"] {
        let line = of(text);
        assert_eq!((&line["pod"], &line["namespace"]), (&"plant/motor-0".into(), &"k8s.io".into()), "{line}");
        assert_eq!((&line["level"], &line["Bad"]), (&"info".into(), &Value::Null));
    }
    // Another one of that name is another one.
    assert_eq!(of("created")["pod"], Value::Null, "{log}");
    let open = File::open("/dev/null").unwrap();
    let refused = client.about("x", open.as_fd()).await.unwrap_err().to_string();
    assert!(refused.contains("the labels for the log cannot be used: they came as a file"), "{refused}");
    let list = labels("[]");
    let refused = client.about("x", list.as_fd()).await.unwrap_err().to_string();
    assert!(refused.contains("they are not a JSON document of texts"), "{refused}");
}

#[tokio::test]
async fn logfmt_has_pairs() {
    let daemon = Daemon::start_with(&["--log-format", "logfmt"]);
    let pid = live(&daemon).await;
    let started =
        format!(" level=info msg=\"started, process {pid}\" client=\"x\" pedestal=\"qemu\" pid={pid}");
    let log = daemon.log();
    assert!(log.lines().any(|line| line.starts_with("time=2") && line.ends_with(&started)), "{log}");
}

/// What a daemon says that finds another one in its place, on a log that systemd has or has not made.
fn refusal(daemon: &Daemon, of_journal: bool) -> String {
    let path = daemon.path("stderr");
    let file = File::create(&path).unwrap();
    let found = file.metadata().unwrap();
    let inode = if of_journal { found.ino() } else { found.ino() + 1 };
    let stream = format!("{}:{inode}", found.dev());
    let conf = daemon.path("other.conf");
    fs::write(&conf, "[Micad]\nQemuPaht = /opt\n").unwrap();
    let mut command = daemon.command();
    command.arg("--config").arg(conf).env("JOURNAL_STREAM", stream).stderr(file);
    assert!(!command.status().unwrap().success());
    fs::read_to_string(path).unwrap()
}

#[test]
fn the_journal_gets_priorities_and_nobody_else() {
    let daemon = Daemon::start();
    let text = refusal(&daemon, true);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("<4>warn: ") && lines[0].contains("\"qemupaht\" is not known"), "{text}");
    assert!(lines.last().unwrap().starts_with("<3>error: another micad already serves"), "{text}");
    let text = refusal(&daemon, false);
    assert!(text.starts_with("warn: ") && text.contains("\nerror: another micad"), "{text}");
}

/// The lines that say `words`, and how many lines about the client were left out.
fn counted(log: &Path, words: &str) -> (usize, usize) {
    let log = fs::read_to_string(log).unwrap();
    let left_out = log.lines().filter_map(|line| {
        let (count, _) = line.strip_prefix("warn: loud: ")?.split_once(" lines about it were left out")?;
        Some(count.parse::<usize>().unwrap())
    });
    (log.lines().filter(|line| line.contains(words)).count(), left_out.sum())
}

#[tokio::test]
async fn a_client_that_causes_too_many_lines_is_cut_short_and_no_other_is() {
    let daemon = Daemon::start();
    let client = daemon.create("loud", &tiny_elf::spins(daemon.dir())).await;
    daemon.create("quiet", &tiny_elf::spins(daemon.dir())).await;
    let log = daemon.path("log");
    let words = "loud: refused: cannot pause loud";
    let (begin, mut asked) = (Instant::now(), 0);
    // As many as it takes on a slow machine: in time, some are allowed.
    while asked == 0 || counted(&log, words).0 == asked {
        assert!(begin.elapsed() < PATIENCE, "{asked} lines, and all were written");
        for _ in 0..500 {
            client.pause("loud").await.unwrap_err();
        }
        asked += 500;
    }
    client.pause("quiet").await.unwrap_err();
    assert!(daemon.log().contains("quiet: refused: cannot pause quiet"));
    // The next line of anybody tells how many were left out, once there is room again.
    let mut others = 0;
    loop {
        let (written, left_out) = counted(&log, words);
        if written + left_out == asked {
            break;
        }
        assert!(begin.elapsed() < 2 * PATIENCE, "{written} written and {left_out} left out of {asked}");
        others += 1;
        client
            .create(&crate::harness::message(&format!("other-{others}"), &tiny_elf::spins(daemon.dir())))
            .await
            .unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    eventually("the log is whole", || daemon.log().ends_with('\n')).await;
}

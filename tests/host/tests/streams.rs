//! What a container gets of its firmware's streams: by choice not every byte, and a second one in its stderr.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use micrun_host_tests::Host;
use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::firmware::PROMPT;
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::micad::mica;
use micrun_host_tests::wait;

const PREFIX: &str = "org.openeuler.micrun.container";

/// The FIFOs that ctr made for a detached container.
fn fifo(stream: &str) -> PathBuf {
    let folders = fs::read_dir("/run/containerd/fifo").expect("ctr makes its FIFOs there");
    let mut paths = folders.flatten().map(|folder| folder.path().join(format!("rtos-{stream}")));
    paths.find(|path| path.exists()).expect("the container has FIFOs")
}

#[test]
fn firmware_with_a_lossy_console_waits_for_nobody_and_stderr_says_what_was_lost() {
    let host = Host::configured("", "[Micad]\nConsoleRing = 16\n");
    let lossy = format!("{PREFIX}.console=lossy");
    ctr(&["run", "--detach", "--runtime", MICA, "--annotation", &lossy, DEMO, "rtos"]).success();
    let mut stdout = File::open(fifo("stdout")).expect("stdout can be opened");
    let mut stderr = File::open(fifo("stderr")).expect("stderr can be opened");
    let mut stdin = File::options().write(true).open(fifo("stdin")).expect("stdin can be opened");
    stdin.write_all(b"flood 200000\rexit 4\r").expect("stdin can be written");
    // Somebody is there, and slow: a kilobyte a second, of some ten megabytes.
    let (told, hears) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        let mut bytes = vec![0; 1024];
        while hears.recv_timeout(Duration::from_secs(1)).is_err() {
            stdout.read_exact(&mut bytes).expect("the console goes on");
        }
        stdout.read_to_end(&mut bytes).expect("stdout can be read to its end")
    });
    let mut said = Vec::new();
    while !said.ends_with(b"\n") {
        let mut byte = [0];
        stderr.read_exact(&mut byte).expect("the shim says what is lost");
        said.extend(byte);
    }
    let said = String::from_utf8(said).expect("it is text");
    assert!(said.starts_with("micrun: ") && said.contains(" bytes of the console were lost: "), "{said}");
    told.send(()).expect("the reader waits for it");
    host.await_task_state("rtos", "STOPPED");
    reader.join().expect("the reader has read all");
    let table: serde_json::Value =
        serde_json::from_str(&mica(&["ps", "--json"]).success()).expect("it is a document");
    let console = &table["clients"][0]["console"];
    assert!(console["lost_bytes"].as_u64() > Some(0), "{table}");
    assert!(console["bytes"].as_u64() > Some(5_000_000), "{table}");
    assert_eq!(host.delete_task("rtos"), 4);
    host.delete_container("rtos");
    fs::remove_dir_all("/run/containerd/fifo").expect("ctr made FIFOs");
    host.assert_clean();
}

#[test]
fn a_second_console_goes_into_stderr() {
    let host = Host::start();
    let (stream, prompt) = (format!("{PREFIX}.stderr=rpmsg-tty1"), format!("{PREFIX}.shell_prompt=micrun>"));
    let annotations = ["--annotation", &stream, "--annotation", &prompt];
    let run = ["run", "--rm", "--runtime", MICA];
    let mut console = ctr_piped(&[&run[..], &annotations, &[DEMO, "rtos"]].concat());
    console.expect(PROMPT);
    assert_eq!(
        ctr(&["tasks", "exec", "--exec-id", "one", "rtos", "echo", "beside"]).success().trim_end(),
        "beside"
    );
    wait::until("it is in stderr", || console.error_text().contains("\nbeside\r\n").then_some(()));
    assert!(!console.output().contains("beside"), "{:?}", console.output());
    assert!(mica(&["logs", "--stream", "rpmsg-tty1", "rtos"]).success().contains("beside"));
    console.send("exit 0\r");
    assert_eq!(console.wait(), 0);
    host.assert_clean();
}

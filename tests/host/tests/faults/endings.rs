//! Containers that end badly, or too early.

use std::fs::{self, File};
use std::io::Write;

use micrun_host_tests::containerd::ctr;
use micrun_host_tests::events::Events;
use micrun_host_tests::firmware::{self, PROMPT};
use micrun_host_tests::host::MICA;
use micrun_host_tests::{Fault, Host, wait};

use crate::engine::{Engine, end, host, remove_fifos};

const HELLO: &str = "localhost/micrun/hello:1";

/// Types a command, which ends the firmware by itself or leaves it to be killed.
fn typed(what: &'static str, command: &str, signal: Option<&str>, status: i32) {
    let host = Host::start();
    Fault::try_times(what, 10, |_| {
        let mut console = host.run_demo("rtos");
        console.expect(PROMPT);
        console.send(&format!("{command}\r"));
        console.expect(command);
        if let Some(signal) = signal {
            host.kill("rtos", signal);
        }
        assert_eq!(console.wait(), status);
        host.delete_container("rtos");
        host.assert_clean();
    });
}

#[test]
fn a_firmware_crashes() {
    typed("firmware writes where nothing is", "crash", None, 139);
}

#[test]
fn a_firmware_spins_and_is_killed() {
    typed("firmware spins with interrupts off, until killed", "spin", Some("SIGKILL"), 137);
}

#[test]
fn a_firmware_floods_its_console_and_is_killed() {
    typed("firmware floods its console, until killed", "flood 1000000", Some("SIGTERM"), 143);
}

/// The end may come before Start has answered.
#[test]
fn a_container_ends_at_once() {
    let host = host();
    host.import(&firmware::pack(&firmware::hello(), HELLO, &[]));
    let mut events = Events::listen();
    Fault::try_times("exit before Start has answered", 20, |round| {
        let (image, command, status) = match round % 2 {
            0 => (HELLO, &[][..], 0),
            _ => (Engine::Linux.image(), &["/bin/busybox", "false"][..], 1),
        };
        let id = format!("brief-{round}");
        let output = ctr(&[&["run", "--rm", "--runtime", MICA, image, &id], command].concat());
        assert_eq!(output.status, status, "{output}");
        let seen = events.of_container(&id, "/tasks/delete");
        let topics: Vec<_> = seen.iter().map(|event| event.topic.as_str()).collect();
        assert_eq!(topics, ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
    });
    drop(events);
    host.assert_clean();
}

/// The FIFO that ctr made for a detached container, which it leaves to whoever attaches.
fn type_into(id: &str, line: &str) {
    let folders = fs::read_dir("/run/containerd/fifo").expect("ctr makes its FIFOs there");
    let mut paths = folders.flatten().map(|folder| folder.path().join(format!("{id}-stdin")));
    let path = paths.find(|path| path.exists()).expect("the container has FIFOs");
    File::options().write(true).open(path).unwrap().write_all(line.as_bytes()).unwrap();
}

/// The shim answers, and a container can be frozen and ended, while its output waits for a reader that is not there.
#[test]
fn nobody_reads_the_fifo() {
    let host = host();
    Fault::try_times("FIFO that nobody reads", 2, |round| {
        if round == 0 {
            Engine::Rtos.run("mute", &[]);
            type_into("mute", "flood 1000000\r");
        } else {
            let loud = ["run", "--detach", "--runtime", MICA, Engine::Linux.image(), "mute"];
            ctr(&[&loud[..], &["/bin/busybox", "yes"]].concat()).success();
        }
        wait::until("the shim gives up waiting", || {
            let log = host.containerd.log();
            (log.matches("output is being lost").count() > round).then_some(())
        });
        ctr(&["tasks", "pause", "mute"]).success();
        host.await_task_state("mute", "PAUSED");
        ctr(&["tasks", "resume", "mute"]).success();
        end(&host, "mute");
        remove_fifos("mute");
        host.assert_clean();
        let log = host.containerd.log();
        let said = log
            .lines()
            .filter(|line| line.contains("bytes of its output were lost because nobody read them"));
        assert_eq!(said.count(), round + 1, "the end of the container says how much is missing");
    });
}

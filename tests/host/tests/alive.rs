//! Running means alive: firmware that is waited for, firmware that shows no sign of life, and commands for firmware with
//! one terminal.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::PathBuf;

use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::firmware::{self, PROMPT};
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::micad::mica;
use micrun_host_tests::{Host, isolation, wait};

const MUTE: &str = "localhost/micrun/mute:1";
const ONE_TERMINAL: &str = "localhost/micrun/one-terminal:1";
const READY: &str = "org.openeuler.micrun.container.ready";
const TIMEOUT: &str = "org.openeuler.micrun.container.ready_timeout";

/// A machine with one UART, as stock firmware knows it, and the prompt of the shell on it.
fn import_one_terminal(host: &Host) {
    let conf = isolation::state_dir().join("client.conf");
    let text = "[Mica]\nName = demo\nClientPath = firmware.elf\n[Qemu]\nMachine = virt,gic-version=3\nConsoles = 1\n\
                [Micrun]\ncontainer.shell_prompt = micrun>\n";
    fs::write(&conf, text).unwrap();
    let options = ["--client-conf", conf.to_str().unwrap()];
    host.import(&firmware::pack(&firmware::demo(), ONE_TERMINAL, &options));
}

fn exec(id: &str, args: &[&str]) -> micrun_host_tests::Output {
    ctr(&[&["tasks", "exec", "--exec-id", id, "rtos"], args].concat())
}

fn log_file() -> (PathBuf, String) {
    let log = isolation::state_dir().join("console.log");
    let uri = format!("file://{}", log.display());
    (log, uri)
}

#[test]
fn exec_borrows_the_console_of_a_detached_container_whose_log_has_it_as_well() {
    let host = Host::start();
    import_one_terminal(&host);
    let (log, uri) = log_file();
    ctr(&["run", "--detach", "--runtime", MICA, "--log-uri", &uri, ONE_TERMINAL, "rtos"]).success();
    let logged = |text: &str| {
        wait::until(&format!("{text:?} is in the log"), || {
            fs::read_to_string(&log).unwrap_or_default().contains(text).then_some(())
        });
    };
    logged(PROMPT);
    assert_eq!(exec("one", &["echo", "a", "b"]).success(), "a b\n");
    logged("micrun> echo a b\r\na b\r\nmicrun> ");
    assert_eq!(exec("two", &["echo", "again"]).success(), "again\n");
    logged("again\r\nmicrun> ");
    host.kill("rtos", "SIGKILL");
    host.await_task_state("rtos", "STOPPED");
    assert_eq!(host.delete_task("rtos"), 137);
    host.delete_container("rtos");
    fs::remove_file(log).unwrap();
    host.assert_clean();
}

#[test]
fn exec_is_refused_while_somebody_is_attached() {
    let host = Host::start();
    import_one_terminal(&host);
    ctr(&["run", "--detach", "--runtime", MICA, ONE_TERMINAL, "rtos"]).success();
    assert_eq!(exec("one", &["echo", "alone"]).success(), "alone\n");
    let mut console = ctr_piped(&["tasks", "attach", "rtos"]);
    console.send("echo attached\r");
    console.expect("\nattached\r\n");
    let refusal = exec("two", &["echo", "alone"]).failure();
    assert!(refusal.contains("its console is in use"), "{refusal}");
    console.send("echo undisturbed\r");
    console.expect("\nundisturbed\r\n");
    drop(console);
    assert_eq!(exec("three", &["echo", "alone"]).success(), "alone\n");
}

#[test]
fn start_waits_until_the_firmware_says_that_it_is_ready() {
    let host = Host::start();
    let (log, uri) = log_file();
    let ready = format!("{READY}=console:{}", PROMPT.trim_end());
    let run = ["run", "--detach", "--runtime", MICA, "--annotation", &ready, "--log-uri", &uri, DEMO, "rtos"];
    ctr(&run).success();
    assert!(host.containerd.log().contains("rtos is ready"), "{}", host.containerd.log());
    wait::until("the log has it", || fs::read_to_string(&log).unwrap().contains(PROMPT).then_some(()));
}

#[test]
fn firmware_that_is_not_ready_in_time_was_not_started() {
    let host = Host::start();
    host.import(&firmware::pack(&firmware::mute("wait"), MUTE, &[]));
    let (ready, limit) = (format!("{READY}=console:up"), format!("{TIMEOUT}=3s"));
    let options = ["--annotation", &ready, "--annotation", &limit];
    let run = [&["run", "--rm", "--runtime", MICA], &options[..], &[MUTE, "rtos"]].concat();
    let refusal = ctr(&run).failure();
    assert!(refusal.contains("did not become ready (`console:up`): it has not come within 3s"), "{refusal}");
    assert!(refusal.contains("waits for an interrupt") && refusal.contains("wait_for_ever"), "{refusal}");
    host.assert_clean();
}

#[test]
fn silent_firmware_is_reported_by_shim_and_daemon() {
    let host = Host::start();
    host.import(&firmware::pack(&firmware::mute("spin"), MUTE, &[]));
    let limit = format!("{TIMEOUT}=3s");
    ctr(&["run", "--detach", "--runtime", MICA, "--annotation", &limit, MUTE, "rtos"]).success();
    wait::until("the shim reports it", || {
        host.containerd.log().contains("rtos runs, but has shown no sign of life for 3s").then_some(())
    });
    let log = host.micad.as_ref().unwrap().log();
    assert!(log.contains("rtos: it runs and shows no sign of life: its processor spins at 0x"), "{log}");
    let list: serde_json::Value = serde_json::from_str(&mica(&["list", "--json"]).success()).unwrap();
    let detail = list.pointer("/clients/0/silent/detail").and_then(serde_json::Value::as_str).unwrap();
    assert!(detail.contains("in poll_for_ever"), "{detail}");
    assert_eq!(host.task_state("rtos").as_deref(), Some("RUNNING"));
    host.remove("rtos");
    host.assert_clean();
}

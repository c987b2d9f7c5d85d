//! What the kubelet does with the containers of a pod, beyond starting and removing them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use micrun_cri_tests::{Cri, LINUX, Node};
use micrun_host_tests::firmware::{BANNER, demo, hello, mute};
use micrun_host_tests::host::DEMO;
use micrun_host_tests::{isolation, wait};

const BUSYBOX: &str = "/bin/busybox";
const IMAGE: &str = "localhost/micrun/asked:1";
/// Firmware that hears nothing.
const DEAF: &str = "localhost/micrun/deaf:1";
const STOP: &str = "org.openeuler.micrun.container.stop_command=console:exit 5";
const SHELL: &str = "org.openeuler.micrun.container.shell_prompt=micrun>";

/// `terminationGracePeriodSeconds` is the firmware's time to end, and no more than that.
#[test]
fn firmware_is_asked_to_end_within_its_grace_period() {
    let mut node = Node::start();
    node.import_firmware(IMAGE, &demo(), &["--annotation", STOP]);
    node.import_firmware(DEAF, &mute("wait"), &["--annotation", STOP]);
    let pod = node.cri.run_pod("grace");
    let rtos = node.cri.start(&pod, "rtos", IMAGE, &[], None);
    pod.log_with("rtos", "help lists the commands");
    assert_eq!(node.cri.stop(&rtos, 60), 5);
    node.cri.remove_pod(&pod);
    let pod = node.cri.run_pod("deaf");
    let rtos = node.cri.start(&pod, "rtos", DEAF, &[], None);
    assert_eq!(node.cri.stop(&rtos, 1), 137);
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

/// The firmware answers by its shell, and a sidecar whoever comes over the network, as etc/kubernetes/probes.yaml has it.
#[test]
fn probes_of_each_kind_are_answered() {
    let mut node = Node::start();
    node.import_firmware(IMAGE, &demo(), &["--annotation", SHELL]);
    let pod = node.cri.run_pod("probes");
    // Without a client's input, commands may have the console.
    let mut config = Cri::container(&pod, ("rtos", 0), IMAGE, &[], &[]);
    config.stdin = false;
    let rtos = node.cri.try_start_of(&pod, config).expect("it starts");
    let script = format!(
        "{BUSYBOX} mkdir -p /tmp/www; echo ready >/tmp/www/healthz; exec {BUSYBOX} httpd -f -p 8080 -h /tmp/www"
    );
    node.cri.start(&pod, "gateway", LINUX, &[BUSYBOX, "sh", "-c", &script], None);
    let exec = wait::until("the firmware's shell answers", || {
        node.cri.try_exec(&rtos, &["uname"]).ok().filter(|answer| answer.exit_code == 0)
    });
    assert!(String::from_utf8_lossy(&exec.stdout).contains("FreeRTOS"), "{exec:?}");
    let address = format!("{}:8080", node.cri.pod_status(&pod).network.expect("the pod has a network").ip);
    let mut socket = wait::until("the TCP probe succeeds", || TcpStream::connect(&address).ok());
    socket.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 OK\r\n") && answer.ends_with("ready\n"), "{answer}");
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

/// The kubelet mounts a file for the last words of a container. Firmware writes none there: with
/// `terminationMessagePolicy: FallbackToLogsOnError`, the end of its log is the message.
#[test]
fn a_termination_message_is_the_end_of_the_log() {
    let node = Node::start();
    let pod = node.cri.run_pod("message");
    let file = isolation::state_dir().join("termination-log");
    fs::write(&file, "").unwrap();
    let path = file.to_str().unwrap();
    let mounts = [(path, "/dev/termination-log"), ("/etc/hosts", "/etc/hosts")];
    let rtos = node.cri.try_start_of(&pod, Cri::container(&pod, ("rtos", 0), DEMO, &[], &mounts));
    let rtos = rtos.expect("it starts");
    pod.log_with("rtos", BANNER.trim_end());
    let mut console = node.cri.attach(&rtos, false);
    console.send("crash\r");
    let status = node.cri.ended(&rtos);
    assert_eq!((status.exit_code, status.reason.as_str()), (139, "Error"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
    let log = fs::read_to_string(pod.log_path("rtos")).unwrap();
    let end: Vec<&str> = log.lines().rev().take(20).collect();
    assert!(end.iter().any(|line| line.contains("where nothing is")), "{log}");
    fs::remove_file(&file).unwrap();
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

/// Of a container that ends again and again, the kubelet keeps the last one that is dead, for `kubectl logs --previous`.
#[test]
fn a_container_that_ends_is_started_again_beside_its_last_attempt() {
    let mut node = Node::start();
    node.import_firmware(IMAGE, &hello(), &[]);
    let pod = node.cri.run_pod("loop");
    let mut last: Option<String> = None;
    for attempt in 0..5 {
        let mut config = Cri::container(&pod, ("rtos", attempt), IMAGE, &[], &[]);
        config.log_path = format!("rtos-{attempt}.log");
        let rtos = node.cri.try_start_of(&pod, config).expect("it starts");
        let status = node.cri.ended(&rtos);
        assert_eq!((status.exit_code, status.reason.as_str()), (0, "Completed"), "attempt {attempt}");
        pod.log_with(&format!("rtos-{attempt}"), "hello");
        if let Some(before) = last.replace(rtos) {
            node.cri.remove(&before);
        }
    }
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

/// `containerLogMaxSize`: the kubelet moves a log away, and no byte is lost.
#[test]
fn a_log_is_rotated_under_a_running_firmware() {
    let node = Node::start();
    let pod = node.cri.run_pod("rotation");
    let rtos = node.cri.start(&pod, "rtos", DEMO, &[], None);
    pod.log_with("rtos", BANNER.trim_end());
    let mut console = node.cri.attach(&rtos, false);
    let log = pod.log_path("rtos");
    let mut lines = Vec::new();
    for round in 0..5 {
        let word = format!("round-{round}-");
        console.send(&format!("echo {word}\r"));
        pod.log_with("rtos", &format!(" stdout F {word}\n"));
        let old = log.with_extension(format!("{round}"));
        fs::rename(&log, &old).unwrap();
        node.cri.reopen_log(&rtos);
        lines.extend(fs::read_to_string(&old).unwrap().lines().map(str::to_owned));
    }
    for round in 0..5 {
        let said = format!(" stdout F round-{round}-");
        assert_eq!(lines.iter().filter(|line| line.ends_with(&said)).count(), 1, "{lines:#?}");
    }
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

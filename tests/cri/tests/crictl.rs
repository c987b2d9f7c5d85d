//! What `crictl` does on the wire, one case for each command line.

use k8s_cri::v1::ContainerState;
use micrun_cri_tests::{LABEL, LINUX, NAMESPACE, Node};
use micrun_host_tests::firmware::{BANNER, PROMPT};
use micrun_host_tests::host::DEMO;
use micrun_host_tests::usage::Usage;
use micrun_host_tests::wait;

const BUSYBOX: &str = "/bin/busybox";

/// What crictl says of the end of a command: Kubernetes' `Status`.
fn is_success(status: &str) -> bool {
    status.contains(r#""status":"Success""#)
}

#[test]
fn crictl_attach_to_a_console() {
    let node = Node::start();
    let pod = node.cri.run_pod("attach");
    let rtos = node.cri.start(&pod, "rtos", DEMO, &[], None);
    pod.log_with("rtos", BANNER.trim_end());
    let mut console = node.cri.attach(&rtos, false);
    console.send("\r");
    console.expect(PROMPT);
    console.send("echo attached\r");
    console.expect("\nattached\r\n");
    // What came over it is in the log as well.
    pod.log_with("rtos", "attached");
    console.send("exit 7\r");
    console.end();
    wait::until("its end is known", || {
        (node.cri.status(&rtos).state() == ContainerState::ContainerExited).then_some(())
    });
    assert_eq!(node.cri.status(&rtos).exit_code, 7);
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

#[test]
fn crictl_attach_to_a_terminal() {
    let node = Node::start();
    let pod = node.cri.run_pod("terminal");
    let rtos = node.cri.start_on_a_terminal(&pod, "rtos", DEMO, &[]);
    let shell = [BUSYBOX, "sh", "-c", "while read -r line; do eval \"$line\"; done"];
    let side = node.cri.start_on_a_terminal(&pod, "side", LINUX, &shell);
    let mut console = node.cri.attach(&rtos, true);
    console.send("\r");
    console.expect(PROMPT);
    let mut terminal = node.cri.attach(&side, true);
    terminal.resize(97, 31);
    terminal.send(&format!("until {BUSYBOX} stty size | {BUSYBOX} grep '31 97'; do :; done\n"));
    terminal.expect("\n31 97\r\n");
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

#[test]
fn crictl_exec_with_input() {
    let node = Node::start();
    let pod = node.cri.run_pod("exec");
    let side = node.cri.start(&pod, "side", LINUX, &[BUSYBOX, "sleep", "1000"], None);
    let mut exec =
        node.cri.exec_stream(&side, &[BUSYBOX, "sh", "-c", "read -r a; echo $a; echo b >&2"], false);
    exec.send("typed\n");
    let status = exec.end();
    assert!(is_success(&status), "{status}");
    assert_eq!((exec.stdout.as_str(), exec.stderr.as_str()), ("typed\n", "b\n"));
    let status = node.cri.exec_stream(&side, &[BUSYBOX, "sh", "-c", "exit 9"], false).end();
    assert!(status.contains("NonZeroExitCode") && status.contains(r#""9""#), "{status}");
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

#[test]
fn crictl_exec_on_a_terminal() {
    let node = Node::start();
    let pod = node.cri.run_pod("tty");
    let side = node.cri.start(&pod, "side", LINUX, &[BUSYBOX, "sleep", "1000"], None);
    let mut exec =
        node.cri.exec_stream(&side, &[BUSYBOX, "sh", "-c", "read -r a; echo $a >&2; exit 3"], true);
    exec.send("typed\n");
    let status = exec.end();
    assert!(status.contains(r#""3""#), "{status}");
    // A terminal echoes, and has one stream for both.
    assert_eq!((exec.stdout.as_str(), exec.stderr.as_str()), ("typed\r\ntyped\r\n", ""));
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

/// A firmware without a shell of its own takes no command, and says so.
#[test]
fn crictl_exec_in_a_firmware() {
    let node = Node::start();
    let pod = node.cri.run_pod("immutable");
    let rtos = node.cri.start(&pod, "rtos", DEMO, &[], None);
    let refusal = node.cri.try_exec(&rtos, &["help"]).unwrap_err();
    assert!(refusal.message().contains("micrun does not support exec task"), "{refusal:?}");
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

#[test]
fn crictl_logs() {
    let node = Node::start();
    let pod = node.cri.run_pod("logs");
    let script = format!("{BUSYBOX} printf 'out\\npart'; echo err >&2; {BUSYBOX} sleep 1000");
    node.cri.start(&pod, "side", LINUX, &[BUSYBOX, "sh", "-c", &script], None);
    pod.log_with("side", " stdout F out\n");
    pod.log_with("side", " stderr F err\n");
    node.cri.start(&pod, "rtos", DEMO, &[], None);
    // containerd takes the line's end off, a carriage return as well.
    pod.log_with("rtos", &format!(" stdout F {}\n", BANNER.trim_end()));
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

#[test]
fn crictl_inspect_stats_stop_and_rm() {
    let node = Node::start();
    let pod = node.cri.run_pod("inspect");
    let rtos = node.cri.start(&pod, "rtos", DEMO, &[], None);
    let status = node.cri.status(&rtos);
    assert_eq!(status.state(), ContainerState::ContainerRunning);
    for map in [&status.labels, &status.annotations] {
        assert_eq!(map.get(LABEL.0).map(String::as_str), Some(LABEL.1));
    }
    // Without a limit the metrics are those of the container's cgroup all the same, of a Linux container as well.
    let side = node.cri.start(&pod, "side", LINUX, &[BUSYBOX, "sleep", "1000"], None);
    for id in [&rtos, &side] {
        let look = || Usage::within(NAMESPACE, id);
        assert!(look().working_set > 0);
        Usage::assert_same(look, |usage| usage.working_set, || node.cri.usage(id));
    }
    node.cri.stop(&side, 0);
    assert_eq!(node.cri.stop(&rtos, 10), 143);
    // Again is no error, as the CRI demands.
    assert_eq!(node.cri.stop(&rtos, 10), 143);
    node.cri.remove(&rtos);
    node.cri.remove(&rtos);
    assert_eq!(node.cri.pods().unwrap(), [pod.id.as_str()]);
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

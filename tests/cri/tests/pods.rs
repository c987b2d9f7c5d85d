//! Pods of a firmware and an ordinary container, as the kubelet makes them.

use std::fs;

use k8s_cri::v1::{ContainerState, PodSandboxState};
use micrun_cri_tests::{GATEWAY, LINUX, Node};
use micrun_host_tests::firmware::BANNER;
use micrun_host_tests::host::DEMO;
use micrun_host_tests::isolation;
use micrun_host_tests::system::Process;

const SHIM: &str = "containerd-shim-mica-v2";
const SIDECAR: [&str; 4] =
    ["/bin/busybox", "sh", "-c", "echo the sidecar runs; exec /bin/busybox sleep 1000"];

#[test]
fn a_firmware_and_a_sidecar_in_one_pod() {
    let node = Node::start();
    let volume = isolation::state_dir().join("volume");
    fs::create_dir_all(&volume).expect("/run is private and writable");
    fs::write(volume.join("note"), "from the machine").expect("/run is private and writable");
    let pod = node.cri.run_pod("mixed");
    let rtos = node.cri.start(&pod, "rtos", DEMO, &[], None);
    let side = node.cri.start(&pod, "side", LINUX, &SIDECAR, volume.to_str());
    assert_eq!(Process::running(SHIM).len(), 1, "one shim for the pod");

    let banner = pod.log_with("rtos", BANNER.trim_end());
    assert!(banner.lines().all(|line| line.contains(" stdout ")), "{banner}");
    pod.log_with("side", "the sidecar runs");
    let read = node.cri.exec(&side, &["/bin/busybox", "cat", "/volume/note"]);
    assert_eq!((read.stdout.as_slice(), read.exit_code), (&b"from the machine"[..], 0));
    let ping = node.cri.exec(&side, &["/bin/busybox", "ping", "-c", "1", "-W", "10", GATEWAY]);
    assert_eq!(ping.exit_code, 0, "{}", String::from_utf8_lossy(&ping.stdout));
    let failed = node.cri.exec(&side, &["/bin/busybox", "sh", "-c", "echo no >&2; exit 9"]);
    assert_eq!((failed.stderr.as_slice(), failed.exit_code), (&b"no\n"[..], 9));
    let ip = node.cri.pod_status(&pod).network.expect("the pod has a network").ip;
    assert!(ip.starts_with("10.88."), "{ip}");

    for id in [&rtos, &side] {
        assert!(node.cri.usage(id).1 > 0);
    }

    assert_eq!(node.cri.stop(&rtos, 10), 143);
    assert_eq!(node.cri.stop(&side, 0), 137);
    for id in [&rtos, &side] {
        assert_eq!(node.cri.status(id).state(), ContainerState::ContainerExited);
        node.cri.remove(id);
    }
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

#[test]
fn a_stopped_pod_takes_its_containers_along() {
    let node = Node::start();
    let pod = node.cri.run_pod("brief");
    let rtos = node.cri.start(&pod, "rtos", DEMO, &[], None);
    let side = node.cri.start(&pod, "side", LINUX, &SIDECAR, None);
    node.cri.stop_pod(&pod);
    assert_eq!(node.cri.pod_status(&pod).state(), PodSandboxState::SandboxNotready);
    for id in [&rtos, &side] {
        assert_eq!(node.cri.status(id).exit_code, 137);
    }
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

#[test]
fn a_pod_is_made_again_under_the_same_name() {
    let node = Node::start();
    for _ in 0..2 {
        let pod = node.cri.run_pod("again");
        let rtos = node.cri.start(&pod, "rtos", DEMO, &[], None);
        pod.log_with("rtos", BANNER.trim_end());
        assert_eq!(node.cri.stop(&rtos, 10), 143);
        node.cri.remove(&rtos);
        // Not before the same container name is free again.
        let rtos = node.cri.start(&pod, "rtos", DEMO, &[], None);
        assert_eq!(node.cri.status(&rtos).state(), ContainerState::ContainerRunning);
        node.cri.remove_pod(&pod);
    }
    node.assert_clean();
}

#[test]
fn a_restarted_containerd_finds_the_pod_running() {
    let mut node = Node::start();
    let pod = node.cri.run_pod("lasting");
    let rtos = node.cri.start(&pod, "rtos", DEMO, &[], None);
    let side = node.cri.start(&pod, "side", LINUX, &SIDECAR, None);
    node.restart_containerd();
    assert_eq!(node.cri.pod_status(&pod).state(), PodSandboxState::SandboxReady);
    for id in [&rtos, &side] {
        assert_eq!(node.cri.status(id).state(), ContainerState::ContainerRunning);
    }
    assert_eq!(node.cri.exec(&side, &["/bin/busybox", "echo", "hi"]).stdout, b"hi\n");
    assert_eq!(node.cri.stop(&rtos, 10), 143);
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

#[test]
fn twenty_pods() {
    let node = Node::start();
    let start = |number: usize| {
        let pod = node.cri.run_pod(&format!("pod-{number}"));
        let side = node.cri.start(&pod, "side", LINUX, &SIDECAR, None);
        // Each emulator takes its share of the test's machine.
        if number.is_multiple_of(5) {
            node.cri.start(&pod, "rtos", DEMO, &[], None);
            pod.log_with("rtos", BANNER.trim_end());
        }
        (pod, side)
    };
    let pods: Vec<_> = (0..20).map(start).collect();
    assert_eq!(Process::running(SHIM).len(), 20);
    for (_, side) in &pods {
        assert_eq!(node.cri.status(side).state(), ContainerState::ContainerRunning);
    }
    for (pod, _) in &pods {
        node.cri.remove_pod(pod);
    }
    node.assert_clean();
}

/// A volume that a firmware cannot see would be lost without a word.
#[test]
fn a_volume_of_a_firmware_is_refused() {
    let node = Node::start();
    let pod = node.cri.run_pod("volume");
    let refusal = node.cri.try_start(&pod, "rtos", DEMO, &[], Some("/run"), false).unwrap_err();
    assert!(refusal.message().contains("the volume at `/volume` is refused"), "{refusal:?}");
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

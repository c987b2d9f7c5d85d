//! Pods whose users are not the machine's: `hostUsers: false`.

use std::env;
use std::process::Command;

use micrun_cri_tests::{LINUX, Node, USERS, USERS_COUNT, version};
use micrun_host_tests::firmware::BANNER;
use micrun_host_tests::host::DEMO;

const BUSYBOX: &str = "/bin/busybox";

/// Whether the OCI runtime says that it can map the owners of a mount.
fn maps_owners() -> bool {
    let runtime = env::var("MICRUN_LINUX_RUNTIME").unwrap_or_else(|_| "crun".into());
    let said = Command::new(runtime).arg("features").output();
    said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains("\"idmap\""))
}

/// Root in the pod is nobody of the machine; the files of the image are root's there all the same, and firmware is not
/// concerned.
#[test]
fn a_firmware_and_a_sidecar_in_a_pod_with_users_of_its_own() {
    let node = Node::start();
    let pod = node.cri.try_run_pod_of_its_own_users("users").expect("the pod runs");
    let side = node.cri.try_start(&pod, "side", LINUX, &[BUSYBOX, "sleep", "1000"], None, false);
    if let Err(refusal) = &side
        && !maps_owners()
    {
        // containerd 2.x mounts its files of the pod with their owners mapped, and asks the shim whether that works.
        assert!(refusal.message().contains("idmap mounts not supported"), "{refusal:?}");
        node.cri.remove_pod(&pod);
        node.assert_clean();
        return;
    }
    let side = side.expect("it starts");
    let rtos = node.cri.start(&pod, "rtos", DEMO, &[], None);
    pod.log_with("rtos", BANNER.trim_end());
    let said = |command: &[&str]| {
        let answer = node.cri.exec(&side, command);
        let text = String::from_utf8(answer.stdout).unwrap();
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    // containerd 1.6 does not know the field.
    let map = match version().as_str() {
        old if old.starts_with("1.6.") => ["0".to_owned(), "0".to_owned(), u32::MAX.to_string()],
        _ => ["0".to_owned(), USERS.to_string(), USERS_COUNT.to_string()],
    };
    for file in ["/proc/self/uid_map", "/proc/self/gid_map"] {
        assert_eq!(said(&[BUSYBOX, "cat", file]), map, "{file}");
    }
    assert_eq!(said(&[BUSYBOX, "stat", "-c", "%u:%g", BUSYBOX]), ["0:0"]);
    assert_eq!(node.cri.stop(&rtos, 10), 143);
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

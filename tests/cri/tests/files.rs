//! The files that the containers of a pod have in common.

use micrun_cri_tests::{GATEWAY, LINUX, Node};

const BUSYBOX: &str = "/bin/busybox";

/// As Kubernetes' conformance tests of DNS look at them.
#[test]
fn a_pod_has_its_host_name_its_resolver_and_its_shared_memory() {
    let node = Node::start();
    let pod = node.cri.run_pod("files");
    let [one, two] =
        ["one", "two"].map(|name| node.cri.start(&pod, name, LINUX, &[BUSYBOX, "sleep", "1000"], None));
    let said = |id: &str, command: &[&str]| {
        let answer = node.cri.exec(id, &[&[BUSYBOX], command].concat());
        assert_eq!(answer.exit_code, 0, "{command:?}: {}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8(answer.stdout).unwrap()
    };
    assert_eq!(said(&one, &["cat", "/etc/hostname"]), "files\n");
    let resolver = format!("search default.svc svc\nnameserver {GATEWAY}\noptions ndots:5\n");
    assert_eq!(said(&one, &["cat", "/etc/resolv.conf"]), resolver);
    assert_eq!(said(&one, &["cat", "/etc/hosts"]), std::fs::read_to_string("/etc/hosts").unwrap());
    said(&one, &["sh", "-c", "echo shared >/dev/shm/note"]);
    assert_eq!(said(&two, &["cat", "/dev/shm/note"]), "shared\n");
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

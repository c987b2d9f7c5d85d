//! Pods in the machine's network: `hostNetwork: true`.

use std::env;
use std::fs;

use micrun_cri_tests::{LINUX, Node, version};
use micrun_host_tests::firmware::BANNER;
use micrun_host_tests::host::DEMO;

const BUSYBOX: &str = "/bin/busybox";
/// The versions that end by such a pod if the shim is its sandbox: containerd#12983, mended in 2.3.0.
const ENDS: [&str; 3] = ["2.0.", "2.1.", "2.2."];

/// `mica doctor` warns of such a handler (`containerd.sandboxer`). If it is used all the same, containerd ends, and is
/// back with its next start.
#[test]
fn containerd_12983_a_pod_in_the_machines_network() {
    let mut node = Node::start();
    let ends = env::var("MICRUN_SANDBOXER").is_ok_and(|sandboxer| sandboxer == "shim")
        && ENDS.iter().any(|version_of| version().starts_with(version_of));
    let pod = node.cri.try_run_pod_in_the_machines_network("network");
    if ends {
        assert!(pod.is_err(), "containerd {} is mended: take it out of ENDS, and the doctor's", version());
        assert!(node.containerd.log().contains("panic:"), "{}", node.containerd.log());
        node.restart_containerd();
        for pod in node.cri.pods().unwrap() {
            node.cri.try_remove_pod(&pod).unwrap();
        }
        let pod = node.cri.run_pod("after");
        node.cri.start(&pod, "rtos", DEMO, &[], None);
        pod.log_with("rtos", BANNER.trim_end());
        node.cri.remove_pod(&pod);
        return;
    }
    let pod = pod.expect("the pod runs");
    let rtos = node.cri.start(&pod, "rtos", DEMO, &[], None);
    let side = node.cri.start(&pod, "side", LINUX, &[BUSYBOX, "sleep", "1000"], None);
    pod.log_with("rtos", BANNER.trim_end());
    let network = node.cri.exec(&side, &[BUSYBOX, "readlink", "/proc/self/ns/net"]).stdout;
    let ours = fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(String::from_utf8(network).unwrap().trim_end(), ours.to_str().unwrap());
    assert_eq!(node.cri.stop(&rtos, 10), 143);
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

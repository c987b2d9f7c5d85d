//! One trace from a client of CRI, which the kubelet is, through containerd and the shim to the daemon.

use std::collections::BTreeSet;

use micrun_cri_tests::{Cri, LINUX, Node};
use micrun_host_tests::collector::{Collector, ENDPOINT, Span, ancestors};
use micrun_host_tests::firmware::BANNER;
use micrun_host_tests::host::DEMO;
use micrun_host_tests::{isolation, process};

const SHIM: &str = "containerd-shim-mica-v2";
/// The span of the client, which is somebody else's to send.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0c1902b7";

/// Whether containerd says to its shims for which trace it asks.
fn containerd_tells() -> bool {
    let mut command = std::process::Command::new(isolation::containerd_program("containerd"));
    let said = process::run(command.arg("--version")).success();
    // `containerd SOURCE VERSION COMMIT`.
    said.split_whitespace().nth(2).is_some_and(|version| !version.trim_start_matches('v').starts_with("1."))
}

#[test]
fn a_pod_has_one_trace_from_its_client_to_the_daemon() {
    let collector = Collector::start();
    let node = Node::traced(ENDPOINT);
    let client = Cri::for_span(&format!("00-{TRACE}-{CLIENT}-01"));
    let pod = client.run_pod("traced");
    let rtos = client.start(&pod, "rtos", DEMO, &[], None);
    pod.log_with("rtos", BANNER.trim_end());
    let side = client.start(&pod, "side", LINUX, &["/bin/busybox", "sleep", "1000"], None);

    let started = collector.span("micad", "mica start", &rtos);
    let linux = collector.until("the Start of the sidecar", |spans| {
        let is_it = |span: &&Span| {
            span.service == SHIM
                && span.name.ends_with("/Start")
                && span.attributes.get("container.id") == Some(&side)
        };
        spans.iter().find(is_it).cloned()
    });
    if containerd_tells() {
        for span in [&started, &linux] {
            assert_eq!(span.trace, TRACE, "{span:?}");
            // containerd sends its own spans when it likes.
            let chain = collector.until("unbroken trace", |spans| {
                let chain = ancestors(span, spans);
                (chain.last()?.parent == CLIENT).then_some(chain)
            });
            let services: BTreeSet<_> = chain.iter().map(|span| span.service.as_str()).collect();
            assert!(services.contains("containerd") && services.contains(SHIM), "{services:?}");
            let begun: Vec<_> = chain.iter().map(|span| span.start).collect();
            assert!(
                begun.is_sorted_by(|child, parent| child >= parent),
                "a child begins after its parent: {chain:?}"
            );
        }
        let create = collector.span(SHIM, &linux.name.replace("/Start", "/Create"), &rtos);
        assert_eq!(create.attributes["k8s.pod.name"], "traced");
        assert_eq!(create.attributes["k8s.container.name"], "rtos");
        assert_eq!(create.attributes["micrun.sandbox.id"], pod.id);
    }
    collector.keep();
    node.cri.remove_pod(&pod);
    node.assert_clean();
}

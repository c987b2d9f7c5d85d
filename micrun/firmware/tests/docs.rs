//! The documentation that is generated, and the table it comes from.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use micrun_firmware::annotations::{self, PREFIX, TABLE};

#[test]
fn the_page_is_what_the_table_says() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ANNOTATIONS.md");
    let committed = std::fs::read_to_string(page).unwrap();
    assert!(
        committed == annotations::page(),
        "docs/ANNOTATIONS.md is stale: cargo run -p micrun-firmware --example annotations-doc > docs/ANNOTATIONS.md"
    );
}

#[test]
fn every_key_stands_once() {
    let names: BTreeSet<_> = TABLE.iter().map(|key| key.name).collect();
    assert_eq!(names.len(), TABLE.len());
    assert!(names.iter().all(|name| !name.starts_with(PREFIX)));
}

/// upstream-micrun 3.11: a pod written for upstream's shim uses no key that we do not know.
#[test]
fn all_keys_of_upstream_are_known() {
    for name in [
        "container.os",
        "container.firmware_path",
        "container.firmware_hash",
        "container.auto_close",
        "container.auto_close_timeout",
        "container.auto_disconnect_timeout",
        "container.min_memory_mb",
        "container.max_vcpu_num",
        "ped.pedestal",
        "ped.conf",
        "ped.compatibility",
        "ped.net_placeholder",
        "runtime.disable_new_netns",
        "runtime.experimental",
        "runtime.pipe_size",
        "runtime.debug",
        "runtime.max_container_cpus",
        "runtime.max_container_memory",
        "runtime.pause",
        "runtime.exclusive_dom0_cpu",
        "runtime.enable_vcpus_pinning",
        "runtime.vcpu_pcpu_binding",
        "runtime.static_resource",
        "runtime.hugepage_enable",
        "pkg.oci.bundle_path",
        "pkg.oci.container_type",
        "config_path",
    ] {
        assert!(TABLE.iter().any(|key| key.name == name), "{name}");
    }
}

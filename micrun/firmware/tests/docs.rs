//! The documentation that is generated, and the table it comes from.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeSet;

use micrun_firmware::annotations::{self, Effect, PREFIX, TABLE};
use micrun_firmware::host_conf::{self, Target};
use micrun_firmware::qemu;
use micrun_firmware::record::LayerRecord;
use micrun_firmware::{ClientConf, Firmware, HostConf, Pedestal};
use support::Elf;
use support::image::Image;

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
fn the_page_of_micrun_conf_is_what_its_table_says() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/MICRUN_CONF.md");
    assert!(
        std::fs::read_to_string(page).unwrap() == host_conf::page(),
        "docs/MICRUN_CONF.md is stale: cargo run -p micrun-firmware --example micrun-conf-doc > docs/MICRUN_CONF.md"
    );
    for key in host_conf::TABLE {
        if let Target::Annotation(name) = key.target {
            assert!(TABLE.iter().any(|a| a.name == name && a.effect == Effect::Effective), "{}", key.name);
        }
    }
}

/// The shipped file names every key of the policy, and what it proposes is understood.
#[test]
fn the_shipped_micrun_conf_can_be_uncommented() {
    let etc = concat!(env!("CARGO_MANIFEST_DIR"), "/../../etc/mica/micrun");
    let text = std::fs::read_to_string(format!("{etc}/micrun.conf")).unwrap();
    let is_key = |line: &&str| line.starts_with(';') && !line.starts_with("; ");
    let keys: Vec<_> = text.lines().filter(is_key).map(|line| &line[1..]).collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("micrun.conf");
    std::fs::write(&file, keys.join("\n")).unwrap();
    let locations = host_conf::Locations { file, dir: format!("{etc}/conf.d").into(), ..empty() };
    let conf = HostConf::load(&locations).unwrap();
    assert_eq!(conf.warnings(), [""; 0]);
    for key in host_conf::TABLE.iter().filter(|key| matches!(key.target, Target::Policy(_))) {
        assert!(conf.entries().contains_key(key.name), "{}", key.name);
    }
    // As it is shipped, it changes nothing.
    let shipped = host_conf::Locations { file: format!("{etc}/micrun.conf").into(), ..empty() };
    assert!(HostConf::load(&shipped).unwrap().entries().is_empty());
}

fn empty() -> host_conf::Locations {
    host_conf::Locations {
        file: "/nonexistent".into(),
        dir: "/nonexistent".into(),
        extra: None,
        of_container: None,
        body: None,
        environment: std::collections::BTreeMap::new(),
    }
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

fn page(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_page_of_boards_is_what_the_tables_say() {
    assert!(
        page("BOARDS.md") == qemu::page(),
        "docs/BOARDS.md is stale: cargo run -p micrun-firmware --example boards-doc > docs/BOARDS.md"
    );
}

/// Every key that `inspect` and `--print-config` show has a row, in their order, and no other has one.
#[test]
fn the_settings_are_documented() {
    let image = Image::new().elf("firmware.elf", &Elf::default());
    let Firmware { mut settings, .. } = image.resolve().unwrap();
    let page = page("IMAGE_BUILDER.md");
    let (_, table) = page.split_once("### Settings\n").unwrap();
    let (table, _) = table.split_once("\n## ").or(table.split_once("\n### ")).unwrap();
    let mut documented = Vec::new();
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let [_, key, pedestals, ..] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        documented.push((key.trim_matches('`').to_owned(), pedestals.to_owned()));
    }
    for pedestal in Pedestal::ALL {
        settings.pedestal.value = pedestal;
        let shown: Vec<_> = settings.rows().iter().map(|row| row.key.to_owned()).collect();
        let expected = documented
            .iter()
            .filter(|(_, pedestals)| {
                pedestals == "all" || pedestals.split(", ").any(|it| it == pedestal.as_str())
            })
            .map(|(key, _)| key.clone());
        assert_eq!(shown, expected.collect::<Vec<_>>(), "{pedestal}");
    }
}

/// The text of every fenced block of this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = self::page(page);
    let fence = format!("```{language}\n");
    let blocks: Vec<_> =
        text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().into()).collect();
    assert!(!blocks.is_empty());
    blocks
}

#[test]
fn the_examples_of_client_conf_are_valid() {
    for block in blocks("CLIENT_CONF.md", "ini") {
        let conf = ClientConf::parse(&block).unwrap();
        assert_eq!(conf.warnings(), &[] as &[String], "{block}");
        assert_eq!(conf.to_ini().unwrap(), block, "in canonical form");
    }
}

#[test]
fn the_example_of_a_record_is_valid() {
    for block in blocks("LAYER_RECORD.md", "json") {
        let compact: serde_json::Value = serde_json::from_str(&block).unwrap();
        let record = LayerRecord::parse(compact.to_string().as_bytes()).unwrap();
        assert_eq!(record.files().count(), 3);
    }
}

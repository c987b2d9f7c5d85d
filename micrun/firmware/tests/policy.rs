//! The host decides: what micrun.conf allows, and how it refuses the rest.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;

use micrun_firmware::host_conf::{Excess, HostConf, Locations, TABLE, Target};
use micrun_firmware::ini::{Ini, Top};
use micrun_firmware::policy::{ContainerPolicy, DAEMON_FILE, DAEMON_SECTION, Patterns};
use micrun_firmware::{CpuList, Error, Firmware, Origin, Pedestal, Policy, SharedCpus};
use proptest::prelude::*;
use support::image::Image;
use support::{ARM, Elf};

/// The host whose only file is this one.
fn host(conf: &str) -> HostConf {
    load(conf, &[]).unwrap()
}

fn load(conf: &str, environment: &[(&str, &str)]) -> Result<HostConf, Error> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("micrun.conf");
    std::fs::write(&file, conf).unwrap();
    HostConf::load(&Locations {
        file,
        dir: "/nonexistent/conf.d".into(),
        extra: None,
        of_container: None,
        body: None,
        environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
    })
}

fn image(conf: &str) -> Image {
    Image::new().elf("firmware.elf", &Elf::default()).file("client.conf", conf)
}

fn run(host: &HostConf, image: &Image) -> Result<Firmware, Error> {
    Firmware::resolve_on(host, &image.rootfs(), &image.annotations)
}

/// The file's path is another one each time.
fn without_path(text: &str) -> String {
    let words = text
        .split(' ')
        .map(|word| if word.ends_with("/micrun.conf") && !word.starts_with("/etc") { "FILE" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// The words of the policy that refuses the image.
fn refusal(host: &HostConf, image: &Image) -> String {
    match run(host, image).unwrap_err() {
        error @ Error::Policy { .. } => without_path(&error.to_string()),
        other => panic!("not the policy: {other}"),
    }
}

/// The attack: an ELF with a resource table and `CPU=`, and nobody else said a word.
#[test]
fn an_image_alone_chooses_no_physical_core() {
    let core = || {
        Image::new()
            .elf("firmware.elf", &Elf::default().with_resource_table())
            .file("client.conf", "[Mica]\nCPU = 3\n")
    };
    for image in [
        core(),
        image("[Mica]\nPedestal = baremetal\nCPU = 3\n"),
        image("[Micrun]\nped.pedestal = baremetal\n"),
    ] {
        let said = refusal(&HostConf::default(), &image);
        for words in [
            "pedestal baremetal is not allowed on this host",
            "allowed_pedestals, which /etc/mica/micrun/micrun.conf does not set, is qemu by default",
            "set the annotation org.openeuler.micrun.ped.pedestal=baremetal",
        ] {
            assert!(said.contains(words), "{said}");
        }
    }
    let pedestal = |host: &HostConf, image: &Image| run(host, image).map(|it| it.settings.pedestal.value);
    let asked = core().annotation("ped.pedestal", "baremetal");
    assert_eq!(pedestal(&HostConf::default(), &asked).unwrap(), Pedestal::BareMetal);
    let listed = host("allowed_pedestals = qemu baremetal\n");
    assert_eq!(pedestal(&listed, &core()).unwrap(), Pedestal::BareMetal);
    // What the host has written down holds for annotations, too.
    let said = refusal(&host("allowed_pedestals = qemu\n"), &asked);
    assert!(said.contains("allowed_pedestals in FILE is qemu;"), "{said}");
    assert!(refusal(&host("allowed_pedestals = none\n"), &image("")).contains("pedestal qemu"));
}

/// nerdctl before version 2 makes annotations of a container's labels, among which are the image's own.
#[test]
fn a_label_of_the_image_is_no_permission_as_an_annotation() {
    let core = || Image::new().elf("firmware.elf", &Elf::default().with_resource_table());
    let mut labelled = core().annotation("ped.pedestal", "baremetal");
    labelled.annotations.insert("io.containerd.image.config.stop-signal".into(), "SIGTERM".into());
    let said = refusal(&HostConf::default(), &labelled);
    assert!(said.contains("makes annotations of the image's labels"), "{said}");
    let listed = host("allowed_pedestals = qemu, baremetal\n");
    let origin = run(&listed, &labelled).unwrap().settings.pedestal.origin;
    assert_eq!(origin.to_string(), "annotation or label");
}

/// The attack: `container_maxmem=64` and `Memory=2000` ran with 2000, `VCPU=123` ran at all.
#[test]
fn neither_image_nor_annotation_lifts_a_limit() {
    let host = host("container_maxmem = 64\nmax_container_vcpu = 2\n");
    let greedy = "[Mica]\nMemory = 2000\nVCPU = 123\nMaxVCPU = 123\n[Micrun]\n\
                  runtime.max_container_memory = 4000\nruntime.max_container_cpus = 200\n";
    let lifted = image(greedy)
        .annotation("runtime.max_container_memory", "4000")
        .annotation("container.max_vcpu_num", "200")
        .annotation("runtime.max_container_cpus", "200");
    for image in [image(greedy), lifted] {
        let Firmware { settings, warnings, .. } = run(&host, &image).unwrap();
        let values = [settings.memory_mb, settings.vcpu, settings.max_vcpu];
        assert_eq!(values.map(|setting| setting.value), [64, 2, 2]);
        assert!(values.iter().all(|setting| setting.origin == Origin::HostConf));
        for (said, rule) in [
            ("Memory = 2000 and gets 64", "container_maxmem in FILE is 64"),
            ("VCPU = 123 and gets 2", "max_container_vcpu in FILE is 2"),
        ] {
            let told = |it: &String| it.contains(said) && without_path(it).contains(rule);
            assert!(warnings.iter().any(told), "{warnings:?}");
        }
    }
    // An annotation may lower further.
    let lower = image(greedy)
        .annotation("runtime.max_container_memory", "48")
        .annotation("runtime.max_container_cpus", "1");
    let settings = run(&host, &lower).unwrap().settings;
    assert_eq!((settings.memory_mb.value, settings.vcpu.value), (48, 1));
}

#[test]
fn max_vcpu_caps_vcpu_with_and_without_a_host() {
    let image = image("[Mica]\nVCPU = 123\n");
    assert_eq!(image.resolve().unwrap().settings.vcpu.value, 8);
    assert_eq!(run(&HostConf::default(), &image).unwrap().settings.vcpu.value, 8);
    assert_eq!(run(&host("max_container_vcpu = 16\n"), &image).unwrap().settings.vcpu.value, 16);
    let own = image.annotation("container.max_vcpu_num", "3");
    assert_eq!(run(&HostConf::default(), &own).unwrap().settings.vcpu.value, 3);
}

#[test]
fn what_a_limit_leaves_no_room_for_is_refused_by_the_key() {
    let mut elf = Elf::default();
    elf.loads[1].memsz = 100 << 20;
    let large = Image::new().elf("firmware.elf", &elf).file("client.conf", "[Mica]\nMemory = 128\n");
    let host = host("container_maxmem = 64\nmax_firmware_size = 1\n");
    let said = refusal(&host, &large);
    assert!(said.contains("container_maxmem in FILE is 64; use firmware"), "{said}");
    let floor = image("").annotation("container.min_memory_mb", "65");
    let said = refusal(&host, &floor);
    assert!(
        said.contains("container.min_memory_mb of 65 is not allowed") && said.contains("container_maxmem")
    );
    // Soldered memory is memory.
    let mut cortex_m = Elf { bits: 32, machine: ARM, entry: 0x11, ..Elf::default() };
    for (n, load) in cortex_m.loads.iter_mut().enumerate() {
        (load.paddr, load.vaddr) = (n as u64 * 0x1000, n as u64 * 0x1000);
    }
    let board = Image::new()
        .elf("firmware.elf", &cortex_m)
        .file("client.conf", "[Mica]\nPedestal = qemu\n[Qemu]\nMachine = mps2-an385\n");
    assert!(run(&host, &board).is_ok());
    let small = self::host("container_maxmem = 16\n");
    assert!(refusal(&small, &board).contains("the memory in MiB of the board mps2-an385"));
    // A file is refused by its size, whatever is in it.
    let mut padded = Elf::default().bytes();
    padded.resize((1 << 20) + 1, 0);
    let said = refusal(&host, &Image::new().file("firmware.elf", padded));
    assert!(said.contains("more than 1 MiB, is not allowed") && said.contains("max_firmware_size"), "{said}");
}

#[test]
fn only_machines_that_are_known_unless_the_host_lists_others() {
    let conf = |machine: &str, cpu: &str| image(&format!("[Qemu]\nMachine = {machine}\n{cpu}\n"));
    let defaults = HostConf::default();
    for (machine, cpu) in [("virt,secure=on", "CPU = cortex-a53"), ("virt-9.2", ""), ("virt", "")] {
        assert!(run(&defaults, &conf(machine, cpu)).is_ok(), "{machine}");
    }
    let said = refusal(&defaults, &conf("sbsa-ref", ""));
    assert!(said.starts_with("machine \"sbsa-ref\" is not allowed on this host: allowed_machines"), "{said}");
    assert!(said.contains("docs/BOARDS.md"), "{said}");
    assert!(refusal(&defaults, &conf("virt", "CPU = pxa270")).contains("CPU model \"pxa270\""));
    let host = host("allowed_machines = sbsa-*\nallowed_cpus = cortex-a7?\n");
    assert!(run(&host, &conf("sbsa-ref", "CPU = cortex-a72")).is_ok());
    assert!(refusal(&host, &conf("virt", "CPU = cortex-a72")).contains("allowed_machines"));
    assert!(refusal(&host, &conf("sbsa-ref", "CPU = cortex-a720")).contains("allowed_cpus"));
}

#[test]
fn an_annotation_needs_permission_wherever_it_stands() {
    let host = host("allowed_annotations = container.* org.openeuler.micrun.runtime.debug\n");
    let with = |name: &str, value: &str| image("").annotation(name, value);
    for (name, value) in [("container.os", "zephyr"), ("runtime.debug", "true"), ("image.board", "any")] {
        assert!(run(&host, &with(name, value)).is_ok(), "{name}");
    }
    let said = refusal(&host, &with("ped.pedestal", "baremetal"));
    assert!(said.contains("the annotation ped.pedestal") && said.contains("allowed_annotations in FILE"));
    let said = refusal(&host, &image("[Micrun]\nruntime.static_resource = true\n"));
    assert!(said.contains("client.conf, [Micrun]: the key runtime.static_resource"), "{said}");
}

/// A checkpoint's image has the runtime options in it, and an annotation is the pod's: neither is the host's word.
#[test]
fn what_comes_with_a_container_lifts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("own.conf");
    let places = || Locations {
        file: dir.path().join("none"),
        dir: dir.path().join("none.d"),
        extra: None,
        of_container: None,
        body: None,
        environment: [("MICRUN_CONTAINER_MAXMEM".to_owned(), "64".to_owned())].into(),
    };
    let by_annotation = || Locations { of_container: Some(file.clone()), ..places() };
    let by_path = || Locations { extra: Some(file.clone()), ..places() };
    let by_body = |text: &str| Locations { body: Some(text.to_owned()), ..places() };
    std::fs::write(&file, "container_minmem = 32\n").unwrap();
    assert!(HostConf::load(&by_annotation()).is_ok());
    let lowers = ["container_maxmem", "max_container_vcpu", "max_consoles", "max_firmware_size"];
    for key in TABLE.iter().filter(|key| matches!(key.target, Target::Policy(_))) {
        std::fs::write(&file, format!("[Policy]\n{} = 1\n", key.name)).unwrap();
        for locations in [by_annotation(), by_path(), by_body(&format!("{} = '1'\n", key.name))] {
            let read = HostConf::load(&locations);
            if lowers.contains(&key.name) {
                assert_eq!(read.unwrap().entries()[key.name].value, "1");
            } else {
                let said = read.unwrap_err().to_string();
                assert!(said.contains(key.name) && said.contains("it is the host's word"), "{said}");
            }
        }
    }
    let lifted = HostConf::load(&by_body("container_maxmem = 65\nmax_container_vcpu = 9\n")).unwrap();
    let policy = &lifted.policy().firmware;
    assert_eq!((policy.memory_mb.value, policy.vcpus.value), (Some(64), Some(8)));
    // Nor is the file of an annotation read without permission.
    let annotations =
        BTreeMap::from([("org.openeuler.micrun.config_path".to_owned(), "/etc/mica/no/such".to_owned())]);
    let mut strict = places();
    strict.environment = [("MICRUN_ALLOWED_ANNOTATIONS".to_owned(), "container.*".to_owned())].into();
    let said = HostConf::for_container(strict, &annotations).unwrap_err();
    assert!(matches!(said, Error::Policy { .. }), "{said}");
}

#[test]
fn a_rule_that_is_not_understood_is_no_rule_that_does_not_hold() {
    for (key, value, reason) in [
        ("allowed_pedestals", "", "it has no value"),
        ("allowed_machines", "virt,gic-version=3", "\"gic-version=3\" is not a name or a pattern"),
        ("allowed_cpus", "none max", "none stands alone"),
        ("allowed_annotations", ", ,", "the list is empty"),
        ("max_container_vcpu", "-1", "is not a number of 1 or more"),
        ("max_firmware_size", "300", "300 is more than 256"),
        ("allow_restore", "perhaps", "is not a bool"),
        ("require_signature", "true", "is not an absolute path"),
        ("patch_directory", "patches", "is not an absolute path"),
    ] {
        let in_file = load(&format!("{key} = {value}\n"), &[]).unwrap_err().to_string();
        assert!(in_file.contains(key) && in_file.contains(reason), "{in_file}");
        let variable = format!("MICRUN_{}", key.to_uppercase());
        let in_environment = load("", &[(&variable, value)]).unwrap_err().to_string();
        assert!(in_environment.contains(&variable) && in_environment.contains(reason), "{in_environment}");
    }
}

/// Each key of the table is read, and each says what becomes of too much.
#[test]
fn every_key_of_the_policy_does_something() {
    let rules: Vec<_> = TABLE
        .iter()
        .filter_map(|key| match key.target {
            Target::Policy(excess) => Some((key, excess)),
            _ => None,
        })
        .collect();
    assert_eq!(rules.len(), 12);
    assert!([Excess::Capped, Excess::Refused].iter().all(|it| rules.iter().any(|(_, rule)| rule == it)));
    for (key, _) in rules {
        let value = match key.kind {
            "names" => "one",
            "bool" => "true",
            "path" => "/etc/mica/keys.d",
            _ => "7",
        };
        let conf = host(&format!("{} = {value}\n", key.name));
        assert_ne!(conf.policy(), &ContainerPolicy::default(), "{}", key.name);
    }
}

#[test]
fn restoring_is_off_until_the_host_says_so() {
    let said = HostConf::default().policy().check_restore().unwrap_err().to_string();
    assert!(said.contains("allow_restore, which") && said.contains("is false by default"), "{said}");
    let patches =
        |text: &str| host(text).policy().patch_directory().map(ToOwned::to_owned).map_err(|e| e.to_string());
    assert!(patches("").unwrap_err().contains("patch_directory, which"));
    assert_eq!(patches("patch_directory = /srv/patches\n"), Ok("/srv/patches".into()));
    // The annotation that asks for it is one like others.
    let other = patches("patch_directory = /srv/patches\nallowed_annotations = container.os\n").unwrap_err();
    assert!(
        other.contains("the annotation patch is not allowed") && other.contains("allowed_annotations"),
        "{other}"
    );
    assert!(patches("patch_directory = /srv/patches\nallowed_annotations = container.os, patch\n").is_ok());
    // A patch brings no signature.
    let signed = patches("patch_directory = /srv/patches\nrequire_signature = /etc/keys\n");
    assert!(signed.unwrap_err().contains("require_signature in"));
    assert!(host("allow_restore = true\n").policy().check_restore().is_ok());
}

#[test]
fn the_daemons_policy_is_the_same_on_both_sides() {
    let text = "[Policy]\nAllowedPedestals = qemu\nAllowedRemoteprocs = mica-*\nAllowedMachines = virt\n\
                AllowedCpus = none\nMaxMemory = 64\nMaxVcpus = 2\nMaxFirmwareSize = 16\n";
    let mut ini = Ini::parse(text, Top::Refused("Micad")).unwrap();
    let mut section = ini.take(DAEMON_SECTION);
    let mut policy = Policy::of_daemon(DAEMON_FILE);
    policy.read(&mut section, DAEMON_FILE).unwrap();
    assert_eq!(section.unknown(), [""; 0]);
    let text = serde_json::to_string(&policy.to_wire()).unwrap();
    assert_eq!(Policy::from_wire(&serde_json::from_str(&text).unwrap()), policy);
    let said = policy.check_remoteproc("other").unwrap_err().to_string();
    assert!(said.contains("AllowedRemoteprocs in /etc/mica/micad.conf is mica-*"), "{said}");
    assert!(policy.check_remoteproc("").unwrap_err().to_string().contains("name one of these as CPU"));
    assert!(policy.check_remoteproc("mica-cpu3").is_ok());
    let all = Policy::of_daemon(DAEMON_FILE);
    assert!(all.check_remoteproc("").is_ok() && all.pedestals.check("pedestal", "xen").is_ok());
}

#[test]
fn cpus_are_shared_or_exclusive_never_both() {
    let pool = SharedCpus { cpus: "2-3".parse().unwrap(), place: DAEMON_FILE.to_owned() };
    let place = |asked: &str| pool.place(asked).map(|cpus| cpus.to_string());
    for (asked, given) in [("", "2-3"), ("3", "3"), ("2,3", "2-3"), ("0-1", "0-1"), ("1,4-5", "1,4-5")] {
        assert_eq!(place(asked).unwrap(), given, "{asked}");
    }
    for asked in ["1-2", "0-7", "mica-cpu3", "3-2", "0-4294967295", "9000"] {
        let said = place(asked).unwrap_err().to_string();
        assert!(said.contains("SharedCpus in /etc/mica/micad.conf is 2-3; name only CPUs"), "{said}");
    }
}

/// What a pattern means, written without regard to time.
fn oracle(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => (0..=name.len()).any(|skip| oracle(rest, &name[skip..])),
        (Some((first, rest)), Some((byte, others))) => {
            (*first == '?' || first == byte) && oracle(rest, others)
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn patterns_fit_what_the_oracle_says(pattern in "[ab*?]{1,8}", name in "[abc]{0,8}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let list: Patterns = pattern.parse().unwrap();
        prop_assert_eq!(list.allows(&name), oracle(&chars(&pattern), &chars(&name)));
    }

    #[test]
    fn a_list_is_read_back_as_it_is_shown(names in prop::collection::vec("[a-z*?][a-z0-9._-]{0,9}", 1..9),
                                          gap in "[ ,\t]{1,3}") {
        prop_assume!(!names.contains(&"none".to_owned()));
        let list: Patterns = names.join(&gap).parse().unwrap();
        prop_assert_eq!(list.as_slice(), &names[..]);
        prop_assert_eq!(list.to_string().parse::<Patterns>().unwrap(), list);
    }

    #[test]
    fn cpus_are_read_back_as_they_are_shown(cpus in prop::collection::btree_set(0_u32..8192, 1..50)) {
        let text = cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let list: CpuList = text.parse().unwrap();
        prop_assert!(list.iter().eq(cpus.iter().copied()));
        prop_assert_eq!(list.to_string().parse::<CpuList>().unwrap(), list);
    }

    #[test]
    fn no_text_makes_a_list_that_allows_more_than_it_says(text in any::<String>(), name in "[a-z]{1,8}") {
        if let Ok(list) = text.parse::<Patterns>() {
            let said = text.contains(['*', '?']) || text.contains(&name);
            prop_assert!(said || !list.allows(&name));
        }
    }
}

/// A list of stars is not tried again and again.
#[test]
fn a_hostile_pattern_costs_little() {
    let list: Patterns = ("*a".repeat(60) + "b").parse().unwrap();
    assert!(!list.allows(&"a".repeat(100_000)));
}

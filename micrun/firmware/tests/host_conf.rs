//! micrun.conf: files, drop-ins, the environment, and what becomes of them.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use micrun_firmware::host_conf::variables::{Effect, VARIABLES};
use micrun_firmware::host_conf::{HostConf, Locations, TABLE, Target};
use micrun_firmware::{Firmware, Origin};
use support::Elf;
use support::image::Image;

struct Host(tempfile::TempDir);

impl Host {
    fn new(files: &[(&str, &str)]) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(host.path("conf.d")).unwrap();
        for (name, text) in files {
            std::fs::write(host.path(name), text).unwrap();
        }
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn locations(&self, environment: &[(&str, &str)]) -> Locations {
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Locations {
            file: self.path("micrun.conf"),
            dir: self.path("conf.d"),
            extra: None,
            of_container: None,
            body: None,
            environment,
        }
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<HostConf, String> {
        HostConf::load(&self.locations(environment)).map_err(|error| error.to_string())
    }
}

fn value<'a>(conf: &'a HostConf, key: &str) -> &'a str {
    &conf.entries()[key].value
}

#[test]
fn nothing_is_a_configuration_too() {
    let conf = Host::new(&[]).load(&[]).unwrap();
    assert_eq!((conf.entries().len(), conf.warnings().len()), (0, 0));
    assert_eq!((conf.state_dir(), conf.emulator_overhead_mb()), ("/run/micrun".into(), 128));
}

/// A policy that cannot be looked at is not none. Root may look everywhere, so a path that leads nowhere stands for one
/// that is forbidden.
#[test]
fn a_file_that_cannot_be_looked_at_is_an_error() {
    for name in ["micrun.conf", "conf.d/10-a.conf"] {
        let host = Host::new(&[]);
        std::os::unix::fs::symlink(host.path(name), host.path(name)).unwrap();
        let error = host.load(&[]).unwrap_err();
        assert!(error.contains(name) && error.contains("Too many levels"), "{error}");
    }
    let host = Host::new(&[]);
    std::os::unix::fs::symlink("nowhere", host.path("conf.d/10-a.conf")).unwrap();
    host.load(&[]).unwrap();
}

#[test]
fn drop_ins_are_merged_in_the_order_of_their_names_and_the_environment_is_last() {
    let host = Host::new(&[
        ("micrun.conf", "container_minmem = 16\ncontainer_maxmem = 64\n[Xen]\nmax_container_vcpu = 2\n"),
        ("conf.d/20-b.toml", "container_maxmem = 256\n[resource]\nfirmware_path = \"b.elf\"\n"),
        ("conf.d/10-a.conf", "[Mica]\ncontainer_maxmem = 128\nfirmware_path = \"a.elf\"\n"),
        ("conf.d/30-c.txt", "container_maxmem = 512\n"),
    ]);
    let conf = host.load(&[("MICRUN_MAX_CONTAINER_VCPU", "5")]).unwrap();
    let values = ["container_minmem", "container_maxmem", "firmware_path", "max_container_vcpu"];
    assert_eq!(values.map(|key| value(&conf, key)), ["16", "256", "b.elf", "5"]);
    let source = |key: &str| conf.entries()[key].source.to_string();
    assert!(source("container_minmem").ends_with("/micrun.conf"));
    assert!(source("container_maxmem").ends_with("/20-b.toml"));
    assert_eq!(source("max_container_vcpu"), "$MICRUN_MAX_CONTAINER_VCPU");
    assert!(conf.source_of("container.min_memory_mb").unwrap().to_string().ends_with("/micrun.conf"));
    assert_eq!(conf.source_of("container.max_vcpu_num").unwrap().to_string(), "$MICRUN_MAX_CONTAINER_VCPU");
    assert_eq!(conf.source_of("Mica.VCPU"), conf.source_of("container.max_vcpu_num"));
    assert_eq!(conf.source_of("Mica.Memory"), None, "two may have decided");
    assert_eq!(conf.warnings(), &[] as &[String]);
}

#[test]
fn what_is_not_known_gives_the_nearest_and_what_does_nothing_says_why() {
    let host = Host::new(&[("micrun.conf", "container_minmen = 1\nexclusive_dom0_cpu = true\n")]);
    let environment =
        [("MICRUN_STATIC_RESOURCES", "1"), ("MICRUN_XL_WORKAROUND", "1"), ("MICRUN_TEST_X", "1")];
    let conf = host.load(&environment).unwrap();
    let [unknown, xen, variable, upstream] = conf.warnings() else { panic!("{:?}", conf.warnings()) };
    assert!(
        unknown.contains("\"container_minmen\" is not known and is ignored; did you mean container_minmem?")
    );
    assert!(xen.contains("exclusive_dom0_cpu has no effect here: it concerns Xen"), "{xen}");
    assert!(variable.contains("did you mean static_resource?"), "{variable}");
    assert!(upstream.contains("$MICRUN_XL_WORKAROUND has no effect here"), "{upstream}");
}

#[test]
fn a_variable_that_does_something_gives_no_warning() {
    for (name, effect) in VARIABLES {
        let warnings = Host::new(&[]).load(&[(name, "x")]).unwrap().warnings().join(" ");
        match effect {
            Effect::Does(_) => assert_eq!(warnings, ""),
            Effect::None(reason) => assert_eq!(warnings, format!("${name} has no effect here: {reason}")),
        }
    }
    // As the shim reads it for Linux containers.
    let conf = Host::new(&[]).load(&[("MICRUN_LINUX_RUNTIME", "runc")]).unwrap();
    assert_eq!(conf.warnings(), &[] as &[String]);
}

#[test]
fn sections_carry_no_meaning_and_the_later_line_counts() {
    let host = Host::new(&[("micrun.conf", "[Xen]\nstate_dir = /a\n[Mica]\nstate_dir = \"/b\"\n")]);
    assert_eq!(host.load(&[]).unwrap().state_dir(), PathBuf::from("/b"));
}

#[test]
fn a_mistake_in_a_file_is_an_error_and_one_in_the_environment_a_warning() {
    for (file, text, reason) in [
        ("micrun.conf", "\ndebug = perhaps\n", "line 2: debug: \"perhaps\" is not a bool"),
        ("micrun.conf", "\n[x\n", "line 2: "),
        ("micrun.conf", "debug = 1\ndebug = 0\n", "line 2: \"debug = 0\" repeats the key of line 1"),
        ("micrun.conf", "state_dir = run\n", "\"run\" is not an absolute path"),
        ("conf.d/a.toml", "debug = true\nstate_dir = [", "line 2: "),
        ("conf.d/a.toml", "debug = [true]\n", "\"debug\" is not a text, a whole number or a boolean"),
        ("conf.d/a.ini", "emulator_overhead_mb = much\n", "\"much\" is not a number"),
        ("conf.d/a.ini", "log_format = xml\n", "\"xml\" is neither logfmt nor json"),
    ] {
        let error = Host::new(&[(file, text)]).load(&[]).unwrap_err();
        assert!(error.contains(file) && error.contains(reason), "{error}");
    }
    let conf = Host::new(&[]).load(&[("MICRUN_DEBUG", "perhaps")]).unwrap();
    assert!(conf.entries().is_empty() && conf.warnings()[0].contains("$MICRUN_DEBUG is ignored"));
    assert!(!conf.logs_json());
    assert!(Host::new(&[("micrun.conf", "log_format = json\n")]).load(&[]).unwrap().logs_json());
}

#[test]
fn the_environment_names_other_places_and_an_annotation_only_one_below_etc_mica() {
    let host = Host::new(&[("other.conf", "debug = true\n")]);
    let file = host.path("other.conf").display().to_string();
    let environment =
        [("MICRUN_CONF_FILE".to_owned(), file.clone()), ("HOME".to_owned(), "/root".to_owned())];
    let locations = Locations::from_env(environment);
    assert_eq!(value(&HostConf::load(&locations).unwrap(), "debug"), "true");
    let error = locations.clone().with_config_path(&file).unwrap_err().to_string();
    assert!(error.contains("below /etc/mica"), "{error}");
    assert!(locations.with_config_path("/etc/mica/no/such/file").is_err());
}

#[test]
fn an_annotation_then_client_conf_then_micrun_conf_then_the_default() {
    let host = Host::new(&[(
        "micrun.conf",
        "container_minmem = 100\nmax_container_vcpu = 4\nstatic_resource = true\nfirmware_path = other.elf\n",
    )]);
    let conf = host.load(&[]).unwrap();
    let image = Image::new()
        .elf("firmware.elf", &Elf::default())
        .elf("other.elf", &Elf::default())
        .file("client.conf", "[Mica]\nMaxVCPU = 3\n");
    let mut annotations = BTreeMap::new();
    let firmware = Firmware::resolve_on(&conf, &image.rootfs(), &annotations).unwrap();
    let settings = firmware.settings;
    assert_eq!((settings.memory_mb.value, settings.memory_mb.origin), (100, Origin::HostConf));
    assert_eq!((settings.max_vcpu.value, settings.max_vcpu.origin), (3, Origin::ClientConf));
    assert!(settings.static_resource.value && settings.static_resource.origin == Origin::HostConf);
    assert_eq!(firmware.file.path, PathBuf::from("/other.elf"));

    annotations.insert("org.openeuler.micrun.container.min_memory_mb".to_owned(), "70".to_owned());
    annotations.insert("org.openeuler.micrun.container.firmware_path".to_owned(), "firmware.elf".to_owned());
    let firmware = Firmware::resolve_on(&conf, &image.rootfs(), &annotations).unwrap();
    let memory = firmware.settings.memory_mb;
    assert_eq!((memory.value, memory.origin), (70, Origin::Annotation));
    assert_eq!(firmware.file.path, PathBuf::from("/firmware.elf"));
}

/// upstream-micrun 3.8: a host configured for upstream's shim uses no key that we do not know.
#[test]
fn all_keys_of_upstream_are_known() {
    for name in [
        "static_resource",
        "debug",
        "state_dir",
        "pause_image",
        "max_container_vcpu",
        "sandbox_minimum_vcpu",
        "hugepage_enable",
        "exclusive_dom0_cpu",
        "container_minmem",
        "container_maxmem",
        "firmware_path",
        "shared_cpu_pool",
        "max_client_number",
        "image_path",
        "aux_file_path",
        "enable_host_container",
        "hugepage_support",
        "static_resource_management",
    ] {
        assert!(TABLE.iter().any(|key| key.name == name), "{name}");
    }
    let overhead = TABLE.iter().find(|key| key.name == "emulator_overhead_mb").unwrap();
    assert_eq!(overhead.target, Target::Shim);
}

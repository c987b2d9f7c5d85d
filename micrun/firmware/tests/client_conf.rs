//! client.conf: reading, refusing, writing.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use micrun_firmware::client_conf::{ClientConf, MicaSection, QemuSection};
use micrun_firmware::{Os, Pedestal};
use proptest::prelude::*;

/// Every key of upstream's conf files, in their style.
const FULL: &str = "\
# a client
[Mica]
Name=qemu-zephyr-rproc
CPU = 3
ClientPath : /lib/firmware/zephyr.elf
pedestal = xen
PEDESTALCONF = /lib/firmware/zephyr.bin
VCPU = 1
MaxVCPU = 2
CPUWeight = 256
CPUCapacity = 50
Memory = 512
MaxMemory = -1
IOMem = 0xfd580,1@0xfd580 # not a comment
Network = type=vif, mac=00:16:3e:00:00:01; also none
AutoBoot=yes
Debug = OFF
";

fn parse(text: &str) -> ClientConf {
    ClientConf::parse(text).unwrap()
}

fn error(text: &str) -> String {
    ClientConf::parse(text).unwrap_err().to_string()
}

#[test]
fn reads_every_key() {
    let conf = parse(FULL);
    let text = |text: &str| Some(text.to_owned());
    let mica = MicaSection {
        name: text("qemu-zephyr-rproc"),
        client_path: text("/lib/firmware/zephyr.elf"),
        pedestal: Some(Pedestal::Xen),
        pedestal_conf: text("/lib/firmware/zephyr.bin"),
        cpu: text("3"),
        vcpu: Some(1),
        max_vcpu: Some(2),
        cpu_weight: Some(256),
        cpu_capacity: Some(50),
        memory: Some(512),
        max_memory: None,
        iomem: text("0xfd580,1@0xfd580 # not a comment"),
        network: text("type=vif, mac=00:16:3e:00:00:01; also none"),
        debug: Some(false),
        auto_boot: Some(true),
    };
    assert_eq!(conf.mica, mica);
    assert_eq!((conf.warnings(), conf.memory()), (&[][..], Some(512)));
    assert!(conf.describes_client());
}

#[test]
fn reads_our_sections() {
    let conf = parse(
        "[Qemu]\nMachine = virt,gic-version=3,virtualization=on\nCPU = cortex-a53\nMemory = 32\n\
         [Micrun]\ncontainer.os = freertos\n",
    );
    assert_eq!(conf.qemu.machine.as_ref().unwrap().to_string(), "virt,gic-version=3,virtualization=on");
    assert_eq!(conf.qemu.machine.as_ref().unwrap().name(), "virt");
    assert_eq!(conf.qemu.cpu.as_ref().unwrap().as_str(), "cortex-a53");
    assert_eq!(conf.memory(), Some(32));
    assert_eq!(conf.annotations().unwrap().os, Some(Os::FreeRtos));
    assert!(!conf.describes_client());
    assert_eq!(
        error("[Micrun]\ncontainer.os = My OS\n").split(':').next().unwrap(),
        "annotation org.openeuler.micrun.container.os"
    );
}

#[test]
fn an_empty_file_says_nothing() {
    assert_eq!(parse(""), ClientConf::default());
    assert_eq!(parse("[Mica]\nName =\nMemory = -1\n"), ClientConf::default());
    assert_eq!(parse("").to_ini().unwrap(), "");
    let missing = parse("").name().unwrap_err().to_string();
    assert_eq!(missing, "client.conf, [Mica]: Name is missing; add a line Name=VALUE");
}

#[test]
fn unknown_keys_and_sections_are_told() {
    let conf =
        parse("[Mica]\nMemroy = 5\n[Micar]\na = b\n[Micrun]\ncontainer.oss = zephyr\n[Qemu]\nqqq = 1\n");
    let warnings = conf.warnings().join("\n");
    for expected in [
        "[Mica]: the key \"memroy\" is not known and is ignored; did you mean Memory?",
        "the section \"micar\" is not known and is ignored; did you mean Mica?",
        "annotation \"org.openeuler.micrun.container.oss\" is not known and has no effect; did you mean container.os?",
        "[Qemu]: the key \"qqq\" is not known and is ignored",
    ] {
        assert!(warnings.contains(expected), "{warnings}");
    }
    assert_eq!(conf.warnings().len(), 4);
}

#[test]
fn syntax_errors_name_the_line() {
    for (text, expected) in [
        ("Name = a\n", "line 1: \"Name = a\" comes before any section"),
        ("[Mica\nName = a\n", "line 1: \"[Mica\" begins a section"),
        ("[Mica]\n\nName\n", "line 3: \"Name\" is not KEY=VALUE"),
        ("[Mica]\nIOMem = a,\n    b\n", "line 3: \"b\" is not KEY=VALUE; write a value on one line"),
        ("[Mica]\n= a\n", "line 2: \"= a\" has no key"),
        ("[Mica]\nName=a\n[Qemu]\n[Mica]\nNAME : b\n", "line 5: \"NAME : b\" repeats the key of line 2"),
        ("[Mica]\nName = a\x1b[31m\n", "line 2: \"Name = a\\u{1b}[31m\" has a control character"),
    ] {
        let error = error(text);
        assert!(error.starts_with(&format!("client.conf, {expected}")), "{error}");
    }
    let large = format!("[Mica]\n{}", "#\n".repeat(40_000));
    assert!(error(&large).contains("more than the 65536 allowed"));
}

#[test]
fn values_are_checked() {
    let long = "n".repeat(66);
    let path = "p".repeat(256);
    for (line, expected) in [
        (
            format!("Name={long}").as_str(),
            "Name: the client name is 66 bytes long, but the mica protocol has room for 65",
        ),
        ("Name=two words", "Name: client name \"two words\" cannot be used: only visible ASCII characters"),
        ("Name=é", "Name: client name \"é\" cannot be used: only visible ASCII characters"),
        ("Name=MICA-FAILED", "Name: client name \"MICA-FAILED\" cannot be used: it contains the marker"),
        ("Name=../x", "Name: client name \"../x\" cannot be used: only visible ASCII characters except `/`"),
        (
            "Name=mica-create",
            "Name: client name \"mica-create\" cannot be used: it is the name of the daemon's own",
        ),
        (&format!("ClientPath={path}"), "ClientPath: it has 256 bytes, but at most 255 fit"),
        (
            "Pedestal=quemu",
            "Pedestal: unknown pedestal \"quemu\" (known: baremetal, qemu, xen, jailhouse, hetero); did you mean qemu?",
        ),
        ("VCPU=0", "VCPU: 0 is not between 1 and"),
        ("VCPU=-2", "VCPU: -2 is not between 1 and"),
        ("CPUWeight=65536", "CPUWeight: 65536 is not between 1 and 65535"),
        ("Memory=64M", "Memory: \"64M\" is not a whole number"),
        ("Memory=99999999999", "Memory: 99999999999 is not between 1 and 2147483647"),
        ("Debug=maybe", "Debug: \"maybe\" is neither yes nor no"),
    ] {
        let error = error(&format!("[Mica]\n{line}\n"));
        assert!(error.starts_with(&format!("client.conf, line 2: [Mica] {expected}")), "{error}");
    }
}

#[test]
fn nothing_but_a_machine_reaches_qemu() {
    for (line, expected) in [
        ("Machine=virt,accel=kvm", "the machine option \"accel\" is not allowed"),
        (
            "Machine=virt,gic_version=3",
            "is not allowed (allowed: gic-version, virtualization, secure, highmem, its, mte); did you mean gic-version?",
        ),
        ("Machine=virt,dumpdtb=/etc/passwd", "the machine option \"dumpdtb\" is not allowed"),
        ("Machine=virt,secure=on,secure=off", "secure is set twice"),
        ("Machine=virt,its=1", "its=\"1\" is not allowed; write on or off"),
        ("Machine=virt,gic-version=host", "write 2, 3, 4 or max"),
        ("Machine=virt,", "the machine option \"\" is not NAME=VALUE"),
        ("Machine=,secure=on", "\"\" is not a name of a QEMU machine"),
        ("Machine=-virt", "\"-virt\" is not a name of a QEMU machine"),
        ("Machine=help", "\"help\" is not a name of a QEMU machine"),
        ("Machine=virt -monitor stdio", "is not a name of a QEMU machine"),
        ("CPU=cortex-a53,pmu=off", "is not a name of a QEMU CPU"),
        ("CPU=?", "is not a name of a QEMU CPU"),
    ] {
        let error = error(&format!("[Qemu]\n{line}\n"));
        assert!(error.starts_with("client.conf, line 2: [Qemu] ") && error.contains(expected), "{error}");
    }
}

#[test]
fn writing_refuses_what_would_not_be_read_back() {
    for name in ["a\nMemory = 5", " a", "", &"n".repeat(66), "a\r"] {
        let mut conf = ClientConf::default();
        conf.mica.name = Some(name.to_owned());
        let error = conf.to_ini().unwrap_err().to_string();
        assert!(error.contains("Name"), "{name:?}: {error}");
    }
    let mut conf = ClientConf::default();
    conf.micrun.insert("Container.OS".into(), "zephyr".into());
    assert!(conf.to_ini().is_err());
}

#[test]
fn writing_is_canonical() {
    let mut conf = ClientConf::default();
    conf.mica = MicaSection {
        name: Some("demo".into()),
        client_path: Some("/firmware.elf".into()),
        pedestal: Some(Pedestal::Qemu),
        memory: Some(64),
        auto_boot: Some(false),
        ..MicaSection::default()
    };
    conf.qemu.machine = Some("virt,gic-version=3".parse().unwrap());
    conf.micrun.insert("container.os".into(), "freertos".into());
    assert_eq!(
        conf.to_ini().unwrap(),
        "[Mica]\nName = demo\nClientPath = /firmware.elf\nPedestal = qemu\nMemory = 64\nAutoBoot = no\n\n\
         [Qemu]\nMachine = virt,gic-version=3\n\n[Micrun]\ncontainer.os = freertos\n"
    );
}

/// Python's configparser, which reads these files upstream, sees the values that we see.
#[test]
fn agrees_with_pythons_configparser() {
    const SCRIPT: &str = "\
import configparser, sys
ini = configparser.RawConfigParser()
ini.read_string(sys.stdin.read())
for section in ini.sections():
    for key, value in ini.items(section):
        print(section, key, value, sep='\\t')
";
    let python =
        Command::new("python3").args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut python) = python else {
        eprintln!("SKIPPED: python3 is missing");
        return;
    };
    python.stdin.take().unwrap().write_all(FULL.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), 15);
    let written = parse(FULL).to_ini().unwrap();
    for line in lines.lines() {
        let [_, key, value] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let ours = written.lines().find_map(|l| l.split_once(" = ").filter(|(k, _)| k.to_lowercase() == key));
        match (key, ours) {
            ("maxmemory", ours) => assert_eq!(ours, None, "-1 is not set"),
            ("debug", ours) => assert_eq!(ours.unwrap().1, "no"),
            (_, ours) => assert_eq!(ours.unwrap().1, value, "{key}"),
        }
    }
}

fn text() -> impl Strategy<Value = Option<String>> {
    // Anything printable that does not begin or end with a blank.
    prop::option::of("[!-~é](?:[ -~é]{0,20}[!-~é])?")
}

prop_compose! {
    fn mica()(
        name in prop::option::of("[A-Za-z0-9_-]{1,65}"),
        texts in prop::array::uniform5(text()),
        pedestal in prop::option::of(prop::sample::select(Pedestal::ALL.to_vec())),
        numbers in prop::array::uniform5(prop::option::of(1u32..65536)),
        cpu_capacity in prop::option::of(0u32..2000),
        flags in prop::array::uniform2(prop::option::of(any::<bool>())),
    ) -> MicaSection {
        let [client_path, pedestal_conf, cpu, iomem, network] = texts;
        let [vcpu, max_vcpu, cpu_weight, memory, max_memory] = numbers;
        let [debug, auto_boot] = flags;
        MicaSection {
            name, client_path, pedestal, pedestal_conf, cpu, vcpu, max_vcpu, cpu_weight, cpu_capacity,
            memory, max_memory, iomem, network, debug, auto_boot,
        }
    }
}

prop_compose! {
    fn qemu()(
        name in "[a-z0-9][a-z0-9._-]{0,20}".prop_filter("a command", |name| name != "help"),
        gic in prop::option::of(prop::sample::select(vec!["2", "3", "4", "max"])),
        secure in prop::option::of(prop::sample::select(vec!["on", "off"])),
        memory in prop::option::of(1u32..100_000),
        consoles in prop::option::of(1u32..=2),
        console_port in prop::option::of(1u32..=2),
        bios in prop::option::of(prop::sample::select(vec!["default", "none", "/opt/sbi.bin"])),
        devices in prop::option::of(prop::sample::select(vec!["virtio-rng-device", "virtio-net-device,virtio-rng-device"])),
        append in prop::option::of("[!-~]([ -~]{0,40}[!-~])?"),
    ) -> QemuSection {
        let options = [gic.map(|v| format!(",gic-version={v}")), secure.map(|v| format!(",secure={v}"))];
        let machine = format!("{name}{}", options.into_iter().flatten().collect::<String>());
        let cpu = Some(name.parse().unwrap());
        let machine = Some(machine.parse().unwrap());
        let bios = bios.map(|bios| bios.parse().unwrap());
        let devices = devices.map(|devices| devices.parse().unwrap());
        QemuSection { machine, cpu, memory, bios, devices, consoles, console_port, append }
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = ClientConf::parse(&text);
    }

    #[test]
    fn near_misses_never_panic(
        lines in prop::collection::vec("(\\[(Mica|Qemu|Micrun|x)\\]|[ \\t]?(Name|CPU|Machine|Memory|container\\.os|k)? ?[=:]? ?[-a-z0-9,=#;\\[\\]]{0,12})", 0..12),
    ) {
        let text = lines.join("\n");
        if let Ok(conf) = ClientConf::parse(&text) {
            prop_assert_eq!(ClientConf::parse(&conf.to_ini().unwrap()).unwrap().mica, conf.mica);
        }
    }

    #[test]
    fn what_is_written_is_read_back(mica in mica(), qemu in qemu()) {
        let mut conf = ClientConf::default();
        (conf.mica, conf.qemu) = (mica, qemu);
        conf.micrun.insert("container.os".into(), "zephyr".into());
        let back = ClientConf::parse(&conf.to_ini().unwrap()).unwrap();
        prop_assert_eq!(back, conf);
    }
}

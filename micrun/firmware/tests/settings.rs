//! What applies to a firmware: precedence, and checks that depend on it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use micrun_firmware::annotations::Ready;
use micrun_firmware::qemu::MEMORY_MB;
use micrun_firmware::{Delivery, Error, Origin, Os, Pedestal, Setting, Settings};
use support::image::Image;
use support::{ARM, Elf};

fn image(conf: &str) -> Image {
    Image::new().elf("firmware.elf", &Elf::default()).file("client.conf", conf)
}

fn settings(image: &Image) -> Settings {
    image.resolve().unwrap().settings
}

fn from<T>(origin: Origin, value: T) -> Setting<T> {
    Setting { value, origin }
}

#[test]
fn defaults() {
    let settings = settings(&image(""));
    assert_eq!(settings.os, from(Origin::Default, Os::UniProton));
    assert_eq!(settings.pedestal, from(Origin::Elf, Pedestal::Qemu));
    assert_eq!(settings.memory_mb, from(Origin::Default, MEMORY_MB));
    assert_eq!((settings.vcpu.value, settings.max_vcpu.value), (1, 8));
    assert_eq!(settings.auto_close, from(Origin::Default, None));
    assert!(!settings.debug.value);
    assert_eq!(settings.qemu_machine, from(Origin::Default, "virt,gic-version=3".parse().unwrap()));
    assert_eq!(settings.qemu_cpu, from(Origin::Default, "cortex-a53".parse().ok()));
}

/// The settings that are shown, as texts.
fn rows(settings: &Settings) -> Vec<(&'static str, String)> {
    settings.rows().iter().map(|row| (row.key, row.text())).collect()
}

#[test]
fn only_what_has_a_meaning_on_the_pedestal_is_shown() {
    let shown = |settings: &Settings| rows(settings).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    let image = image("[Mica]\nPedestal = qemu\n[Qemu]\nMachine = virt,secure=on\n");
    let mut settings = settings(&image);
    let everywhere = [
        "container.auto_close_timeout",
        "container.console",
        "container.coredump",
        "container.greeting",
        "container.ready",
        "container.ready_timeout",
        "container.shell_prompt",
        "container.stderr",
        "container.stop_command",
        "container.stop_timeout",
        "container.watchdog",
        "runtime.debug",
        "runtime.static_resource",
    ];
    let with = |own: &[&'static str]| [&["container.os", "ped.pedestal"], own, &everywhere].concat();
    assert_eq!(
        shown(&settings),
        with(&["Mica.Memory", "Mica.VCPU", "Qemu.Machine", "Qemu.CPU", "container.trace_context"])
    );
    let text = |key| rows(&settings).into_iter().find(|row| row.0 == key).unwrap().1;
    assert_eq!(text("Qemu.Machine"), "virt,secure=on,gic-version=3");
    assert_eq!((text("Qemu.CPU").as_str(), text("Mica.Memory").as_str()), ("cortex-a53", "64"));
    assert_eq!(
        (text("container.auto_close_timeout").as_str(), text("runtime.debug").as_str()),
        ("never", "false")
    );
    settings.pedestal.value = Pedestal::Xen;
    assert_eq!(shown(&settings), with(&["Mica.Memory", "Mica.VCPU", "container.max_vcpu_num"]));
    for pedestal in [Pedestal::BareMetal, Pedestal::Jailhouse, Pedestal::Hetero] {
        settings.pedestal.value = pedestal;
        assert_eq!(shown(&settings), with(&[]), "{pedestal}");
    }
}

#[test]
fn a_board_has_its_own_memory_and_processor() {
    // Whatever anybody says: what is soldered is soldered.
    let settings = settings(&image("[Mica]\nMemory = 64\n[Qemu]\nMachine = raspi4b\n"));
    let rows = rows(&settings);
    for row in [("Mica.Memory", "the board's"), ("Qemu.Machine", "raspi4b"), ("Qemu.CPU", "the machine's")] {
        assert!(rows.contains(&(row.0, row.1.to_owned())), "{rows:?}");
    }
}

#[test]
fn annotation_then_client_conf_then_default() {
    let conf = "[Mica]\nMemory = 128\nMaxVCPU = 4\nPedestal = xen\n[Micrun]\ncontainer.os = freertos\n\
                ped.pedestal = qemu\ncontainer.max_vcpu_num = 3\n";
    let image = image(conf);
    let by_conf = settings(&image);
    assert_eq!(by_conf.os, from(Origin::ClientConf, Os::FreeRtos));
    assert_eq!(by_conf.pedestal, from(Origin::ClientConf, Pedestal::Qemu));
    assert_eq!(by_conf.memory_mb, from(Origin::ClientConf, 128));
    assert_eq!(by_conf.max_vcpu, from(Origin::ClientConf, 3));
    let image = image.annotation("container.os", "zephyr").annotation("container.max_vcpu_num", "2");
    let by_annotation = settings(&image);
    assert_eq!(by_annotation.os, from(Origin::Annotation, Os::Zephyr));
    assert_eq!(by_annotation.max_vcpu, from(Origin::Annotation, 2));
    assert_eq!(by_annotation.memory_mb, from(Origin::ClientConf, 128));
}

#[test]
fn memory_keeps_to_floor_and_ceiling() {
    for (floor, ceiling, expected) in [
        (Some("32"), None, from(Origin::ClientConf, 64)),
        (Some("96"), None, from(Origin::Annotation, 96)),
        (None, Some("48"), from(Origin::Annotation, 48)),
        (None, Some("96"), from(Origin::ClientConf, 64)),
        (Some("48"), Some("48"), from(Origin::Annotation, 48)),
    ] {
        let mut image = image("[Qemu]\nMemory = 64\n");
        if let Some(floor) = floor {
            image = image.annotation("container.min_memory_mb", floor);
        }
        if let Some(ceiling) = ceiling {
            image = image.annotation("runtime.max_container_memory", ceiling);
        }
        assert_eq!(settings(&image).memory_mb, expected, "{floor:?} {ceiling:?}");
    }
    let contradiction = image("")
        .annotation("container.min_memory_mb", "64")
        .annotation("runtime.max_container_memory", "32")
        .error();
    assert!(contradiction.to_string().contains("64 MiB is more than runtime.max_container_memory allows"));
}

#[test]
fn cpus_keep_to_the_ceiling() {
    let image = image("[Mica]\nVCPU = 4\n");
    assert_eq!(settings(&image).vcpu, from(Origin::ClientConf, 4));
    let image = image.annotation("runtime.max_container_cpus", "2");
    assert_eq!(settings(&image).vcpu, from(Origin::Annotation, 2));
}

#[test]
fn auto_close_is_off_unless_asked_for() {
    let seconds = |n| Some(Duration::from_secs(n));
    for (switch, timeout, expected) in [
        (Some("true"), None, seconds(30)),
        (Some("false"), None, None),
        (Some("60"), None, None),
        (None, Some("5"), seconds(5)),
        (None, Some("0"), None),
        (Some("true"), Some("0"), None),
        (Some("false"), Some("1m"), seconds(60)),
        (None, Some("-1s"), seconds(30)),
    ] {
        let mut image = image("");
        if let Some(switch) = switch {
            image = image.annotation("container.auto_close", switch);
        }
        if let Some(timeout) = timeout {
            image = image.annotation("container.auto_close_timeout", timeout);
        }
        assert_eq!(settings(&image).auto_close.value, expected, "{switch:?} {timeout:?}");
    }
    // A switch of the specification beats a time of the image.
    let conf = "[Micrun]\ncontainer.auto_close_timeout = 5s\n";
    assert_eq!(settings(&image(conf)).auto_close, from(Origin::ClientConf, seconds(5)));
    let off = settings(&image(conf).annotation("container.auto_close", "false"));
    assert_eq!(off.auto_close, from(Origin::Annotation, None));
}

#[test]
fn a_resource_table_means_baremetal_unless_something_is_said() {
    let table = || Image::new().elf("firmware.elf", &Elf::default().with_resource_table());
    assert_eq!(settings(&table()).pedestal, from(Origin::Elf, Pedestal::BareMetal));
    let qemu = settings(&table().annotation("ped.pedestal", "qemu"));
    assert_eq!(qemu.pedestal, from(Origin::Annotation, Pedestal::Qemu));
    let hetero = image("[Mica]\nPedestal = hetero\nPedestalConf = x\n").error().to_string();
    assert!(hetero.starts_with("/firmware.elf: there is no .resource_table section"), "{hetero}");
    // Whether a core needs one is up to the board's driver.
    assert_eq!(settings(&image("[Mica]\nPedestal = baremetal\n")).pedestal.value, Pedestal::BareMetal);
}

#[test]
fn segments_are_compared_with_the_memory_that_applies() {
    let mut elf = Elf::default();
    elf.loads[1].memsz = 100 << 20;
    let image = |conf: &str| Image::new().elf("firmware.elf", &elf).file("client.conf", conf);
    let error = image("").error().to_string();
    assert!(error.contains("gets 67108864; raise Memory in client.conf to 101"), "{error}");
    let firmware = image("[Mica]\nMemory = 128\n").resolve().unwrap();
    let mut limited = firmware.settings.clone();
    limited.memory_mb.value = 64;
    assert!(matches!(limited.check(&firmware.elf), Err(Error::Elf { .. })));
    // A Cortex-M's flash begins at 0.
    let mut cortex_m = Elf { bits: 32, machine: ARM, entry: 0x11, ..Elf::default() };
    for (n, load) in cortex_m.loads.iter_mut().enumerate() {
        (load.paddr, load.vaddr) = (n as u64 * 0x1000, n as u64 * 0x1000);
    }
    let at_zero = |conf| Image::new().elf("firmware.elf", &cortex_m).file("client.conf", conf).resolve();
    let board = at_zero("[Qemu]\nMachine = mps2-an385\n").unwrap();
    assert_eq!(board.settings.memory_mb, from(Origin::Default, 0), "the board's own");
    assert!(at_zero("").unwrap_err().to_string().contains("is not in the memory of the machine"));
}

#[test]
fn pedestals_with_a_second_file_get_it() {
    let xen = || image("[Mica]\nPedestal = xen\n");
    assert!(xen().error().to_string().starts_with("firmware file not found: image.bin (Xen's guest kernel"));
    let found = |image: Image| image.resolve().unwrap().pedestal_file.unwrap().path;
    assert_eq!(found(xen().file("image.bin", "x")).to_str(), Some("/image.bin"));
    assert_eq!(found(xen().file("k", "x").annotation("ped.conf", "/k")).to_str(), Some("/k"));
    let conf = "[Mica]\nPedestal = xen\nPedestalConf = /boot/k\n";
    assert_eq!(found(image(conf).file("boot/k", "x")).to_str(), Some("/boot/k"));
    let escape = xen().annotation("ped.conf", "../outside.elf").error();
    assert!(matches!(escape, Error::Escape { .. }));
    let jailhouse = image("[Mica]\nPedestal = jailhouse\n").error().to_string();
    assert_eq!(jailhouse, "client.conf, [Mica]: PedestalConf is missing; add a line PedestalConf=VALUE");
    assert!(image("").resolve().unwrap().pedestal_file.is_none());
    let doubts = |image: Image| image.resolve().unwrap().warnings;
    let kernel = [[0; 0x38].as_slice(), b"ARM\x64"].concat();
    assert!(doubts(xen().file("image.bin", kernel)).is_empty());
    assert!(
        doubts(xen().file("image.bin", "\x7fELF"))[0]
            .starts_with("/image.bin will not do for the pedestal xen")
    );
    let cell =
        |bytes: &str| doubts(image("[Mica]\nPedestal = jailhouse\nPedestalConf = c\n").file("c", bytes));
    assert!(cell("JHCELL").is_empty() && cell("JHCLL\u{2}").is_empty());
    assert!(cell("JHSYS\u{2}")[0].contains("system configuration") && cell("")[0].contains("it is empty"));
}

#[test]
fn warnings_of_all_layers_are_told() {
    let image = image("[Mica]\nMemroy = 1\n").annotation("container.oss", "zephyr");
    let warnings = image.resolve().unwrap().warnings;
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].contains("container.oss") && warnings[1].contains("memroy"), "{warnings:?}");
}

#[test]
fn readiness() {
    let defaults = settings(&image(""));
    assert_eq!(defaults.ready, from(Origin::Default, None));
    assert_eq!(defaults.ready_timeout, from(Origin::Default, Some(Duration::from_secs(10))));
    let image = image("[Micrun]\ncontainer.ready = console:up\ncontainer.ready_timeout = 0\n");
    let said = settings(&image);
    assert_eq!(said.ready, from(Origin::ClientConf, Some(Ready::Console("up".into()))));
    assert_eq!(said.ready_timeout, from(Origin::ClientConf, None));
    assert!(rows(&said).contains(&("container.ready", "console:up".into())));
    let error = image.annotation("container.ready", "endpoint:rpmsg-tty").error();
    assert!(error.to_string().contains("announces no endpoints"), "{error}");
}

#[test]
fn streams() {
    let defaults = settings(&image(""));
    assert_eq!(defaults.console, from(Origin::Default, Delivery::Lossless));
    assert_eq!(defaults.stderr, from(Origin::Default, None));
    let conf = "[Micrun]\ncontainer.console = lossy\ncontainer.stderr = rpmsg-tty1\n";
    let said = settings(&image(conf));
    assert_eq!(said.console, from(Origin::ClientConf, Delivery::Lossy));
    assert!(rows(&said).contains(&("container.stderr", "rpmsg-tty1".into())));
    let lossless = settings(&image(conf).annotation("container.console", "lossless"));
    assert_eq!(lossless.console, from(Origin::Annotation, Delivery::Lossless));
    let error = image(conf).annotation("container.stderr", "trace0").error();
    assert!(error.to_string().contains("has no stream trace0; write rpmsg-tty1"), "{error}");
    let core = "[Mica]\nPedestal = baremetal\n[Micrun]\ncontainer.stderr = trace0\n";
    assert_eq!(
        rows(&settings(&image(core))).iter().find(|row| row.0 == "container.stderr").unwrap().1,
        "trace0"
    );
}

#[test]
fn zephyr_on_a_core_is_greeted() {
    let greeting = |conf: &str, pedestal| {
        let image = image(&format!("[Mica]\nPedestal = {pedestal}\n[Micrun]\n{conf}"));
        settings(&image).greeting.value.bytes().to_vec()
    };
    assert_eq!(greeting("container.os = zephyr\n", "baremetal"), b"\0");
    assert_eq!(greeting("container.os = zephyr\n", "qemu"), b"");
    assert_eq!(greeting("container.os = freertos\n", "baremetal"), b"");
    assert_eq!(greeting("container.os = zephyr\ncontainer.greeting = \\r\n", "baremetal"), b"\r");
}

#[test]
fn only_machines_with_a_power_button_are_asked_by_it() {
    let button = "[Micrun]\ncontainer.stop_command = button\n";
    let refusal = |conf: &str| image(&format!("{conf}{button}")).resolve().err().map(|e| e.to_string());
    assert_eq!(refusal("[Mica]\nPedestal = qemu\n"), None);
    for (conf, words) in [
        ("[Mica]\nPedestal = qemu\n[Qemu]\nMachine = raspi4b\n", "the machine raspi4b has no power button"),
        ("[Mica]\nPedestal = baremetal\n", "a core has no power button"),
        ("[Mica]\nPedestal = hetero\nPedestalConf = x\n", "nothing asks firmware on the hetero pedestal"),
    ] {
        let refused = refusal(conf).unwrap();
        assert!(refused.contains(words), "{refused}");
    }
}

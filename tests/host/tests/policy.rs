//! The host decides: what micrun.conf and micad.conf say stands above image and container.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::process::Command;

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::firmware::{self, PROMPT};
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::micad::mica;
use micrun_host_tests::system::Process;
use micrun_host_tests::{Host, isolation, process};

const OWN: &str = "localhost/policy:1";
const EMULATOR: &str = "qemu-system-aarch64";

/// An image of the demo with this client.conf.
fn demo_with(conf: &str) -> Image {
    Image::new(OWN, &["/firmware.elf"])
        .file("client.conf", conf.as_bytes())
        .file("firmware.elf", &firmware::demo_bytes())
}

/// The arguments of the only emulator.
fn emulator() -> Vec<String> {
    let pid = Process::running(EMULATOR)[0].id();
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("it runs");
    line.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn an_image_alone_gets_no_physical_core() {
    let host = Host::configured("", "");
    let elf = fs::read(isolation::workspace().join("build/firmware/freertos-spare-core.elf"));
    let image = Image::new(OWN, &["/firmware.elf"])
        .file("client.conf", b"[Mica]\nCPU = 3\n")
        .file("firmware.elf", &elf.expect("make firmware has built it"));
    host.import_image(image);
    let key = "allowed_pedestals, which /etc/mica/micrun/micrun.conf does not set";
    host.assert_refused(OWN, &[], &["pedestal baremetal is not allowed on this host", key]);
    // Asked for by the container, it comes as far as the daemon, which has no core here.
    let asked = "org.openeuler.micrun.ped.pedestal=baremetal";
    host.assert_refused(OWN, &["--annotation", asked], &["there is no remoteproc"]);
}

#[test]
fn an_image_lifts_no_limit_of_the_host() {
    let host =
        Host::configured("[Policy]\ncontainer_maxmem = 64\nmax_container_vcpu = 2\nmax_consoles = 1\n", "");
    host.import_image(demo_with(
        "[Mica]\nMemory = 2000\nVCPU = 123\nMaxVCPU = 123\n[Qemu]\nConsoles = 2\n[Micrun]\n\
         runtime.max_container_memory = 4000\nruntime.max_container_cpus = 200\n",
    ));
    let lifts = "org.openeuler.micrun.runtime.max_container_memory=4000";
    let mut console = ctr_piped(&["run", "--rm", "--runtime", MICA, "--annotation", lifts, OWN, "rtos"]);
    console.expect(PROMPT);
    let arguments = emulator();
    let value = |option: &str| arguments.iter().skip_while(|word| *word != option).nth(1).map(String::as_str);
    assert_eq!((value("-m"), value("-smp")), (Some("64"), Some("2")));
    assert_eq!(arguments.iter().filter(|word| *word == "-serial").count(), 1);
    console.send("exit\r");
    assert_eq!(console.wait(), 0);
    host.assert_clean();
}

#[test]
fn refusals_of_create_name_the_key_and_its_file() {
    let file = isolation::state_dir().join("micrun.conf");
    let place = format!("in {} is", file.display());
    let conf = "allowed_annotations = container.os\nallowed_machines = mps2-*\n";
    let host = Host::configured(conf, "");
    let debug = "org.openeuler.micrun.runtime.debug=true";
    host.assert_refused(DEMO, &["--annotation", debug], &["runtime.debug", "allowed_annotations", &place]);
    host.assert_refused(DEMO, &[], &["machine \"virt\"", "allowed_machines", &place]);
}

#[test]
fn a_file_that_is_too_large_is_refused_by_its_size() {
    let host = Host::configured("[Policy]\nmax_firmware_size = 1\n", "");
    let mut large = firmware::demo_bytes();
    large.resize((1 << 20) + 1, 0);
    let image = Image::new(OWN, &["/firmware.elf"]).file("firmware.elf", &large);
    host.import_image(image.file("client.conf", b"[Mica]\nPedestal = qemu\n"));
    host.assert_refused(OWN, &[], &["the firmware of 1048577 bytes", "max_firmware_size in "]);
}

/// The shim knows the daemon's policy, and tells it before it copies anything.
#[test]
fn the_daemons_policy_is_told_by_create() {
    let host = Host::configured("", "[Policy]\nMaxMemory = 32\n");
    let place = format!("MaxMemory in {} is 32", isolation::state_dir().join("micad.conf").display());
    host.assert_refused(DEMO, &[], &["memory in MiB of 64", &place]);
    let lower = "org.openeuler.micrun.runtime.max_container_memory=32";
    let mut console = ctr_piped(&["run", "--rm", "--runtime", MICA, "--annotation", lower, DEMO, "rtos"]);
    console.expect(PROMPT);
    console.send("exit\r");
    assert_eq!(console.wait(), 0);
    host.assert_clean();
}

#[test]
fn a_checkpoint_needs_the_hosts_permission() {
    let host = Host::configured("", "");
    let mut console = ctr_piped(&["run", "--runtime", MICA, DEMO, "rtos"]);
    console.expect(PROMPT);
    let name = "localhost/micrun/checkpoint:1";
    ctr(&["containers", "checkpoint", "--image", "--rw", "--task", "rtos", name]).success();
    console.send("exit\r");
    assert_eq!(console.wait(), 0);
    host.delete_container("rtos");
    let refusal = ctr(&["containers", "restore", "--live", "again", name]).failure();
    assert!(refusal.contains("to go on from a checkpoint is not allowed on this host"), "{refusal}");
    assert!(refusal.contains("allow_restore"), "{refusal}");
    assert!(Process::running(EMULATOR).is_empty());
    ctr(&["containers", "delete", "again"]);
}

/// Firmware without CPUs of its own runs in the pool of micad.conf.
#[test]
fn firmware_shares_the_cpus_of_the_pool() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        eprintln!("skipped: there is one CPU");
        return;
    }
    let host = Host::configured("", "[Micad]\nSharedCpus = 1\n");
    let mut console = ctr_piped(&["run", "--rm", "--runtime", MICA, DEMO, "rtos"]);
    console.expect(PROMPT);
    let shown = || {
        let list = mica(&["list"]).success();
        list.split_whitespace().skip(3).take(2).map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown(), "1 (shared)");
    console.send("exit\r");
    assert_eq!(console.wait(), 0);
    host.assert_clean();
}

/// `--print-config` shows every key of the policy with its origin.
#[test]
fn print_config_shows_the_policy_and_where_it_comes_from() {
    isolation::require();
    fs::create_dir_all(isolation::state_dir()).expect("/run is private and writable");
    let file = isolation::state_dir().join("micrun.conf");
    fs::write(&file, "[Policy]\nallowed_pedestals = qemu, baremetal\ncontainer_maxmem = 64\n")
        .expect("/run is writable");
    let mut command = Command::new(isolation::binary("containerd-shim-mica-v2"));
    command
        .args(["--print-config", "--json"])
        .env("MICRUN_CONF_FILE", &file)
        .env("MICRUN_ALLOW_RESTORE", "true");
    let report: serde_json::Value =
        serde_json::from_str(&process::run(&mut command).success()).expect("JSON");
    let lines = report["settings"].as_array().expect("a list");
    let line = |key: &str| {
        let line = lines.iter().find(|line| line["key"] == key).unwrap_or_else(|| panic!("{key} is missing"));
        (line["value"].as_str().expect("a text"), line["from"].as_str().expect("a text"))
    };
    let place = file.to_str().expect("UTF-8");
    assert_eq!(line("allowed_pedestals"), ("qemu, baremetal", place));
    assert_eq!(line("container_maxmem"), ("64", place));
    assert_eq!(line("allow_restore"), ("true", "$MICRUN_ALLOW_RESTORE"));
    for (key, value) in [
        ("allowed_remoteprocs", "*"),
        ("allowed_machines", "the machines of BOARDS.md"),
        ("allowed_cpus", "the processors of BOARDS.md"),
        ("allowed_annotations", "*"),
        ("max_container_vcpu", "8"),
        ("max_consoles", "no limit"),
        ("max_firmware_size", "256"),
    ] {
        assert_eq!(line(key), (value, "default"), "{key}");
    }
    // What is not understood is said, and nothing runs.
    let mut wrong = Command::new(isolation::binary("containerd-shim-mica-v2"));
    wrong.arg("--print-config").env("MICRUN_CONF_FILE", &file).env("MICRUN_ALLOWED_CPUS", "");
    assert!(
        process::run(&mut wrong).failure().contains("$MICRUN_ALLOWED_CPUS: allowed_cpus: it has no value")
    );
}

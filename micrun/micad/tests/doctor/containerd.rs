//! containerd and Docker.

use std::fs;

use crate::machine::{CONTAINERD, HANDLER, Machine, config};

const CRI: &str = "io.containerd.grpc.v1.cri";
const CRI_RUNTIME: &str = "io.containerd.cri.v1.runtime";
const FILE: &str = "etc/containerd/config.toml";

#[test]
fn no_containerd() {
    let machine = Machine::new();
    machine.examine().assert("containerd.process", "ok", "process 100");
    machine.remove(&format!("proc/{CONTAINERD}"));
    let findings = machine.examine();
    findings.assert("containerd.process", "warning", "no process");
    // PATH is this command's then.
    findings.assert("containerd.shim", "ok", "this command's PATH");
    machine.remove("bin/containerd");
    machine.examine().assert("containerd.program", "warning", "not on PATH");
}

#[test]
fn an_old_containerd() {
    let machine = Machine::new();
    machine.script("containerd", "echo containerd github.com/containerd/containerd 1.4.13~ds1");
    machine.examine().assert("containerd.program", "warning", "1.4.13");
}

/// A link in /proc names it.
#[test]
fn the_running_containerd_counts_not_the_one_on_path() {
    let machine = Machine::new();
    machine.script("../opt/containerd", "echo containerd github.com/containerd/containerd/v2 v2.1.4");
    machine.link(&format!("proc/{CONTAINERD}/exe"), machine.path("opt/containerd").to_str().unwrap());
    machine.examine().assert("containerd.program", "ok", "2.1.4");
}

#[test]
fn the_shim_is_looked_for_where_containerd_does() {
    let machine = Machine::new();
    machine.process(CONTAINERD, "containerd", &["containerd"], &[("PATH", "/no/such/directory")]);
    machine.examine().assert("containerd.shim", "error", "on containerd's PATH (/no/such/directory)");
}

#[test]
fn a_shim_of_another_build() {
    let machine = Machine::new();
    machine.script("containerd-shim-mica-v2", "echo 'containerd-shim-mica-v2 0.0.7 (io.containerd.mica.v2)'");
    machine.examine().assert("containerd.shim", "warning", "0.0.7");
    machine.script("containerd-shim-mica-v2", "exit 127");
    machine.examine().assert("containerd.shim", "warning", "it said nothing");
}

#[test]
fn without_a_configuration_there_is_no_handler_and_no_fault() {
    let machine = Machine::new();
    machine.remove(FILE);
    let findings = machine.examine();
    findings.assert("containerd.config", "ok", "defaults");
    findings.assert("containerd.registration", "note", "ctr and nerdctl find the shim by its name on PATH");
    findings.assert_only(&[]);
}

#[test]
fn a_configuration_that_cannot_be_read() {
    let machine = Machine::new();
    machine.write(FILE, "version = 2\n[plugins\npassword = \"hunter2\"\n");
    let findings = machine.examine();
    findings.assert("containerd.config", "error", "/etc/containerd/config.toml line 2");
    findings.assert("containerd.registration", "note", "cannot be read");
    assert!(!format!("{findings:?}").contains("hunter2"));
    machine.mode(FILE, 0);
    machine.examine_as_nobody().assert("containerd.config", "note", "Permission denied");
}

#[test]
fn each_version_has_its_section() {
    let machine = Machine::new();
    machine.write(FILE, &config(1, "cri", HANDLER));
    machine.examine().assert("containerd.registration", "ok", "handler mica");
    machine.write(FILE, &config(2, CRI, HANDLER));
    machine.examine().assert("containerd.registration", "ok", "handler mica");
    machine.write(FILE, &config(3, CRI_RUNTIME, HANDLER));
    machine.examine().assert("containerd.registration", "ok", "handler mica");
    machine.write(FILE, &config(3, CRI, HANDLER));
    machine.examine().assert("containerd.registration", "warning", "version 3 of the format does not read");
    machine.write(FILE, &config(2, CRI_RUNTIME, HANDLER));
    machine.examine().assert("containerd.registration", "warning", "version 2 of the format does not read");
}

#[test]
fn the_configurations_that_ship_register_the_runtime() {
    let machine = Machine::new();
    for (file, containerd) in [
        ("containerd/config.toml", "1.6.20"),
        ("kubernetes/containerd-v2.toml", "1.7.24"),
        ("kubernetes/containerd-v3.toml", "2.1.4"),
        ("kubernetes/containerd-v4.toml", "2.3.1"),
    ] {
        let text =
            std::fs::read_to_string(format!("{}/../../etc/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        machine.write(FILE, &text);
        machine
            .script("containerd", &format!("echo containerd github.com/containerd/containerd v{containerd}"));
        let findings = machine.examine();
        findings.assert("containerd.config", "ok", "/etc/containerd/config.toml");
        findings.assert("containerd.registration", "ok", "handler mica");
    }
}

#[test]
fn a_format_that_this_containerd_does_not_read() {
    let machine = Machine::new();
    machine.write(FILE, &config(3, CRI_RUNTIME, HANDLER));
    machine.examine().assert(
        "containerd.config",
        "error",
        "version 3, which containerd 1.7.24 does not read",
    );
    machine.script("containerd", "echo containerd github.com/containerd/containerd/v2 v2.1.4");
    machine.examine().assert("containerd.config", "ok", "version 3");
    machine.write(FILE, &config(4, CRI_RUNTIME, HANDLER));
    machine.examine().assert("containerd.config", "error", "version 4, which containerd 2.1.4 does not read");
}

#[test]
fn imports_are_read_in_their_order_and_replace_sections() {
    let machine = Machine::new();
    machine.write(FILE, "version = 2\nimports = [\"conf.d/*.toml\", \"/srv/last.toml\"]\n");
    machine.write("etc/containerd/conf.d/10-mica.toml", &config(2, CRI, HANDLER));
    machine.write("etc/containerd/conf.d/README", "no TOML");
    machine.examine().assert("containerd.config", "error", "/srv/last.toml is imported, but is not there");
    machine.write("srv/last.toml", "version = 2\nimports = [\"/etc/containerd/config.toml\"]\n");
    let findings = machine.examine();
    findings.assert(
        "containerd.config",
        "ok",
        "config.toml, /etc/containerd/conf.d/10-mica.toml, /srv/last.toml",
    );
    findings.assert("containerd.registration", "ok", "handler mica");
    let other = format!("version = 2\n[plugins.\"{CRI}\"]\nsandbox_image = \"pause\"\n");
    machine.write("etc/containerd/conf.d/20-pause.toml", &other);
    machine.examine().assert(
        "containerd.registration",
        "warning",
        "20-pause.toml has the same plugin's section",
    );
    // Since version 2 containerd merges them ...
    machine.script("containerd", "echo containerd github.com/containerd/containerd/v2 v2.1.4");
    machine.examine().assert("containerd.registration", "ok", "handler mica");
    // ... and before 1.7 it looked for a relative pattern in its own working directory.
    machine.script("containerd", "echo containerd github.com/containerd/containerd 1.6.20~ds1");
    machine.examine().assert("containerd.registration", "note", "no handler for pods");
    machine.link(&format!("proc/{CONTAINERD}/cwd"), "/etc/containerd");
    machine.examine().assert(
        "containerd.registration",
        "warning",
        "20-pause.toml has the same plugin's section",
    );
    machine.script("containerd", "echo containerd github.com/containerd/containerd 1.7.24");
    machine.remove("etc/containerd/conf.d/20-pause.toml");
    machine.write("srv/last.toml", "version = 3\n");
    machine.examine().assert("containerd.config", "error", "/srv/last.toml has version 3");
}

#[test]
fn a_handler_that_passes_no_annotation() {
    let machine = Machine::new();
    machine.write(FILE, &config(2, CRI, "runtime_type = \"io.containerd.mica.v2\"\n"));
    machine.examine().assert("containerd.registration", "warning", "pod_annotations lacks them");
    let half = "runtime_type = \"io.containerd.mica.v2\"\npod_annotations = [\"org.openeuler.micrun.*\"]\n";
    machine.write(FILE, &config(2, CRI, half));
    machine.examine().assert("containerd.registration", "warning", "container_annotations lacks them");
}

/// containerd#12983, mended by #13131.
#[test]
fn a_sandbox_of_the_shim_on_a_containerd_that_it_can_end() {
    let machine = Machine::new();
    machine.examine().assert("containerd.sandboxer", "ok", "every handler has pause containers");
    let handler = format!("{HANDLER}sandboxer = \"shim\"\n");
    machine.write(FILE, &config(3, CRI_RUNTIME, &handler));
    for (version, level, words) in [
        ("2.0.11", "warning", "ends containerd 2.0.11"),
        ("2.2.7", "warning", "ends containerd 2.2.7"),
        ("2.3.0", "ok", "sandboxes of the shim"),
        ("2.4.1", "ok", "sandboxes of the shim"),
    ] {
        let says = format!("echo containerd github.com/containerd/containerd/v2 {version}");
        machine.script("containerd", &says);
        machine.examine().assert("containerd.sandboxer", level, words);
    }
}

/// As Docker's package of containerd comes.
#[test]
fn a_cri_plugin_that_is_off() {
    let machine = Machine::new();
    let conf = format!("disabled_plugins = [\"cri\"]\n{}", config(2, CRI, HANDLER));
    machine.write(FILE, &conf);
    machine.examine().assert("containerd.registration", "warning", "disabled_plugins");
}

#[test]
fn the_running_containerds_own_options_count() {
    let machine = Machine::new();
    let path = machine.bin().display().to_string();
    machine.write("srv/other.toml", "version = 2\nthis is no TOML\n");
    for arguments in [["containerd", "--config", "/srv/other.toml"], ["containerd", "-c", "/srv/other.toml"]]
    {
        machine.process(CONTAINERD, "containerd", &arguments, &[("PATH", &path)]);
        machine.examine().assert("containerd.config", "error", "/srv/other.toml line 2");
    }
}

#[test]
fn options_of_the_handler_reach_the_shims_checks() {
    let machine = Machine::new();
    let options = "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.mica.options]\nBinaryName = \"/opt/youki\"\n\
                   ConfigPath = \"/srv/micrun.toml\"\n";
    machine.write(FILE, &(config(2, CRI, HANDLER) + options));
    let findings = machine.examine();
    findings.assert("shim.linux", "warning", "no /opt/youki on PATH, as BinaryName");
    findings.assert("shim.config", "error", "srv/micrun.toml");
}

#[test]
fn a_program_is_asked_for_its_version_once() {
    let machine = Machine::new();
    let calls = machine.path("calls");
    for (name, version) in [("containerd", "containerd 1.6.20"), ("docker", "Docker version 20.10.24")] {
        machine.script(name, &format!("echo {name} $* >> {}; echo {version}", calls.display()));
    }
    let bundle = machine.path("support.tar.gz");
    let output = machine.mica(&["--bundle", bundle.to_str().unwrap()]).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains("Docker 20.10.24 needs an entry"), "{report}");
    let mut calls: Vec<_> = fs::read_to_string(calls).unwrap().lines().map(str::to_owned).collect();
    calls.sort();
    assert_eq!(calls, ["containerd --version", "docker --version"]);
}

#[test]
fn docker_before_23_needs_an_entry() {
    let machine = Machine::new();
    machine.examine().assert("docker.program", "ok", "not installed");
    machine.script("docker", "echo Docker version 20.10.24+dfsg1, build 297e128");
    let findings = machine.examine();
    findings.assert("docker.program", "ok", "20.10.24");
    findings.assert("docker.registration", "warning", "Docker 20.10.24 needs an entry");
    machine.write(
        "etc/docker/daemon.json",
        r#"{"runtimes": {"rtos": {"runtimeType": "io.containerd.mica.v2"}}}"#,
    );
    machine.examine().assert("docker.registration", "ok", "runtime rtos");
    // While it runs, it is asked what it has read.
    let answers = |answer: &str| {
        let version = "echo Docker version 20.10.24+dfsg1, build 297e128";
        machine.script("docker", &format!("case $1 in --version) {version};; info) {answer};; esac"));
    };
    answers("echo cannot connect; exit 1");
    machine.examine().assert("docker.registration", "ok", "runtime rtos");
    machine.process(812, "dockerd", &["/usr/bin/dockerd", "-H", "fd://"], &[]);
    machine.examine().assert("docker.registration", "note", "knows runtime rtos: cannot connect");
    answers(r#"echo '{"runc": {"path": "runc"}}'"#);
    machine.examine().assert("docker.registration", "warning", "does not know runtime rtos");
    answers(r#"echo '{"rtos": {"runtimeType": "io.containerd.mica.v2"}, "runc": {"path": "runc"}}'"#);
    machine.examine().assert("docker.registration", "ok", "the running Docker knows it");
    answers(r#"echo '{"path": {}}'"#);
    let by_path = r#"{"runtimes": {"path": {"runtimeType": "/usr/libexec/micrun/containerd-shim-mica-v2"}}}"#;
    machine.write("etc/docker/daemon.json", by_path);
    machine.examine().assert("docker.registration", "ok", "runtime path");
    machine.script("docker", "echo Docker version 26.1.5, build a72d7cd");
    machine.write("etc/docker/daemon.json", "{}");
    machine.examine().assert("docker.registration", "note", "needs none");
    machine.write("etc/docker/daemon.json", "{\n  \"runtimes\": oops}");
    machine.examine().assert("docker.registration", "error", "/etc/docker/daemon.json line 2");
    machine.script("docker", "exit 1");
    machine.examine().assert("docker.program", "warning", "failed");
}

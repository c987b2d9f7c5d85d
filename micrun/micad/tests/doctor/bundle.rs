//! The support archive.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use flate2::read::GzDecoder;

use crate::machine::{CONTAINERD, Machine};

/// What must never be in it.
const SECRET: &str = "hunter2";

/// The files of an archive.
fn unpack(file: &std::path::Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(file).unwrap()));
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        assert_eq!(entry.header().mode().unwrap(), 0o600);
        let name = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        found.insert(name.strip_prefix("mica-doctor/").unwrap().to_owned(), text);
    }
    found
}

/// A machine with secrets in all places that the archive is made of.
fn with_secrets() -> Machine {
    let machine = Machine::new();
    let path = machine.bin().display().to_string();
    let environment = [("PATH", path.as_str()), ("HTTPS_PROXY", SECRET), ("MICRUN_DEBUG", "true")];
    machine.process(CONTAINERD, "containerd", &["containerd"], &environment);
    let config = format!(
        "version = 2\nroot = \"/srv/store\"\n[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.x.auth]\n\
         password = \"\"\"\n{SECRET}\"\"\"\n[proxy_plugins.a]\naddress = \"https://me:{SECRET}@host/\"\n"
    );
    machine.write("etc/containerd/config.toml", &config);
    machine.write(
        "etc/docker/daemon.json",
        &format!(r#"{{"proxies": {{"https-proxy": "{SECRET}"}}, "debug": true}}"#),
    );
    machine.write("etc/mica/micad.conf", &format!("[Micad]\n; password: {SECRET}\nQemuPath = /usr/bin\n"));
    machine.write(
        "etc/mica/rtos.conf",
        &format!("[Mica]\nName = rtos\nClientPath = /fw.elf\n[Qemu]\nAppend = A={SECRET}\n"),
    );
    machine.write(
        "etc/mica/micrun/conf.d/a.toml",
        &format!("container_maxmem = 64\ntoken = '''\n{SECRET}'''\n"),
    );
    machine.write("fw.elf", SECRET);
    machine.write("run/mica/clients/rtos/qemu.log", SECRET);
    machine
        .write("dev/kmsg", &format!("6,1,1,-;remoteproc remoteproc0: is available\n6,2,2,-;usb: {SECRET}\n"));
    let quote =
        format!("rtos has shown no sign of life: it is running; its trace buffer ends with \\\"{SECRET}\\\"");
    machine.script("journalctl", &format!("echo \"$@\"; echo \"{quote}\""));
    fs::create_dir_all(machine.path("run/containerd/io.containerd.runtime.v2.task/default/rtos")).unwrap();
    machine.write("sys/fs/cgroup/system.slice/micad.service/memory.max", "1073741824\n");
    machine
}

#[test]
fn it_has_what_support_needs_and_no_secret() {
    let machine = with_secrets();
    let file = machine.path("support.tar.gz");
    let output = machine.mica(&["--bundle", file.to_str().unwrap()]).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let files = unpack(&file);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let expected = [
        "cgroups.txt",
        "clients.json",
        "conf/etc/containerd/config.toml.json",
        "conf/etc/docker/daemon.json",
        "conf/etc/mica/micad.conf",
        "conf/etc/mica/micrun/conf.d/a.toml",
        "conf/etc/mica/rtos.conf",
        "journal.txt",
        "kernel.txt",
        "report.json",
        "report.txt",
        "tasks.txt",
        "versions.txt",
    ];
    assert_eq!(names, expected);
    assert_eq!(files["report.txt"], report);
    for (name, text) in &files {
        assert!(!text.contains(SECRET), "{name}: {text}");
    }
    let has = |name: &str, words: &str| assert!(files[name].contains(words), "{name}: {}", files[name]);
    has("conf/etc/containerd/config.toml.json", "\"root\": \"/srv/store\"");
    has("conf/etc/containerd/config.toml.json", "https://(removed)@host/");
    has("conf/etc/docker/daemon.json", "\"debug\": true");
    has("conf/etc/mica/rtos.conf", "Append = (removed)");
    has("conf/etc/mica/micad.conf", "QemuPath = /usr/bin");
    has("conf/etc/mica/micrun/conf.d/a.toml", "64");
    has("journal.txt", "--unit=micad");
    has("journal.txt", "it is running; ");
    has("kernel.txt", "remoteproc remoteproc0: is available");
    has("tasks.txt", "default rtos\n");
    has("versions.txt", "crun: crun version 1.21");
    has("cgroups.txt", "micad.service/memory.max: 1073741824");
    has("clients.json", "\"clients\": []");
}

#[test]
fn it_is_its_owners_alone_and_whole_or_not_there() {
    let machine = Machine::new();
    let file = machine.path("support.tar.gz");
    let write = || machine.mica(&["--json", "--bundle", file.to_str().unwrap()]).output().unwrap();
    fs::write(&file, "an earlier one").unwrap();
    let output = write();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o600);
    unpack(&file);
    // A directory cannot be replaced.
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let output = write();
    assert_eq!(output.status.code(), Some(1));
    let names = fs::read_dir(machine.root()).unwrap().map(|entry| entry.unwrap().file_name());
    let parts: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with('.')).collect();
    assert!(parts.is_empty(), "{parts:?}");
}

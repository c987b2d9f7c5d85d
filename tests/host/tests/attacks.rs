//! Attacks that other container runtimes fell to, by the numbers under which they are known.

use std::fs;
use std::os::unix::fs::MetadataExt;

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::host::MICA;
use micrun_host_tests::system::Process;
use micrun_host_tests::{Host, wait};

const IMAGE: &str = "localhost/busybox:1";
/// What a runtime is to be tricked into running, as an entry point or by exec.
const LURE: &str = "lure";
const SHIM: &str = "containerd-shim-mica-v2";

fn host() -> Host {
    let host = Host::ordinary();
    let image = Image::busybox(IMAGE, &["/bin/busybox", "sh"]);
    host.import_image(image.file(LURE, b"#!/proc/self/exe\n"));
    host
}

fn shell<'a>(options: &[&'a str], script: &'a str) -> Vec<&'a str> {
    let run = ["run", "--rm", "--runtime", MICA];
    [&run, options, &[IMAGE, "one", "/bin/busybox", "sh", "-c", script]].concat()
}

/// CVE-2024-21626: a descriptor of the runtime, inherited, leads to the host's files.
#[test]
fn a_process_gets_no_descriptor_but_its_streams() {
    let host = host();
    let listed = ctr(&shell(&[], "cd /proc/self/fd && echo *")).success();
    // The shell itself has none open while it expands the pattern but the folder's.
    assert_eq!(listed.trim(), "0 1 2 3", "3 is the folder");
    let mut sleeper = ctr_piped(&shell(&[], "echo there; exec /bin/busybox sleep 1000"));
    sleeper.expect("there\n");
    let exec = [
        "tasks",
        "exec",
        "--exec-id",
        "two",
        "one",
        "/bin/busybox",
        "sh",
        "-c",
        "cd /proc/self/fd && echo *",
    ];
    assert_eq!(ctr(&exec).success().trim(), "0 1 2 3");
    host.kill("one", "SIGKILL");
    sleeper.wait();
    host.assert_clean();
}

/// The same, by a working directory that is such a descriptor.
#[test]
fn a_working_directory_never_leads_out_by_a_descriptor() {
    let host = host();
    let root = fs::metadata("/").expect("there is a root");
    for descriptor in 3..14 {
        let path = format!("/proc/self/fd/{descriptor}");
        let output = ctr(&shell(&["--cwd", &path], "/bin/busybox stat -c %d:%i ../../../../../.."));
        let seen = output.stdout.trim();
        assert_ne!(seen, format!("{}:{}", root.dev(), root.ino()), "{path} leads to the host's root");
    }
    host.assert_clean();
}

/// CVE-2019-5736: the container makes the runtime run itself inside, and writes to its program from there.
#[test]
fn the_runtimes_program_cannot_be_opened_for_writing_from_inside() {
    let host = host();
    // Whatever shows up there and is not this image's own program. Nothing is written: opening it is enough to know.
    let watcher = "echo there; while :; do for p in /proc/[0-9]*; do \
        case $(/bin/busybox readlink $p/exe) in ''|*/busybox) ;; *) (: >>$p/exe) 2>/dev/null && echo opened $p;; esac; \
        done; done";
    let mut watching = ctr_piped(&shell(&[], watcher));
    watching.expect("there\n");
    for round in 0..10 {
        let id = format!("lure-{round}");
        // It fails, one way or another.
        ctr(&["tasks", "exec", "--exec-id", &id, "one", &format!("/{LURE}")]);
    }
    host.kill("one", "SIGKILL");
    watching.wait();
    assert!(!watching.output().contains("opened"), "{}", watching.output());
    host.assert_clean();
}

/// CVE-2020-15257: an abstract socket is open to everybody in the machine's network namespace.
#[test]
fn nothing_of_ours_listens_on_an_abstract_socket() {
    let host = Host::start();
    host.run_demo_detached("one");
    let sockets = fs::read_to_string("/proc/net/unix").expect("there is a table of sockets");
    let abstracts: Vec<&str> = sockets
        .lines()
        .filter_map(|line| {
            let mut columns = line.split_whitespace().skip(6);
            let (inode, path) = (columns.next()?, columns.next()?);
            path.starts_with('@').then_some(inode)
        })
        .collect();
    for process in Process::all().into_iter().filter(|it| it.name == SHIM || it.name == "micad") {
        for descriptor in fs::read_dir(format!("/proc/{}/fd", process.id())).expect("it runs").flatten() {
            let target = fs::read_link(descriptor.path()).unwrap_or_default();
            let target = target.to_string_lossy();
            let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            assert!(!inode.is_some_and(|it| abstracts.contains(&it)), "{}: {target}", process.name);
        }
    }
    host.remove("one");
    host.assert_clean();
}

/// CVE-2025-64329: who attaches and leaves again costs memory for good.
#[test]
fn attaching_and_leaving_keeps_nothing_open() {
    let host = Host::start();
    host.run_demo_detached("one");
    let shim = Process::running(SHIM).pop().expect("a shim runs");
    let attach = || {
        let mut attached = ctr_piped(&["tasks", "attach", "one"]);
        attached.send("version\r");
        attached.expect("micrun> ");
        attached.signal(nix::sys::signal::Signal::SIGKILL);
        attached.wait();
    };
    attach();
    let before = shim.descriptors();
    for _ in 0..20 {
        attach();
    }
    wait::until("the shim has as many descriptors as before", || {
        (shim.descriptors() == before).then_some(())
    });
    host.remove("one");
    host.assert_clean();
}

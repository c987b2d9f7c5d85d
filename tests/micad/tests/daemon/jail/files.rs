//! The files in the jail's root: those that the installed QEMU opens, and hardly any others.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use micrun_firmware::qemu::BOARDS;
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::harness::Daemon;
use crate::tiny_elf;

const PROGRAM: &str = "qemu-system-aarch64";

/// What QEMU and its libraries ask for, and do without: what the kernel says of the machine, the time zone, and the
/// working directory.
const NOT_NEEDED: [&str; 4] = ["/proc", "/sys", "/etc/localtime", "."];
/// What a machine or a library opens in other circumstances.
const SPARE: [&str; 1] = ["libgcc_s.so.1"];

/// The files that the program opens until its machine is complete.
fn opened(machine: &str) -> BTreeSet<PathBuf> {
    let script =
        format!("kill -STOP $$; exec {PROGRAM} -S -nodefaults -display none -audio none -machine {machine}");
    let mut shell = Command::new("sh");
    let mut child = shell.args(["-c", &script]).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let files = trace(&child);
    child.kill().unwrap();
    child.wait().unwrap();
    files
}

fn trace(child: &Child) -> BTreeSet<PathBuf> {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    ptrace::seize(pid, ptrace::Options::PTRACE_O_TRACEEXEC).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut memory = memory;
    let mut files = BTreeSet::new();
    let mut is_qemu = false;
    let mut asked = None;
    loop {
        match waitpid(pid, None).unwrap() {
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) => {
                is_qemu = true;
                memory = File::open(format!("/proc/{pid}/mem")).unwrap();
                ptrace::syscall(pid, None).unwrap();
            }
            // Of the shell, which has stopped itself.
            WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(_, Signal::SIGSTOP) if !is_qemu => {
                nix::sys::signal::kill(pid, Signal::SIGCONT).unwrap();
                ptrace::cont(pid, None).unwrap();
            }
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {
                let registers = ptrace::getregs(pid).unwrap();
                match registers.orig_rax.cast_signed() {
                    libc::SYS_openat => match asked.take() {
                        None => asked = Some(path(&memory, registers.rsi)),
                        Some(path) if registers.rax.cast_signed() >= 0 => _ = files.insert(path),
                        Some(_) => {}
                    },
                    // It waits for events: all is there.
                    libc::SYS_ppoll => return files,
                    _ => {}
                }
                ptrace::syscall(pid, None).unwrap();
            }
            WaitStatus::Exited(_, status) => panic!("{PROGRAM} ended with status {status}"),
            WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal).unwrap(),
            _ => ptrace::syscall(pid, None).unwrap(),
        }
    }
}

/// The text at that address.
fn path(memory: &File, address: u64) -> PathBuf {
    let mut bytes = [0; 256];
    let count = memory.read_at(&mut bytes, address).unwrap();
    let end = bytes[..count].iter().position(|byte| *byte == 0).unwrap();
    PathBuf::from(OsStr::from_bytes(&bytes[..end]))
}

fn tree(directory: &Path, root: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            tree(&entry.path(), root, files);
        } else {
            files.insert(Path::new("/").join(entry.path().strip_prefix(root).unwrap()));
        }
    }
}

#[tokio::test]
async fn the_root_has_what_qemu_opens() {
    let daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::spins(daemon.dir())).await;
    let root = PathBuf::from(format!("/proc/{}/root", client.stats("x").await.unwrap().pid));
    let mut there = BTreeSet::new();
    tree(&root, &root, &mut there);

    // Those with a ROM that QEMU comes with, and all of the table.
    let with_rom = ["npcm750-evb", "npcm845-evb"];
    let of_table = BOARDS.iter().filter(|board| board.program == PROGRAM).map(|board| board.machine);
    let needed: BTreeSet<PathBuf> = of_table.chain(with_rom).flat_map(opened).collect();
    let wanted = |path: &&PathBuf| !NOT_NEEDED.iter().any(|it| path.starts_with(it));
    let missing: Vec<_> = needed.iter().filter(wanted).filter(|path| !there.contains(*path)).collect();
    assert!(missing.is_empty(), "the lists in micrun/micad/src/jail/files.rs lack {missing:?}");
    let itself = |path: &Path| path.ends_with(PROGRAM) || path.to_string_lossy().contains("/ld-");
    let spare = |path: &Path| SPARE.iter().any(|name| path.ends_with(name));
    let idle: Vec<_> =
        there.iter().filter(|path| !needed.contains(*path) && !itself(path) && !spare(path)).collect();
    assert!(idle.is_empty(), "nobody needs {idle:?}");
}

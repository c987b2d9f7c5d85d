//! The files in the jail's root: those that the installed QEMU opens, and hardly any others.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use micrun_firmware::qemu::BOARDS;
use nix::libc;
use nix::sys::ptrace;
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
    // The shell waits until it is traced.
    let script =
        format!("read -r _; exec {PROGRAM} -S -nodefaults -display none -audio none -machine {machine}");
    let mut shell = Command::new("sh");
    let mut child = shell.args(["-c", &script]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let options = ptrace::Options::PTRACE_O_TRACEEXEC | ptrace::Options::PTRACE_O_TRACESYSGOOD;
    ptrace::seize(pid, options).unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let files = std::panic::catch_unwind(|| trace(pid));
    child.kill().unwrap();
    child.wait().unwrap();
    files.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The files that the process opens after it has executed a program and before it waits for events.
fn trace(pid: Pid) -> BTreeSet<PathBuf> {
    // The shell's own start may still be under way.
    let runs = || fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().starts_with("qemu");
    while !(matches!(waitpid(pid, None).unwrap(), WaitStatus::PtraceEvent(..)) && runs()) {
        ptrace::cont(pid, None).unwrap();
    }
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut files = BTreeSet::new();
    let mut asked = None;
    loop {
        ptrace::syscall(pid, None).unwrap();
        match waitpid(pid, None).unwrap() {
            WaitStatus::PtraceSyscall(_) => {
                let registers = ptrace::getregs(pid).unwrap();
                let enters = ptrace::syscall_info(pid).unwrap().op == libc::PTRACE_SYSCALL_INFO_ENTRY;
                match registers.orig_rax.cast_signed() {
                    libc::SYS_openat if enters => asked = Some(path(&memory, registers.rsi)),
                    libc::SYS_openat if registers.rax.cast_signed() >= 0 => files.extend(asked.take()),
                    // Its machine is complete.
                    libc::SYS_ppoll => return files,
                    _ => {}
                }
            }
            WaitStatus::Exited(_, status) => panic!("{PROGRAM} ended with status {status}"),
            // Signals are none of ours, and QEMU needs none to start.
            _ => {}
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

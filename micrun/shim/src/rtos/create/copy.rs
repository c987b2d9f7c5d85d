//! The copy of the firmware that runs: nobody can change it, and its container pays for it.
//!
//! The kernel accounts memory to whoever touches it first (cgroups(7)), and a process is in one cgroup. A large firmware
//! is therefore copied by a process in the container's cgroup: this program, started for a moment.

use std::fs::File;
use std::io::{Read, Write, stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};

use command_fds::{CommandFdExt, FdMapping};
use micrun_firmware::delta::{Content, Delta};
use micrun_firmware::digest;
use micrun_firmware::{Firmware, MAX_FIRMWARE_SIZE, Sha256Digest, memory_file};

use super::FIRMWARE;
use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::os::children;
use crate::rtos::state_dir::StateDir;

/// What `ps` shows of the process.
const NAME: &str = "micrun-copy";
/// Up to this size in bytes the shim copies by itself. Such a copy is as large as what the shim needs for a container
/// anyway, and the process would take longer than the copy.
const SMALL: u64 = 1 << 20;
/// The process has the bases of a delta from this descriptor on.
const FIRST_BASE: i32 = 3;

/// A memory file with the firmware, which the state directory names, and its digest. `cgroup`, which exists, pays for it.
pub(super) fn in_memory(
    firmware: &Firmware,
    cgroup: Option<&Cgroup>,
    dir: &StateDir,
) -> Result<(File, Sha256Digest)> {
    let wrong = || Error::io("make a memory file for", FIRMWARE);
    let memory = memory_file::create().map_err(wrong())?;
    let digest = match cgroup.filter(|_| firmware.elf.file_size > SMALL) {
        Some(cgroup) => by_another(firmware, cgroup, &memory)?,
        None => firmware.copy_to(&memory)?,
    };
    memory_file::seal(&memory).map_err(wrong())?;
    dir.link(FIRMWARE, &memory)?;
    Ok((memory, digest))
}

/// A file in the state directory with the firmware, for a pedestal whose daemon makes its own of it, and its digest.
pub(super) fn in_file(firmware: &Firmware, dir: &StateDir) -> Result<Sha256Digest> {
    Ok(dir.write(FIRMWARE, |file| firmware.copy_to(file))?.1)
}

fn by_another(firmware: &Firmware, cgroup: &Cgroup, to: &File) -> Result<Sha256Digest> {
    // Until it is waited for here, nobody else may reap it.
    let _hold = children::hold();
    let failed = || Error::io("start", NAME);
    let (ours, its) = UnixStream::pair().map_err(failed())?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0(NAME).arg("copy").env_clear();
    command.stdin(firmware.file.file.try_clone().map_err(failed())?);
    command.stdout(to.try_clone().map_err(failed())?).stderr(OwnedFd::from(its));
    if let Some(delta) = &firmware.delta {
        pass_bases(&mut command, delta)?;
    }
    let mut child = command.spawn().map_err(failed())?;
    // It holds the other end of the socket.
    drop(command);
    let said = converse(&child, cgroup, ours);
    if said.is_err() {
        // It may be gone by now.
        let _ = child.kill();
    }
    outcome(firmware, &said?, &mut child)
}

/// Gives the process what a delta stands upon, in the order in which it asks for it.
fn pass_bases(command: &mut Command, delta: &Delta) -> Result<()> {
    let failed = || Error::io("start", NAME);
    let bases = delta.files().into_iter().skip(1).zip(FIRST_BASE..);
    let mapping = |(file, child_fd): (&File, i32)| {
        file.try_clone().map(|file| FdMapping { parent_fd: OwnedFd::from(file), child_fd })
    };
    let mappings = bases.map(mapping).collect::<std::io::Result<Vec<_>>>().map_err(failed())?;
    command.fd_mappings(mappings).map_err(|error| failed()(std::io::Error::other(error)))?;
    Ok(())
}

/// Puts the process into the cgroup, lets it go on, and gives all that it says.
fn converse(child: &Child, cgroup: &Cgroup, mut socket: UnixStream) -> Result<String> {
    cgroup.add(child.id())?;
    let mut text = String::new();
    socket
        .write_all(b".")
        .and_then(|()| socket.read_to_string(&mut text))
        .map_err(Error::io("hear from", NAME))?;
    Ok(text)
}

fn outcome(firmware: &Firmware, said: &str, child: &mut Child) -> Result<Sha256Digest> {
    let status = child.wait().map_err(Error::io("wait for", NAME))?;
    let copied =
        said.split_once(' ').and_then(|(size, digest)| Some((size.parse().ok()?, digest.parse().ok()?)));
    match copied.filter(|_| status.success()) {
        Some((size, digest)) => {
            firmware.check_copy(&digest, size)?;
            Ok(digest)
        }
        None if status.signal() == Some(nix::libc::SIGKILL) => {
            Err(Error::TooLarge { path: firmware.file.path.clone(), size: firmware.elf.file_size })
        }
        None => Err(Error::io("copy", &firmware.file.path)(std::io::Error::other(said.trim().to_owned()))),
    }
}

/// The process: copies its standard input to its standard output as soon as a byte comes by its standard error, which is
/// a socket, and answers there with size and digest. What goes wrong is said there as well. If its standard input is a
/// delta, it copies what that gives.
pub(crate) fn run() -> Result<()> {
    let own = |stream: BorrowedFd<'_>| stream.try_clone_to_owned().map_err(Error::io("use", "the streams"));
    let (from, to) = (File::from(own(stdin().as_fd())?), File::from(own(stdout().as_fd())?));
    let mut socket = UnixStream::from(own(stderr().as_fd())?);
    socket.read_exact(&mut [0]).map_err(Error::io("hear from", "the shim"))?;
    let mut descriptors = FIRST_BASE..;
    let mut next = |_: &str| {
        let path = format!("/proc/self/fd/{}", descriptors.next().unwrap_or(i32::MAX));
        File::open(&path).map_err(|source| micrun_firmware::Error::Io { action: "open", path, source })
    };
    let (digest, size) = match Content::open(from, &mut next)? {
        Content::Delta(delta) => (delta.copy_to(&to)?, delta.header.result.size),
        Content::Plain(from) => {
            digest::copy(&from, &to, MAX_FIRMWARE_SIZE).map_err(Error::io("copy", "the firmware"))?
        }
    };
    write!(socket, "{size} {digest}").map_err(Error::io("answer", "the shim"))
}

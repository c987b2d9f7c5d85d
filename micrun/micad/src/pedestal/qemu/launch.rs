//! From a firmware to a QEMU process that waits to be spoken to. All of this blocks.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::command_line::{Descriptors, arguments};
use super::emulator::Emulator;
use super::machine::Machine;
use super::port::LoosePort;
use super::{gdb_socket, log_file, qmp_socket, record};
use crate::Result;
use crate::error::{file, system};
use crate::jail::{self, Cell, Confinement, Filter, Limits, OomScore, Tenant};
use crate::pedestal::broker::Rings;
use crate::pedestal::console::Pty;
use crate::pedestal::process::Process;

/// The boot code's name in the process's working directory, where the firmware is as well.
const BOOT_CODE: &str = "boot-code";

/// How to start a QEMU.
pub(super) struct Recipe {
    /// Directory of the emulators.
    pub(super) bin_dir: PathBuf,
    /// User of the process; `None` if the daemon cannot change users.
    pub(super) tenant: Option<Tenant>,
    /// The `cgroup.procs` files of the cgroups that it joins.
    pub(super) cgroups: Arc<[OwnedFd]>,
    /// How soon the kernel is to kill it when memory runs out.
    pub(super) oom_score: u16,
    /// Whether the machine is to take up a saved state.
    pub(super) restored: bool,
    /// Where what its consoles show is kept.
    pub(super) rings: Rings,
}

/// A machine to start.
pub(super) struct Order<'a> {
    /// Its name for people.
    pub(super) name: &'a str,
    /// The directory of its sockets and its log.
    pub(super) dir: &'a Path,
    /// What it is.
    pub(super) machine: &'a Machine,
    /// What it loads, and what that is called in its working directory.
    pub(super) firmware: (&'static str, &'a File),
    /// The same of boot code in place of QEMU's own.
    pub(super) boot_code: Option<&'a File>,
    /// How many consoles it has.
    pub(super) consoles: usize,
    /// Whether it listens for gdb.
    pub(super) debug: bool,
}

/// A QEMU whose machine has not run yet.
pub(super) struct Launched {
    pub(super) emulator: Emulator,
    /// The machine's serial ports, the console first.
    pub(super) ports: Vec<LoosePort>,
}

/// Starts a QEMU with the machine stopped. On an error nothing is left behind.
pub(super) fn launch(order: &Order<'_>, recipe: &Recipe) -> Result<Launched> {
    let consoles = (0..order.consoles).map(|_| Pty::open()).collect::<Result<Vec<_>>>()?;
    let (socket, log) = (qmp_socket(order.dir), log_file(order.dir));
    let qmp = listen(&socket)?;
    let gdb = if order.debug { Some(listen(&gdb_socket(order.dir))?) } else { None };
    // QEMU closes what -add-fd gives it; the originals stay for a later daemon.
    let to_qemu = consoles.iter().map(Pty::share_master).collect::<Result<Vec<OwnedFd>>>()?;
    let machine = order.machine;
    let program = recipe.bin_dir.join(machine.program);
    let tenant = recipe.tenant.as_ref();
    let root = tenant.map(|tenant| tenant.roots.emulator(&program)).transpose()?;
    let cell = tenant.zip(root.as_deref());
    let kvm = machine.accelerator.device()?;
    let boot_code = order.boot_code.map(|file| (BOOT_CODE, file));
    let files: Vec<_> = std::iter::once(order.firmware).chain(boot_code).collect();
    let cell = cell.map(|(tenant, root)| Cell { uid: tenant.uid, root, files: &files });
    let seen = |(name, file): (&str, &File)| match &cell {
        Some(_) => name.to_owned(),
        None => format!("/proc/self/fd/{}", file.as_raw_fd()),
    };
    let descriptors = Descriptors {
        firmware: seen(order.firmware),
        boot_code: boot_code.map(seen),
        consoles: to_qemu.iter().map(AsRawFd::as_raw_fd).collect(),
        qmp: qmp.as_raw_fd(),
        gdb: gdb.as_ref().map(AsRawFd::as_raw_fd),
        kvm: kvm.as_ref().map(AsRawFd::as_raw_fd),
        restored: recipe.restored,
    };
    let keep = std::iter::once(qmp.as_fd())
        .chain(files.iter().filter(|_| cell.is_none()).map(|(_, file)| file.as_fd()))
        .chain(consoles.iter().flat_map(Pty::ends))
        .chain(to_qemu.iter().map(AsFd::as_fd))
        .chain(gdb.as_ref().map(AsFd::as_fd))
        .chain(kvm.as_ref().map(AsFd::as_fd))
        .collect();
    let mut command = command(&program, &log)?;
    command.args(arguments(order.name, machine, &descriptors));
    let limits = Limits::of_qemu(machine.memory_mb, machine.cpus, cell.is_some());
    let confinement = Confinement {
        cell,
        keep,
        cgroups: &recipe.cgroups,
        oom_score: Some(OomScore::at_least(recipe.oom_score)),
        limits,
        filter: if kvm.is_some() { Filter::qemu_with_kvm() } else { Filter::qemu() },
    };
    let process = Process::of_child(jail::spawn(&program, command, &confinement)?)?;
    let record = record(order.dir);
    if let Err(e) = std::fs::write(&record, serde_json::json!(process.id()).to_string()) {
        process.kill();
        return Err(file("write", record)(e));
    }
    // Beside QEMU, which needs longer to be spoken to.
    let mut ports = Vec::new();
    for console in &consoles {
        console.keep_with(&process);
        match LoosePort::new(console, tenant, &recipe.rings) {
            Ok(port) => ports.push(port),
            Err(e) => {
                process.kill();
                ports.into_iter().for_each(LoosePort::end);
                return Err(e);
            }
        }
    }
    // QEMU alone holds the listening ends from here on, so that its death refuses the connection.
    Ok(Launched { emulator: Emulator::new(process, socket, log), ports })
}

fn listen(path: &Path) -> Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(file("replace", path)(e)),
        _ => {}
    }
    UnixListener::bind(path).map_err(file("listen on", path))
}

fn command(program: &Path, log: &Path) -> Result<Command> {
    let output: File = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(log)
        .map_err(file("create", log))?;
    let errors = output.try_clone().map_err(system("share a log file"))?;
    let mut command = Command::new(program);
    command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(output).stderr(errors);
    Ok(command)
}

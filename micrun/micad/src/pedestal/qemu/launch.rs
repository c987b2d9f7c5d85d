//! From a firmware to a QEMU process that waits to be spoken to. All of this blocks.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libmica::names::JAILED_FIRMWARE;

use super::command_line::{Descriptors, arguments};
use super::emulator::Emulator;
use super::guest::{QemuGuest, Saved};
use super::image::Image;
use super::machine::Machine;
use super::{log_file, qmp_socket};
use crate::Result;
use crate::error::{file, system};
use crate::jail::{self, Cell, Confinement, Filter, Limits, OomScore, Tenant};
use crate::pedestal::console::Console;
use crate::pedestal::process::Process;
use crate::pedestal::{ClientSpec, gdb};

/// The boot code's name in the process's working directory, where the firmware is [`JAILED_FIRMWARE`].
const BOOT_CODE: &str = "boot-code";

/// How to start a QEMU.
pub(super) struct Recipe {
    /// Directory of the emulators.
    pub(super) bin_dir: PathBuf,
    /// User of the process; `None` if the daemon cannot change users.
    pub(super) tenant: Option<Tenant>,
    /// The `cgroup.procs` files of the cgroups that it joins.
    pub(super) cgroups: Vec<OwnedFd>,
    /// How soon the kernel is to kill it when memory runs out.
    pub(super) oom_score: u16,
    /// Whether the machine is to take up a saved state.
    pub(super) restored: bool,
}

/// Starts a QEMU with the machine stopped. On an error nothing is left behind.
pub(super) fn launch(
    spec: &ClientSpec,
    image: &Image,
    machine: &Machine,
    recipe: &Recipe,
) -> Result<QemuGuest> {
    let consoles = Consoles::open(spec)?;
    match spawn(spec, image, machine, &consoles, recipe) {
        Ok((emulator, saved)) => {
            let Consoles { first, second } = consoles.shared();
            Ok(QemuGuest { emulator, console: Some(first), shell: second, saved })
        }
        Err(e) => {
            consoles.close();
            Err(e)
        }
    }
}

/// The machine's serial ports.
struct Consoles {
    first: Console,
    second: Option<Console>,
}

impl Consoles {
    fn open(spec: &ClientSpec) -> Result<Self> {
        let first = Console::open(&spec.tty_link)?;
        match spec.shell_link.as_deref().map(Console::open).transpose() {
            Ok(second) => Ok(Self { first, second }),
            Err(e) => {
                first.close();
                Err(e)
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Console> {
        std::iter::once(&self.first).chain(&self.second)
    }

    /// The same, whose slaves a process has by now.
    fn shared(self) -> Self {
        Self { first: self.first.shared(), second: self.second.map(Console::shared) }
    }

    fn close(self) {
        self.first.close();
        if let Some(second) = self.second {
            second.close();
        }
    }
}

fn spawn(
    spec: &ClientSpec,
    image: &Image,
    machine: &Machine,
    consoles: &Consoles,
    recipe: &Recipe,
) -> Result<(Emulator, Saved)> {
    let qmp = listen(&qmp_socket(spec))?;
    let gdb_socket = spec.dir.join("gdb.sock");
    let gdb = if spec.message.debug { Some(listen(&gdb_socket)?) } else { None };
    // QEMU closes what -add-fd gives it; the originals stay for a later daemon.
    let to_qemu = consoles.all().map(Console::share_master).collect::<Result<Vec<OwnedFd>>>()?;
    let program = recipe.bin_dir.join(machine.program);
    let tenant = recipe.tenant.as_ref();
    let root = tenant.map(|tenant| tenant.roots.emulator(&program)).transpose()?;
    let cell = tenant.zip(root.as_deref());
    let files: Vec<_> = std::iter::once((JAILED_FIRMWARE, image.file()))
        .chain(image.boot_code().map(|file| (BOOT_CODE, file)))
        .collect();
    let cell = cell.map(|(tenant, root)| Cell { uid: tenant.uid, root, files: &files });
    let seen = |name: &str, file: &File| match &cell {
        Some(_) => name.to_owned(),
        None => format!("/proc/self/fd/{}", file.as_raw_fd()),
    };
    let descriptors = Descriptors {
        firmware: seen(JAILED_FIRMWARE, image.file()),
        boot_code: image.boot_code().map(|file| seen(BOOT_CODE, file)),
        consoles: to_qemu.iter().map(AsRawFd::as_raw_fd).collect(),
        qmp: qmp.as_raw_fd(),
        gdb: gdb.as_ref().map(AsRawFd::as_raw_fd),
        restored: recipe.restored,
    };
    let keep = std::iter::once(qmp.as_fd())
        .chain(files.iter().filter(|_| cell.is_none()).map(|(_, file)| file.as_fd()))
        .chain(consoles.all().flat_map(Console::ends))
        .chain(to_qemu.iter().map(AsFd::as_fd))
        .chain(gdb.as_ref().map(AsFd::as_fd))
        .collect();
    let log = log_file(spec);
    let mut command = command(&program, &log)?;
    command.args(arguments(spec, machine, &descriptors));
    let limits = Limits::of_qemu(machine.memory_mb, machine.cpus, cell.is_some());
    let confinement = Confinement {
        cell,
        keep,
        cgroups: &recipe.cgroups,
        oom_score: Some(OomScore::at_least(recipe.oom_score)),
        limits,
        filter: Filter::qemu(),
    };
    let process = Process::of_child(jail::spawn(&program, command, &confinement)?)?;
    let (master, slave) = consoles.first.numbers();
    let saved = Saved {
        process: process.id(),
        master,
        slave,
        shell: consoles.second.as_ref().map(Console::numbers),
        exit_record: image.info().exit_record,
        gdb: gdb.is_some().then(|| gdb::command(&spec.message.path, &gdb_socket.display().to_string())),
        patch: None,
    };
    // QEMU alone holds the listening ends from here on, so that its death refuses the connection.
    Ok((Emulator::new(process, qmp_socket(spec), log), saved))
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

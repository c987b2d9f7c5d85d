//! Bringing a QEMU up, and taking one over.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use libmica::{ClientState, Launch};
use serde_json::json;

use super::command_line::{Descriptors, arguments};
use super::guest::{QemuGuest, Saved};
use super::image::Image;
use super::qmp::Qmp;
use super::{Qemu, machine, migration};
use crate::error::{file, system};
use crate::pedestal::console::Console;
use crate::pedestal::process::Process;
use crate::pedestal::{ClientSpec, Guest};
use crate::{Error, Result, sys};

/// How long QEMU may take from its start to its QMP handshake: 40 ms on a PC, 2 s inside an emulated machine.
const HANDSHAKE_BOUND: Duration = Duration::from_secs(20);

/// How long a QEMU of an earlier daemon may take for the same: it is up already.
const ADOPT_BOUND: Duration = Duration::from_secs(2);

fn qmp_socket(spec: &ClientSpec) -> PathBuf {
    spec.dir.join("qmp.sock")
}

fn log_file(spec: &ClientSpec) -> PathBuf {
    spec.dir.join("qemu.log")
}

/// Boots the client's firmware. QEMU starts with the machine stopped, so that it is ready to be told, and its
/// console complete, before the firmware's first instruction.
pub(super) async fn start(pedestal: &Qemu, spec: &ClientSpec, launch: Launch) -> Result<QemuGuest> {
    // One that could not be taken over must not go on beside its successor.
    sweep(spec).await;
    let image = Image::load(&spec.message.path)?;
    let machine = machine::choose(spec, &image)?;
    let consoles = Consoles::open(spec)?;
    match launch_and_connect(pedestal, spec, &image, &machine, &consoles, launch).await {
        Ok(guest) => Ok(QemuGuest { console: Some(consoles.first), shell: consoles.second, ..guest }),
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

    fn close(self) {
        self.first.close();
        if let Some(second) = self.second {
            second.close();
        }
    }
}

async fn launch_and_connect(
    pedestal: &Qemu,
    spec: &ClientSpec,
    image: &Image,
    machine: &machine::Machine,
    consoles: &Consoles,
    launch: Launch,
) -> Result<QemuGuest> {
    let qmp = listen(&qmp_socket(spec))?;
    let gdb_socket = spec.dir.join("gdb.sock");
    let gdb = if spec.message.debug { Some(listen(&gdb_socket)?) } else { None };
    let (master, slave) = consoles.first.numbers();
    let shell = consoles.second.as_ref().map(Console::numbers);
    // QEMU closes what -add-fd gives it; the original stays for `adopt`.
    let to_qemu = consoles.all().map(Console::share_master).collect::<Result<Vec<OwnedFd>>>()?;
    let descriptors = Descriptors {
        firmware: image.file().as_raw_fd(),
        consoles: to_qemu.iter().map(AsRawFd::as_raw_fd).collect(),
        qmp: qmp.as_raw_fd(),
        gdb: gdb.as_ref().map(AsRawFd::as_raw_fd),
        restored: launch.snapshot.is_some(),
    };
    let keep: Vec<RawFd> = [descriptors.firmware, descriptors.qmp, master, slave]
        .into_iter()
        .chain(shell.into_iter().flat_map(|(master, slave)| [master, slave]))
        .chain(descriptors.consoles.iter().copied())
        .chain(descriptors.gdb)
        .collect();
    let log = log_file(spec);
    let output = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&log)
        .map_err(file("create", &log))?;
    let emulator = pedestal.bin_dir.join(machine.emulator.program);
    let uid = pedestal.uid_base.map(|base| base.saturating_add(spec.slot));
    let mut command = command(&emulator, &output)?;
    command.args(arguments(spec, machine, &descriptors));
    let mut child =
        sys::spawn_confined(&mut command, uid, keep, launch.cgroups).map_err(file("run", &emulator))?;
    let process = match Process::open(&child) {
        Ok(process) => process,
        Err(e) => {
            // Not without watching it. The failures possible are those of a process that is gone.
            let _ = child.kill().and_then(|()| child.wait().map(drop));
            return Err(e);
        }
    };
    // From here on the process is watched and reaped by its pidfd; dropping `child` does neither.
    let mut guest = QemuGuest {
        qmp: None,
        socket: qmp_socket(spec),
        retry: tokio::time::Instant::now(),
        console: None,
        shell: None,
        saved: Saved {
            process: process.id(),
            master,
            slave,
            shell,
            exit_record: image.info().exit_record,
            gdb: gdb.is_some().then(|| gdb_command(&spec.message.path, &gdb_socket)),
        },
        state: ClientState::Running,
        log,
        process,
    };
    // QEMU now holds the only listening end, so that its death refuses the connection.
    drop((qmp, gdb, to_qemu));
    match handshake(&mut guest, &qmp_socket(spec), launch.snapshot).await {
        Ok(()) => Ok(guest),
        Err(problem) => {
            let died = guest.process.ended_within(Duration::ZERO).await;
            let kind = guest.terminate().await?;
            let problem = if died { guest.death(kind).detail } else { problem.sentence() };
            Err(Error::QemuStart { problem })
        }
    }
}

/// Negotiates, puts the machine into the state of the snapshot, if there is one, and lets it run.
async fn handshake(guest: &mut QemuGuest, socket: &Path, snapshot: Option<OwnedFd>) -> Result<()> {
    let connected = tokio::select! {
        biased;
        qmp = Qmp::connect(socket) => qmp,
        () = guest.process.ended() => Err(Error::Qmp("QEMU ended".to_owned())),
        () = tokio::time::sleep(HANDSHAKE_BOUND) => Err(Error::QmpTimeout("qmp_capabilities")),
    };
    let ready = async {
        let mut qmp = connected?;
        if let Some(snapshot) = snapshot {
            migration::load(&mut qmp, snapshot).await?;
        }
        Ok(qmp)
    };
    guest.qmp = Some(match ready.await {
        Ok(qmp) => qmp,
        Err(e) => {
            // A refused or closed connection means that QEMU is ending: its own words say why.
            guest.process.ended_within(Duration::from_secs(1)).await;
            return Err(e);
        }
    });
    guest.run().await
}

/// Takes over the QEMU that `saved` describes.
pub(super) async fn adopt(spec: &ClientSpec, saved: &serde_json::Value) -> Result<QemuGuest> {
    let saved: Saved = serde_json::from_value(saved.clone())
        .map_err(|e| Error::Config { path: spec.dir.join("state.json"), problem: e.to_string() })?;
    let gone = || {
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, "it has ended");
        Error::System { doing: "take QEMU over", source }
    };
    let process = Process::adopt(saved.process).ok_or_else(gone)?;
    let console = match Console::adopt(&process, saved.master, saved.slave, &spec.tty_link) {
        Ok(console) => console,
        Err(e) => {
            // A QEMU that cannot be controlled must not stay.
            process.kill();
            return Err(e);
        }
    };
    let shell = match (saved.shell, &spec.shell_link) {
        (Some((master, slave)), Some(link)) => Console::adopt(&process, master, slave, link)
            .inspect_err(|e| log::warn!("{}: no second console: {}", spec.name(), e.sentence()))
            .ok(),
        _ => None,
    };
    let mut guest = QemuGuest {
        process,
        qmp: None,
        socket: qmp_socket(spec),
        retry: tokio::time::Instant::now(),
        console: Some(console),
        shell,
        saved,
        state: ClientState::Running,
        log: log_file(spec),
    };
    // A QEMU whose firmware waits for a reader of its console does not answer, but it runs and can be stopped; it is
    // asked again later.
    if let Err(e) = guest.reconnect().await {
        log::warn!("{}: {}", spec.name(), e.sentence());
    }
    log::debug!("{}: taken over in state {}", spec.name(), guest.state());
    Ok(guest)
}

/// Ends a QEMU that nobody has written down: whoever still listens on the client's QMP socket is one.
pub(super) async fn sweep(spec: &ClientSpec) {
    let socket = qmp_socket(spec);
    let Ok(Ok(mut qmp)) = tokio::time::timeout(ADOPT_BOUND, Qmp::connect(&socket)).await else { return };
    log::warn!("{}: ending a QEMU that an earlier daemon left", spec.name());
    // It may close the socket instead of answering.
    let _ = qmp.execute("quit", json!({}), ADOPT_BOUND).await;
}

fn listen(path: &Path) -> Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(file("replace", path)(e)),
        _ => {}
    }
    UnixListener::bind(path).map_err(file("listen on", path))
}

fn command(emulator: &Path, output: &File) -> Result<Command> {
    let clone = || output.try_clone().map_err(system("share a log file"));
    let mut command = Command::new(emulator);
    command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(clone()?).stderr(clone()?);
    Ok(command)
}

/// The command line that upstream's `mica` hands to a shell: paths are quoted for it.
fn gdb_command(elf: &Path, socket: &Path) -> String {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    let target = format!("target remote {}", socket.display());
    format!("gdb {} -ex 'set remotetimeout unlimited' -ex {}", quoted(elf), quoted(Path::new(&target)))
}

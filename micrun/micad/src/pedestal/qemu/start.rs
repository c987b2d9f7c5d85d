//! Bringing a QEMU up, and taking one over.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use libmica::ClientState;
use serde_json::json;

use super::command_line::{Descriptors, arguments};
use super::guest::{QemuGuest, Saved};
use super::image::Image;
use super::qmp::Qmp;
use super::{Qemu, machine};
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
pub(super) async fn start(pedestal: &Qemu, spec: &ClientSpec) -> Result<QemuGuest> {
    // One that could not be taken over must not go on beside its successor.
    sweep(spec).await;
    let image = Image::load(&spec.message.path)?;
    let machine = machine::choose(&spec.message, &image)?;
    let console = Console::open(&spec.tty_link)?;
    match launch_and_connect(pedestal, spec, &image, &machine, &console).await {
        Ok(guest) => Ok(QemuGuest { console: Some(console), ..guest }),
        Err(e) => {
            console.close();
            Err(e)
        }
    }
}

async fn launch_and_connect(
    pedestal: &Qemu,
    spec: &ClientSpec,
    image: &Image,
    machine: &machine::Machine,
    console: &Console,
) -> Result<QemuGuest> {
    let qmp = listen(&qmp_socket(spec))?;
    let gdb_socket = spec.dir.join("gdb.sock");
    let gdb = if spec.message.debug { Some(listen(&gdb_socket)?) } else { None };
    let (master, slave) = console.numbers();
    // QEMU closes what -add-fd gives it; the original stays for `adopt`.
    let to_qemu = console.share_master()?;
    let descriptors = Descriptors {
        firmware: image.file().as_raw_fd(),
        console: to_qemu.as_raw_fd(),
        qmp: qmp.as_raw_fd(),
        gdb: gdb.as_ref().map(AsRawFd::as_raw_fd),
    };
    let keep: Vec<RawFd> = [descriptors.firmware, descriptors.console, master, slave, descriptors.qmp]
        .into_iter()
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
    let emulator = pedestal.bin_dir.join(machine.emulator);
    let uid = pedestal.uid_base.map(|base| base.saturating_add(spec.slot));
    let mut command = command(&emulator, &output)?;
    command.args(arguments(spec, machine, &descriptors));
    let mut child = sys::spawn_confined(&mut command, uid, keep).map_err(file("run", &emulator))?;
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
        console: None,
        saved: Saved {
            process: process.id(),
            master,
            slave,
            exit_record: image.info().exit_record,
            gdb: gdb.is_some().then(|| gdb_command(&spec.message.path, &gdb_socket)),
        },
        state: ClientState::Running,
        log,
        process,
    };
    // QEMU now holds the only listening end, so that its death refuses the connection.
    drop((qmp, gdb, to_qemu));
    match handshake(&mut guest, &qmp_socket(spec)).await {
        Ok(()) => Ok(guest),
        Err(problem) => {
            let died = guest.process.ended_within(Duration::ZERO).await;
            let kind = guest.terminate().await?;
            let problem = if died { guest.death(kind).detail } else { problem.sentence() };
            Err(Error::QemuStart { problem })
        }
    }
}

/// Negotiates and lets the machine run.
async fn handshake(guest: &mut QemuGuest, socket: &Path) -> Result<()> {
    let connected = tokio::select! {
        biased;
        qmp = Qmp::connect(socket) => qmp,
        () = guest.process.ended() => Err(Error::Qmp("QEMU ended".to_owned())),
        () = tokio::time::sleep(HANDSHAKE_BOUND) => Err(Error::QmpTimeout("qmp_capabilities")),
    };
    guest.qmp = Some(match connected {
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
    let mut guest = QemuGuest {
        process,
        qmp: None,
        console: Some(console),
        saved,
        state: ClientState::Running,
        log: log_file(spec),
    };
    // A QEMU whose firmware waits for a reader of its console does not answer, but it runs and can be stopped.
    let connected = tokio::time::timeout(ADOPT_BOUND, Qmp::connect(&qmp_socket(spec))).await;
    match connected {
        Ok(Ok(qmp)) => guest.qmp = Some(qmp),
        Ok(Err(e)) => log::warn!("{}: {}", spec.name(), e.sentence()),
        Err(_) => log::warn!("{}: {}", spec.name(), Error::QmpTimeout("qmp_capabilities").sentence()),
    }
    guest.resync().await;
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

//! Everything that can go wrong in the daemon, once.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, on what, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or socket could not be used.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was being done: `read`, `create` ...
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The system refused something that has no file.
    #[error("cannot {doing}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A message or name breaks the protocol.
    #[error(transparent)]
    Protocol(#[from] libmica::Error),
    /// Another daemon has this runtime directory.
    #[error("another micad already serves {}: stop it first or use another --runtime-dir", dir.display())]
    AlreadyServed {
        /// The runtime directory.
        dir: PathBuf,
    },
    /// The configuration of the daemon is wrong.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what is expected.
        problem: String,
    },
    /// The policy of the host forbids what a client asks for.
    #[error(transparent)]
    Policy(#[from] micrun_firmware::Error),
    /// A client's configuration is wrong.
    #[error("{}", path.display())]
    ClientConf {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: micrun_firmware::Error,
    },
    /// The firmware of a client does not exist. The words are upstream's.
    #[error("No such file: {}", .0.display())]
    NoSuchFile(PathBuf),
    /// The firmware cannot run here.
    #[error("firmware {} cannot run on the {pedestal} pedestal: {problem}", path.display())]
    Firmware {
        /// The ELF.
        path: PathBuf,
        /// The pedestal.
        pedestal: &'static str,
        /// Why not.
        problem: String,
    },
    /// A client of that name exists. The words are upstream's.
    #[error("{0} is already created")]
    AlreadyCreated(String),
    /// Every number for a client is taken.
    #[error("there are too many clients: remove some with `mica rm`")]
    TooManyClients,
    /// A client was removed while a command for it was waiting.
    #[error("{0} has been removed")]
    Removed(String),
    /// No pedestal of that name.
    #[error(
        "pedestal {asked:?} is not available in this daemon (available: {known}): set Pedestal in the client's conf, or DefaultPedestal in micad.conf"
    )]
    UnknownPedestal {
        /// What the client asked for.
        asked: String,
        /// What there is.
        known: String,
    },
    /// A command that does not fit the client's state.
    #[error("cannot {command} {name}: it is {state}")]
    WrongState {
        /// The command.
        command: &'static str,
        /// The client.
        name: String,
        /// Its state.
        state: libmica::ClientState,
    },
    /// Firmware that runs was not changed.
    #[error("the firmware was not patched and runs as before: {problem}")]
    NotPatched {
        /// Why not.
        problem: String,
    },
    /// Firmware was changed in part, which could not be undone.
    #[error(
        "the firmware's memory was changed in part, so the firmware was stopped: start the client anew; {problem}"
    )]
    HalfPatched {
        /// What went wrong.
        problem: String,
    },
    /// A client without a console, or that was never started.
    #[error("{name} has no console: start it first, and see whether its firmware has announced one")]
    NoConsole {
        /// The client.
        name: String,
    },
    /// No stream of that name.
    #[error("{name} has no stream {stream:?}: it has {known}")]
    NoStream {
        /// The client.
        name: String,
        /// What was asked for.
        stream: String,
        /// What there is.
        known: String,
    },
    /// A command that is of no use any more: the client is being stopped or removed, or the daemon ends.
    #[error("cannot {command} {name}: it was told to stop meanwhile")]
    Ending {
        /// The command.
        command: &'static str,
        /// The client.
        name: String,
    },
    /// A wait for a client that has never run.
    #[error("{0} was never started")]
    NeverStarted(String),
    /// The client was not created for debugging.
    #[error(
        "{name} was not created for debugging: put `Debug = yes` into [Mica] of its client.conf, remove the client, and create and start it again"
    )]
    NotForDebugging {
        /// The client.
        name: String,
    },
    /// What runs the firmware has no debugger.
    #[error(
        "{name} cannot be debugged: the driver of its core does not show registers and memory; use the board's JTAG or SWD probe, or run the firmware on the qemu pedestal"
    )]
    NoDebugger {
        /// The client.
        name: String,
    },
    /// The pedestal cannot change this.
    #[error("the {pedestal} pedestal cannot change {key} of a client: remove the client and create it again")]
    SetUnsupported {
        /// The pedestal.
        pedestal: &'static str,
        /// The key of the `set` command.
        key: String,
    },
    /// The pedestal cannot write down or take up the state of what it runs.
    #[error("the {pedestal} pedestal has no checkpoints: the state of a core cannot be read or set")]
    CheckpointUnsupported {
        /// The pedestal.
        pedestal: &'static str,
    },
    /// What a state was patched to is not told as it must be.
    #[error("the digest of what the state was patched to cannot be used: {0}")]
    RestoredPatch(&'static str),
    /// What the log is to say of a client is not told as it must be.
    #[error("the labels for the log cannot be used: {0}")]
    Labels(&'static str),
    /// A command came without the descriptor that it is about.
    #[error("`{0}` needs an open file that is sent with it: upstream's commands cannot send one")]
    NoDescriptor(&'static str),
    /// The state of a machine did not come through.
    #[error("the machine's state could not be {doing}: {problem}")]
    Migration {
        /// `saved` or `restored`.
        doing: &'static str,
        /// QEMU's words.
        problem: String,
    },
    /// The client was stopped, removed or left alone while the state of its machine was on the way.
    #[error("the machine's state was not {doing}: the client was told to stop meanwhile")]
    Cancelled {
        /// `saved` or `restored`.
        doing: &'static str,
    },
    /// Bare metal was asked for on a machine that has none to give.
    #[error(
        "there is no remoteproc to run firmware on: load the board's remoteproc driver (mica_rproc for a spare core), or set Pedestal = qemu"
    )]
    NoRemoteproc,
    /// The remoteproc that was asked for, or any, cannot be used.
    #[error("{problem}")]
    RemoteprocUnusable {
        /// Which, and why, and what else there is.
        problem: String,
    },
    /// Firmware cannot be put where the kernel looks for it.
    #[error(
        "cannot put firmware into {}: set FirmwareDir in micad.conf to a writable directory that the kernel searches (firmware_class.path)",
        dir.display()
    )]
    FirmwareDir {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A remoteproc did not start.
    #[error("{remoteproc} did not start: {problem}")]
    RemoteprocStart {
        /// Its id and name.
        remoteproc: String,
        /// The kernel's words, and what to do.
        problem: String,
    },
    /// A terminal that firmware has announced cannot be used.
    #[error("the terminal {device} cannot be used: {problem}")]
    Terminal {
        /// The rpmsg device.
        device: String,
        /// Why not, and what to do.
        problem: &'static str,
    },
    /// Firmware still runs after a stop.
    #[error("{remoteproc} did not stop, and its firmware keeps running: {problem}")]
    NotStopped {
        /// Its id and name.
        remoteproc: String,
        /// The kernel's words.
        problem: String,
    },
    /// A remoteproc's driver, or the machine, lacks something.
    #[error("{remoteproc} cannot {doing}: {problem}")]
    RemoteprocCannot {
        /// Its id and name.
        remoteproc: String,
        /// What was asked for.
        doing: &'static str,
        /// Why not.
        problem: String,
    },
    /// A program cannot be started in a jail.
    #[error("cannot start {} in its jail: the kernel did not let micad {doing}", program.display())]
    Jail {
        /// The program.
        program: PathBuf,
        /// What was refused, and what it needs.
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not known which files a program needs.
    #[error("cannot make a jail for {}: {problem}", program.display())]
    JailFiles {
        /// The program.
        program: PathBuf,
        /// Why not.
        problem: String,
    },
    /// A file cannot be shown to a program in a jail.
    #[error("cannot make a jail for {}: {} cannot be mounted in it", program.display(), path.display())]
    JailRoot {
        /// The program.
        program: PathBuf,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// QEMU did not come up.
    #[error("QEMU did not start: {problem}")]
    QemuStart {
        /// Its last words, or what it did not do.
        problem: String,
    },
    /// QEMU's control socket said something unexpected.
    #[error("QEMU's control socket: {0}")]
    Qmp(String),
    /// QEMU did not answer in time.
    #[error("QEMU did not answer `{0}` in time: is its console full? Read the console, or stop the client")]
    QmpTimeout(&'static str),
    /// A client cannot be watched over like that.
    #[error("the client cannot be watched over like that: {problem}")]
    Watch {
        /// Why not.
        problem: String,
    },
    /// There is no core of a run that has ended.
    #[error("no core was written: {problem}")]
    Core {
        /// Why not.
        problem: String,
    },
    /// QEMU survived SIGKILL.
    #[error("process {0} did not end, not even after SIGKILL: see its state in /proc")]
    Unkillable(i32),
}

impl Error {
    /// The error with all its causes, as one line for a reply or a log.
    pub fn sentence(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// Turns an [`std::io::Error`] into [`Error::File`]: `.map_err(file("read", path))`.
pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.into();
    move |source| Error::File { doing, path, source }
}

/// Whether there is something at `path`. That nobody may look is not that there is nothing.
pub(crate) fn is_there(path: &Path) -> Result<bool> {
    match path.metadata() {
        Ok(_) => Ok(true),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(e) => Err(file("look for", path)(e)),
    }
}

/// Turns an error of the system into [`Error::System`].
pub(crate) fn system<E: Into<std::io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::System { doing, source: source.into() }
}

/// Creates a directory that only the daemon's user can enter; it may exist.
pub(crate) fn private_dir(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(file("create", path))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(path, mode).map_err(file("protect", path))
}

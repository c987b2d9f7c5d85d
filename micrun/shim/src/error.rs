//! Everything that can go wrong in the shim, and the one place that chooses the RPC code for it.

use std::io;
use std::path::PathBuf;

use containerd_shim_protos::ttrpc::{self, Code};

/// An error of the shim.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line or the bootstrap parameters make no sense.
    #[error("{0}; containerd starts this program, see `containerd-shim-mica-v2 -help`")]
    Usage(String),

    /// No container with this id lives in this shim.
    #[error("container not found: this shim holds no container `{0}`")]
    NotFound(String),

    /// No sandbox with this id lives in this shim.
    #[error("sandbox not found: this shim holds no sandbox `{0}`")]
    NoSuchSandbox(String),

    /// No command with this id was given to the container's shell.
    #[error("process does not exist: container `{id}` has no exec `{exec_id}`")]
    NoSuchExec {
        /// The container.
        id: String,
        /// The process asked for.
        exec_id: String,
    },

    /// Create or Exec for an id that is already there; the text names which.
    #[error("{0} already exists in this shim; delete it first")]
    AlreadyExists(String),

    /// The container's state does not allow the request.
    #[error("{subject} is {state}, so it cannot be {verb}")]
    State {
        /// What it is about: ``container `c` ``.
        subject: String,
        /// The state it is in.
        state: &'static str,
        /// What was asked, as a participle: `started`, `deleted`.
        verb: &'static str,
    },

    /// Kill for what has already ended; the text names it. containerd maps `NotFound` to "process already finished".
    #[error("{0} has already finished")]
    Finished(String),

    /// The firmware has not shown the sign that its start waits for.
    #[error("container `{id}` did not become ready (`{sign}`): {reason}")]
    NotReady {
        /// The container.
        id: String,
        /// The sign, as the annotation names it.
        sign: String,
        /// What was seen instead.
        reason: String,
    },

    /// The firmware takes more memory than its container may have.
    #[error(
        "the firmware `{}` of {size} bytes does not fit into the memory limit of its container; raise the limit, or \
         remove what is not loaded from the ELF (`strip`)",
        path.display()
    )]
    TooLarge {
        /// The firmware, in the image.
        path: PathBuf,
        /// Its size.
        size: u64,
    },

    /// A cgroup above the container's cannot hold its firmware.
    #[error(
        "the cgroup `{}` may have {most} MiB of memory, which is not enough for the firmware `{id}`: it needs {memory} \
         MiB, its emulator {overhead} MiB, and other firmware of the pod {others} MiB; raise the limits of the pod's \
         containers or the overhead of its RuntimeClass, or lower emulator_overhead_mb in micrun.conf",
        path.display()
    )]
    PodMemory {
        /// The cgroup.
        path: PathBuf,
        /// What it may have.
        most: u64,
        /// The container.
        id: String,
        /// The memory of its machine.
        memory: u32,
        /// What comes on top.
        overhead: u32,
        /// What is promised to others.
        others: u64,
    },

    /// A command would need the console, on which somebody else may type.
    #[error(
        "exec in container `{0}` is refused: its console is in use, and its shell has no second terminal; detach from \
         the container, or run it without stdin, and try again"
    )]
    ConsoleInUse(String),

    /// The client's id or request breaks a limit or a rule.
    #[error("{0}")]
    Invalid(String),

    /// The image or its annotations are no firmware that can run.
    #[error(transparent)]
    Firmware(#[from] micrun_firmware::Error),

    /// The mica daemon refused, failed or is not there.
    #[error(transparent)]
    Mica(#[from] libmica::Error),

    /// A standard stream cannot be had.
    #[error("the container's {stream} `{path}` cannot be opened")]
    Stdio {
        /// `stdin`, `stdout` or `stderr`.
        stream: &'static str,
        /// The path that containerd gave.
        path: String,
        /// What the system said.
        source: io::Error,
    },

    /// A stdio URI of a kind that the shim does not speak, or none.
    #[error("the {stream} URI `{uri}` is not supported: {reason}")]
    StdioUri {
        /// `stdin`, `stdout` or `stderr`.
        stream: &'static str,
        /// The URI that containerd gave.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A logging program (`binary://`) failed.
    #[error("the logging program `{program}` {reason}")]
    Logger {
        /// The program.
        program: String,
        /// What it did, or did not do.
        reason: String,
    },

    /// A system call on a path failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was being done, as an infinitive: `read`, `create`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// A JSON file of the bundle or of our own state cannot be read.
    #[error("cannot parse `{}`", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },

    /// A root file system mount failed.
    #[error("cannot mount the root file system ({kind}) on `{}`", target.display())]
    Mount {
        /// File system type.
        kind: String,
        /// Mount point.
        target: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// Mount options that are wrong, or that this machine cannot honour.
    #[error("the options of the root file system's mount ({kind}) are refused: {reason}")]
    MountOptions {
        /// File system type.
        kind: String,
        /// What is wrong with them.
        reason: String,
    },

    /// The request is one that this kind of container cannot serve.
    #[error("{0}")]
    Unimplemented(&'static str),

    /// The ttrpc transport failed.
    #[error("ttrpc: {0}")]
    Ttrpc(#[from] ttrpc::Error),

    /// The kernel has no cgroups, or none is mounted.
    #[error("no cgroup hierarchy is mounted on this host, so nothing can be limited or measured")]
    NoCgroups,

    /// Something else lives where the container's cgroup belongs.
    #[error("the cgroup `{}` exists and cannot be replaced: does another container use it?", path.display())]
    CgroupInUse {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The option `ShimCgroup` cannot be followed.
    #[error("the shim cannot be put into the cgroup `{path}` (runtime option ShimCgroup): {reason}")]
    ShimCgroup {
        /// The option's value.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The kernel refused a limit.
    #[error("the kernel refused the limit `{text}` for {what}; nothing was changed")]
    Limit {
        /// The file of the cgroup.
        what: &'static str,
        /// What was written.
        text: String,
        /// What the system said.
        source: io::Error,
    },

    /// A file was written by a later version of this program.
    #[error(
        "the {what} has version {found}, but this shim knows no version above {known}; use the shim that wrote it"
    )]
    Newer {
        /// Which file.
        what: &'static str,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },

    /// Nothing that runs Linux containers is installed. containerd's own shim has Go's quotes around the name, which
    /// clients look for.
    #[error(
        "Linux containers need an OCI runtime, but \"{0}\" is not on PATH; install crun, or name another one"
    )]
    NoRuntime(String),

    /// The OCI runtime refused or failed.
    #[error("OCI runtime {action} of `{id}` failed: {reason}")]
    Runtime {
        /// The command.
        action: &'static str,
        /// The container.
        id: String,
        /// Its own words.
        reason: String,
    },

    /// The process that holds a sandbox's namespaces could not take them.
    #[error("the namespaces of sandbox `{id}` cannot be held: {reason}")]
    Holder {
        /// The sandbox.
        id: String,
        /// The holder's own words.
        reason: String,
    },

    /// A message for containerd cannot be written as protobuf; always a defect of the shim.
    #[error("the {what} cannot be encoded; this is a defect of the shim")]
    Encode {
        /// Which message.
        what: &'static str,
        /// What is wrong with it.
        source: containerd_shim_protos::protobuf::Error,
    },

    /// systemd did not make a scope.
    #[error("systemd did not start `{unit}` for the container's cgroup: {reason}")]
    Scope {
        /// The unit.
        unit: String,
        /// The words of systemd-run.
        reason: String,
    },

    /// A signal cannot be sent.
    #[error("cannot send signal {number} to {subject}")]
    Signal {
        /// Its number.
        number: u32,
        /// What it is for: ``exec `e` of container `c` ``.
        subject: String,
        /// What the system said.
        source: io::Error,
    },

    /// A background task of the shim died; always a defect of the shim.
    #[error("an internal task of the shim ended early; this is a defect of the shim")]
    Task(#[from] tokio::task::JoinError),
}

/// Why exec is refused; the first words are upstream's, which scripts look for.
pub(crate) const EXEC_NO_PROMPT: &str = "micrun does not support exec task, task are immutable inside client os: \
    only firmware with a shell accepts commands, and container.shell_prompt must name its prompt, see FIRMWARE.md";

impl Error {
    /// Shorthand for [`Error::Io`], to be used with `map_err`.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Shorthand for [`Error::Encode`], to be used with `map_err`.
    pub(crate) fn encode(what: &'static str) -> impl FnOnce(containerd_shim_protos::protobuf::Error) -> Self {
        move |source| Self::Encode { what, source }
    }

    fn code(&self) -> Code {
        match self {
            Self::NotFound(_) | Self::NoSuchSandbox(_) | Self::NoSuchExec { .. } | Self::Finished(_) => {
                Code::NOT_FOUND
            }
            Self::AlreadyExists(_) | Self::CgroupInUse { .. } => Code::ALREADY_EXISTS,
            Self::State { .. }
            | Self::NotReady { .. }
            | Self::TooLarge { .. }
            | Self::PodMemory { .. }
            | Self::ConsoleInUse(_)
            | Self::NoRuntime(_)
            | Self::NoCgroups
            | Self::Newer { .. } => Code::FAILED_PRECONDITION,
            Self::Usage(_)
            | Self::Signal { .. }
            | Self::Invalid(_)
            | Self::MountOptions { .. }
            | Self::StdioUri { .. }
            | Self::ShimCgroup { .. }
            | Self::Limit { .. } => Code::INVALID_ARGUMENT,
            Self::Unimplemented(_) => Code::UNIMPLEMENTED,
            Self::Mica(error) => mica_code(error),
            Self::Firmware(error) => firmware_code(error),
            Self::Io { .. }
            | Self::Stdio { .. }
            | Self::Logger { .. }
            | Self::Json { .. }
            | Self::Mount { .. }
            | Self::Runtime { .. }
            | Self::Holder { .. }
            | Self::Encode { .. }
            | Self::Scope { .. }
            | Self::Ttrpc(_)
            | Self::Task(_) => Code::INTERNAL,
        }
    }
}

impl From<Error> for ttrpc::Error {
    fn from(error: Error) -> Self {
        if let Error::Ttrpc(inner) = error {
            return inner;
        }
        Self::RpcStatus(ttrpc::get_status(error.code(), describe(&error)))
    }
}

/// The message with those of its causes: over the wire and in the log there is only one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The daemon's refusals as RPC codes. What it says in words stays `FailedPrecondition`: it is alive and well
/// and will say the same again.
fn mica_code(error: &libmica::Error) -> Code {
    use libmica::Error as E;
    match error {
        E::DaemonNotRunning { .. } | E::OutOfReach { .. } | E::Io { .. } => Code::UNAVAILABLE,
        E::ClientNotFound { .. } => Code::NOT_FOUND,
        E::AlreadyExists { .. } => Code::ALREADY_EXISTS,
        E::Timeout { .. } => Code::DEADLINE_EXCEEDED,
        E::Unsupported { .. } => Code::UNIMPLEMENTED,
        E::Failed { .. } => Code::FAILED_PRECONDITION,
        E::MalformedReply { .. } => Code::INTERNAL,
        _ => Code::INVALID_ARGUMENT,
    }
}

/// What is wrong with an image is its packer's to mend; what the host's disk does is not, nor is a file that changes
/// under the shim.
fn firmware_code(error: &micrun_firmware::Error) -> Code {
    use micrun_firmware::Error as E;
    match error {
        E::Io { .. } => Code::INTERNAL,
        E::Policy { .. } => Code::PERMISSION_DENIED,
        E::HostConf { .. } | E::Changed { .. } | E::OtherBoard { .. } => Code::FAILED_PRECONDITION,
        _ => Code::INVALID_ARGUMENT,
    }
}

/// Result of the shim's operations.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

//! Everything that can go wrong with the protocol, once.

use std::path::PathBuf;
use std::time::Duration;

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, on what, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text does not fit its field of the create message.
    #[error("{field} is {actual} bytes long, but the mica protocol has room for {limit}: shorten it")]
    TooLong {
        /// Name of the field, as in the protocol's table.
        field: &'static str,
        /// Bytes given.
        actual: usize,
        /// Bytes that fit.
        limit: usize,
    },
    /// A text holds a NUL byte, which would end it early on the wire.
    #[error("{field} holds a NUL byte, which would cut it short on the wire: remove it")]
    Nul {
        /// Name of the field.
        field: &'static str,
    },
    /// A client name that cannot be used.
    #[error("client name {name:?} cannot be used: {reason}")]
    InvalidName {
        /// The name as given.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A create message has an unexpected length.
    #[error("a create message has {expected} bytes, got {actual}: {hint}")]
    CreateLength {
        /// Bytes received.
        actual: usize,
        /// [`crate::create::SIZE`].
        expected: usize,
        /// Which older layout has this length, if one has.
        hint: &'static str,
    },
    /// A text of a received create message is not terminated by NUL.
    #[error("{field} of the create message is not terminated: it must be at most {limit} bytes long")]
    Unterminated {
        /// Name of the field.
        field: &'static str,
        /// Bytes that fit.
        limit: usize,
    },
    /// A text of a received message is not UTF-8.
    #[error("{field} is not valid UTF-8")]
    NotUtf8 {
        /// Name of the field.
        field: &'static str,
    },
    /// A control command is longer than a control message.
    #[error(
        "the command {command:?} is {actual} bytes long, but a control message has {limit}: shorten the value"
    )]
    CommandTooLong {
        /// The text of the command.
        command: String,
        /// Its length in bytes.
        actual: usize,
        /// [`crate::command::MAX_LEN`].
        limit: usize,
    },
    /// A `set` that has not exactly a key and a value.
    #[error("Invalid set command. Usage: set <key> <value>")]
    InvalidSet,
    /// A command this crate does not know.
    #[error("Invalid command: {0}")]
    UnknownCommand(String),
    /// A socket path that `sockaddr_un` cannot hold.
    #[error("the socket path {path:?} is longer than {limit} bytes: use a shorter directory or name")]
    SocketPathTooLong {
        /// The path.
        path: PathBuf,
        /// Bytes that fit.
        limit: usize,
    },
    /// The daemon's reply cannot be understood.
    #[error("the mica daemon's reply to `{command}` cannot be understood: {problem}")]
    MalformedReply {
        /// The request.
        command: String,
        /// What is wrong with the reply.
        problem: String,
    },
    /// Nobody listens on the daemon's sockets.
    #[error("the mica daemon is not running (no answer at {}): start micad", socket.display())]
    DaemonNotRunning {
        /// The socket that was tried.
        socket: PathBuf,
    },
    /// This user may not reach the daemon's sockets, so it is not known whether it runs.
    #[error(
        "this user may not reach the mica daemon at {}: ask as root, or have root add the user to AllowedUids in micad.conf",
        socket.display()
    )]
    OutOfReach {
        /// The socket that was tried.
        socket: PathBuf,
    },
    /// The daemon runs, but has no client of this name.
    #[error("the mica daemon has no client named {name:?}: create it first")]
    ClientNotFound {
        /// The name asked for.
        name: String,
    },
    /// The daemon did not answer in time.
    #[error("the mica daemon did not answer `{command}` within {after:?}")]
    Timeout {
        /// The request.
        command: String,
        /// The bound.
        after: Duration,
    },
    /// The daemon answered `MICA-FAILED`.
    #[error("mica daemon reported failure: {text}")]
    Failed {
        /// The request.
        command: String,
        /// The daemon's own words; may be empty.
        text: String,
    },
    /// The daemon does not know the command: upstream's daemon has no extensions.
    #[error("this mica daemon does not support `{command}`")]
    Unsupported {
        /// The request.
        command: String,
    },
    /// The process that has the console is gone. The daemon starts another one.
    #[error("the process that keeps the console has ended: attach again")]
    ConsoleLost {
        /// The position of the byte that would have come next, once one has come.
        position: Option<u64>,
    },
    /// A client of this name exists already.
    #[error("client {name:?} is already created: remove it first or use another name")]
    AlreadyExists {
        /// The name asked for.
        name: String,
    },
    /// Talking to the socket failed in another way.
    #[error("cannot talk to the mica daemon at {}", socket.display())]
    Io {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

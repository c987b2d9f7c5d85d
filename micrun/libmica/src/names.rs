//! Limits, and the names of sockets and terminals.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::reply::{FAILED, SUCCESS};
use crate::{Error, Result};

/// Where a mica daemon keeps its sockets.
pub const RUNTIME_DIR: &str = "/run/mica";
/// File name of the socket that takes create messages.
pub const CREATE_SOCKET: &str = "mica-create.socket";
/// Our daemon's QEMU has its copy of the firmware under this name in its working directory (`/proc/PID/cwd`).
pub const JAILED_FIRMWARE: &str = "firmware";
/// Longest client name in bytes (`char[66]` with its NUL).
pub const NAME_MAX: usize = 65;
/// Longest firmware path in bytes.
pub const PATH_MAX: usize = 255;
/// Longest pedestal name in bytes.
pub const PEDESTAL_MAX: usize = 15;
/// Longest pedestal configuration path in bytes.
pub const PEDESTAL_CONF_MAX: usize = 255;
/// Longest CPU list in bytes.
pub const CPU_MAX: usize = 127;
/// Longest I/O memory list in bytes.
pub const IOMEM_MAX: usize = 511;
/// Longest network description in bytes.
pub const NETWORK_MAX: usize = 511;
/// Longest path a `sockaddr_un` holds with its NUL (unix(7): `sun_path` has 108 bytes).
pub const SOCKET_PATH_MAX: usize = 107;

/// Names longer than this are shortened in a status line (mica protocol 1.5).
const DISPLAY_MAX: usize = 31;

/// What the names of terminals begin with that firmware announces over rpmsg: the kernel's own and upstream's, and that of
/// NXP's and earlier ST's firmware.
pub const TERMINALS: [&str; 2] = ["rpmsg-tty", "rpmsg-virtual-tty-channel"];

/// Whether a stream of this name is a terminal: the first of a client's is its console.
pub fn is_terminal(stream: &str) -> bool {
    TERMINALS.iter().any(|terminal| stream.starts_with(terminal))
}

/// Checks that `name` can name a client: 1 to 65 visible ASCII characters without `/`.
///
/// The name becomes a file name (`<name>.socket`) and a column of the status line; `mica-create` would
/// take the daemon's own socket, and a reply's marker inside a name would end every reply about it early.
pub fn validate(name: &str) -> Result<()> {
    let refuse = |reason| Err(Error::InvalidName { name: name.to_owned(), reason });
    if name.is_empty() {
        return refuse("it is empty");
    }
    if name.len() > NAME_MAX {
        return Err(Error::TooLong { field: "the client name", actual: name.len(), limit: NAME_MAX });
    }
    if name.bytes().any(|b| !b.is_ascii_graphic() || b == b'/') {
        return refuse("only visible ASCII characters except `/` are allowed");
    }
    if name == "." || name == ".." {
        return refuse("it names a directory");
    }
    if name == "mica-create" {
        return refuse("it is the name of the daemon's own socket");
    }
    if name.contains(SUCCESS) || name.contains(FAILED) {
        return refuse("it contains the marker that ends a reply");
    }
    Ok(())
}

/// A valid client name made of any text, such as a file's name: what a name cannot have becomes `_`.
pub fn from_text(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_ascii_graphic() && c != '/' { c } else { '_' });
    let name: String = clean.take(NAME_MAX).collect();
    if validate(&name).is_ok() { name } else { "firmware".to_owned() }
}

/// The name as a status line shows it: names of more than 31 bytes keep 12 bytes, `...` and the last one.
pub fn display_name(name: &str) -> String {
    if name.len() <= DISPLAY_MAX {
        return name.to_owned();
    }
    let head: String = name.chars().take(12).collect();
    let tail: String = name.chars().next_back().into_iter().collect();
    format!("{head}...{tail}")
}

/// `name` with every character outside `[A-Za-z0-9_-]` replaced by `_`, as in terminal names.
pub fn sanitize(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' }).collect()
}

/// File name of the client's terminal number `index`: `ttyRPMSG_<sanitized>_<index>`.
pub fn tty_name(name: &str, index: u32) -> String {
    format!("ttyRPMSG_{}_{index}", sanitize(name))
}

/// Path of the create socket below `dir`.
pub fn create_socket(dir: &Path) -> Result<PathBuf> {
    checked(dir.join(CREATE_SOCKET))
}

/// Path of the control socket of client `name` below `dir`.
pub fn control_socket(dir: &Path, name: &str) -> Result<PathBuf> {
    validate(name)?;
    checked(dir.join(format!("{name}.socket")))
}

fn checked(path: PathBuf) -> Result<PathBuf> {
    if path.as_os_str().as_bytes().len() > SOCKET_PATH_MAX {
        return Err(Error::SocketPathTooLong { path, limit: SOCKET_PATH_MAX });
    }
    Ok(path)
}

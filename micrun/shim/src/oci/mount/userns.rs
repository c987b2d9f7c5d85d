//! User namespaces, for idmapped mounts and for pods. The kernel takes a mapping only as a namespace that has it, and
//! only a process with one thread can make one: the shim's own program is started for a moment.

use std::fs::File;
use std::io::{Read, Write, stdin, stdout};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sched::{CloneFlags, unshare};

use super::id_map::IdMap;
use crate::error::{Error, Result};
use crate::os::children;

/// What `ps` shows of the process.
const NAME: &str = "micrun-userns";

/// The process: is in a new user namespace until stdin ends.
pub(crate) fn run() -> Result<()> {
    let failed = |source| Error::io("make", "a user namespace")(source);
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|errno| failed(errno.into()))?;
    stdout().write_all(b".").and_then(|()| stdout().flush()).map_err(failed)?;
    stdin().read(&mut [0]).map_err(failed)?;
    Ok(())
}

/// Makes a user namespace with a mapping.
pub(crate) fn make(map: &IdMap) -> Result<File> {
    // Until it is waited for here, nobody else may reap it.
    let _hold = children::hold();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(NAME).arg("userns").env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(Error::io("start", NAME))?;
    let made = namespace(&mut child, map);
    drop(child.stdin.take());
    child.wait().map_err(Error::io("wait for", NAME))?;
    made
}

fn namespace(child: &mut Child, map: &IdMap) -> Result<File> {
    let stdout = child.stdout.as_mut().ok_or(std::io::ErrorKind::BrokenPipe.into());
    stdout.and_then(|stdout| stdout.read_exact(&mut [0])).map_err(Error::io("make", "a user namespace"))?;
    let of = |file: &str| format!("/proc/{}/{file}", child.id());
    for (file, lines) in [(of("uid_map"), &map.users), (of("gid_map"), &map.groups)] {
        std::fs::write(&file, lines).map_err(Error::io("write the id mapping to", file))?;
    }
    let path = of("ns/user");
    File::open(&path).map_err(Error::io("open", path))
}

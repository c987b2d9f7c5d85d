//! A pod whose users are its own. What is made from inside of a user namespace belongs to it, and only a process of one
//! thread can enter one: the shim's own program is started for a moment, and leaves the holder behind.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write, stderr};
use std::os::fd::AsRawFd;
use std::os::linux::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use serde::{Deserialize, Serialize};

use super::holder::{self, NAME};
use super::{sys, sysctl};
use crate::error::{Error, Result};
use crate::oci::mount::{IdMap, userns};

/// The variable that has the order.
const ORDER: &str = "MICRUN_ORDER";
/// The user namespace of the machine, if the shim is in that.
const OWN: &str = "/proc/self/ns/user";

/// What the process is to do.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Order {
    /// The sandbox.
    pub id: String,
    /// Its host name; empty is the machine's.
    pub hostname: String,
    /// The namespaces to make, as flags of clone(2).
    pub namespaces: i32,
    /// An existing network namespace.
    pub network: Option<PathBuf>,
    /// Kernel settings of the namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// The user namespace, as long as the one who gives the order holds it.
    users: PathBuf,
}

impl Order {
    /// Has a process follow the order for a pod with these users; gives the holder's process id. Waiting must be allowed.
    pub(super) fn give(mut self, map: &IdMap, streams: (Stdio, Stdio)) -> Result<u32> {
        let users = namespace(map, self.network.as_deref())?;
        self.users = format!("/proc/{}/fd/{}", std::process::id(), users.as_raw_fd()).into();
        let failed = |reason: String| Error::Holder { id: self.id.clone(), reason };
        let order = serde_json::to_string(&self).map_err(|error| failed(error.to_string()))?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("micrun-enter").arg("enter").env_clear().env(ORDER, order);
        command.stdin(streams.0).stdout(streams.1).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io("start", NAME))?;
        let mut said = String::new();
        let read = child.stderr.take().map(|mut words| words.read_to_string(&mut said));
        child.wait().map_err(Error::io("wait for", NAME))?;
        read.transpose().map_err(Error::io("hear", NAME))?;
        said.parse().map_err(|_| failed(said))
    }

    /// An order without users yet.
    pub(super) fn new(
        id: &str,
        hostname: &str,
        namespaces: CloneFlags,
        network: Option<&Path>,
        sysctls: &BTreeMap<String, String>,
    ) -> Self {
        Self {
            id: id.to_owned(),
            hostname: hostname.to_owned(),
            namespaces: namespaces.bits(),
            network: network.map(Path::to_owned),
            sysctls: sysctls.clone(),
            users: PathBuf::new(),
        }
    }

    fn follow(&self) -> Result<u32> {
        let failed = |what: &'static str| move |errno: nix::Error| Error::io("enter", what)(errno.into());
        let users = File::open(&self.users).map_err(Error::io("open", &self.users))?;
        // As the machine's root, which may enter whatever there is.
        if let Some(path) = &self.network {
            holder::enter_network(path)?;
        }
        setns(users, CloneFlags::CLONE_NEWUSER).map_err(failed("the pod's user namespace"))?;
        // Its root, who has all rights over what is made from now on.
        let (user, group) = (Uid::from_raw(0), Gid::from_raw(0));
        setgroups(&[]).map_err(failed("the pod's groups"))?;
        setresgid(group, group, group).map_err(failed("the pod's groups"))?;
        setresuid(user, user, user).map_err(failed("the pod's users"))?;
        unshare(CloneFlags::from_bits_truncate(self.namespaces)).map_err(failed("the pod's namespaces"))?;
        holder::set_hostname(&self.hostname)?;
        sysctl::apply(&self.sysctls)?;
        holder::spawn(&self.id, (Stdio::inherit(), Stdio::inherit()))
    }
}

/// The process: follows the order, and tells the holder's id. An error is told by whoever calls it.
pub(crate) fn enter() -> Result<()> {
    let order = std::env::var(ORDER).ok().and_then(|order| serde_json::from_str::<Order>(&order).ok());
    let order = order.ok_or_else(|| Error::Usage("`enter` is for the shim's own server".into()))?;
    let pid = order.follow()?;
    write!(stderr(), "{pid}").map_err(Error::io("write", "stderr"))
}

/// The namespace that the pod's network belongs to, which containerd has made for these users, or a new one.
fn namespace(map: &IdMap, network: Option<&Path>) -> Result<File> {
    if let Some(path) = network {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let owner = sys::owner(&file).map_err(|errno| Error::io("find the owner of", path)(errno.into()))?;
        let inode = |file: &File| file.metadata().map(|metadata| metadata.st_ino());
        let own = File::open(OWN).map_err(Error::io("open", OWN))?;
        let inodes = inode(&owner).and_then(|owner| Ok((owner, inode(&own)?)));
        let (owners, ours) = inodes.map_err(Error::io("examine", path))?;
        if owners != ours {
            return Ok(owner);
        }
    }
    userns::make(map)
}

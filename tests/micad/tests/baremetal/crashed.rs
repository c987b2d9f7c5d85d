//! How kernels from about 5.13 to at least 6.12.107 refuse what cannot be done with a remoteproc that has crashed.
//!
//! What is written to a plain file is taken. So the attributes are files that show the same and take nothing.

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::{self, Sender};

use rustix::fs::{MemfdFlags, SealFlags};

/// The attributes of one remoteproc refuse everything as long as this exists, but `recovery`.
pub(crate) struct Refusal {
    _crashed: Sender<()>,
    _firmware: fs::File,
}

impl Refusal {
    pub(crate) fn begin(dir: &Path) -> Self {
        let (crashed, state) = named_thread();
        let (firmware, name) = sealed(&fs::read(dir.join("firmware")).unwrap());
        for (attribute, shown) in [("firmware", name), ("state", state)] {
            let new = dir.join("new");
            symlink(shown, &new).unwrap();
            fs::rename(new, dir.join(attribute)).unwrap();
        }
        Self { _crashed: crashed, _firmware: firmware }
    }
}

/// A file that says `crashed` and refuses with EINVAL what another process writes, as the kernel's refuses `stop`: the name of
/// a thread (`proc_pid_comm(5)`). The thread ends with the sender.
fn named_thread() -> (Sender<()>, String) {
    let (sender, end) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let thread = std::thread::Builder::new().name("crashed".to_owned());
    let wait = move || {
        tell.send(rustix::thread::gettid()).unwrap();
        end.recv().unwrap_err();
    };
    thread.spawn(wait).unwrap();
    let thread = told.recv().unwrap();
    (sender, format!("/proc/{}/task/{}/comm", std::process::id(), thread.as_raw_nonzero()))
}

/// A file with that text for good. It refuses with EPERM, and not with EBUSY as the kernel's does.
fn sealed(text: &[u8]) -> (fs::File, String) {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let mut file = fs::File::from(rustix::fs::memfd_create("firmware", flags).unwrap());
    file.write_all(text).unwrap();
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW).unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    (file, path)
}

//! Freeing a remoteproc whose firmware has crashed, where the kernel refuses to stop it.
//!
//! Kernels from about 5.13 up to at least 6.12.107 refuse `stop` with EINVAL then: `rproc_shutdown` wants the state to be
//! running or attached, and 6.12.118 has it want crashed as well. While it is crashed, the kernel does not take another name
//! for `firmware` either (`rproc_set_firmware`, EBUSY). What is left is a recovery (`rproc_trigger_recovery`): the kernel
//! stops the core, loads the file that `firmware` names, and starts that. The remoteproc is running then, and can be stopped
//! properly. All of this is in `drivers/remoteproc/remoteproc_core.c`.
//!
//! A recovery must not fail. The remoteproc is offline then, but stays in use by the kernel's count (`power`), so that each
//! later start returns success and does nothing. So there must be a file by that name: what is to be started next, as no
//! firmware of before is to run again. It is stopped at once all the same: what else `rproc_fw_boot` does at a start, a
//! recovery does not. It takes the resource table and the entry point of before, and does not check the file.

use std::io;
use std::path::Path;

use nix::errno::Errno;

use super::core::{command, settled};
use super::firmware::Placed;
use super::kernel_log::KernelLog;
use super::note::Note;
use super::sysfs::{Remoteproc, State};
use crate::{Error, Result};

/// Whether `error` of a `stop` says that this kernel does not stop what has crashed.
pub(super) fn is_refused(remoteproc: &Remoteproc, error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EINVAL as i32) && remoteproc.is_crashed()
}

/// Says that the client's firmware has ended, and what is to become of its remoteproc.
pub(super) fn leave(client: &str, remoteproc: &Remoteproc) {
    log::warn!(
        client = client;
        "{client}: {} stays crashed until the next start frees it, because this kernel refuses to stop what has crashed (docs/BAREMETAL.md)",
        remoteproc.title()
    );
}

/// Frees the remoteproc, if it is crashed, for the firmware that is to be started there: the copy of `source`.
pub(super) fn free(
    notes: &Path,
    remoteproc: &Remoteproc,
    placed: &Placed,
    source: &Path,
    log: &mut KernelLog,
) -> Result<()> {
    let freed = match remoteproc.state() {
        Ok(Some(State::Crashed)) => match command(remoteproc, "stop") {
            Ok(_) => return Ok(()),
            Err(e) if is_refused(remoteproc, &e) => {
                placed.check(source)?;
                recover(notes, remoteproc, placed)
            }
            Err(e) => Err(format!("the kernel does not stop it ({e})")),
        },
        Ok(Some(State::Offline)) if Note::read(notes, remoteproc).is_some_and(|note| note.lost) => {
            Err("a recovery has failed since, after which the kernel starts nothing there".to_owned())
        }
        // Whatever else is wrong, the start says.
        _ => return Ok(()),
    };
    freed.map_err(|mut what| {
        let complaints = log.complaints(remoteproc);
        if !complaints.is_empty() {
            what = format!("{what} (kernel: {complaints})");
        }
        let problem = format!("its last firmware has crashed, and {what}: load its driver anew, or reboot");
        Error::RemoteprocStart { remoteproc: remoteproc.title(), problem }
    })
}

/// Has the kernel start the firmware by a recovery, and stops it; otherwise says what has failed.
fn recover(notes: &Path, remoteproc: &Remoteproc, placed: &Placed) -> Result<(), String> {
    let name = remoteproc.read("firmware").map_err(|e| e.sentence())?;
    // Until the end of this function.
    let _found = placed.also_as(&name).map_err(|e| e.sentence())?;
    // That leaves the attribute, and so recovery, as it was: disabled.
    let recovered = remoteproc.write("recovery", "recover");
    let recovered = recovered.and_then(|()| settled(remoteproc, |state| state != State::Crashed));
    match recovered {
        // A driver may attach to what the core runs by itself then (`RPROC_FEAT_ATTACH_ON_RECOVERY`).
        Ok(State::Running | State::Attached) => {}
        Ok(State::Offline) => {
            Note::lose(notes, remoteproc);
            return Err("a recovery has failed, after which the kernel starts nothing there".to_owned());
        }
        Ok(state) => return Err(format!("a recovery has left it {}", state.as_str())),
        Err(e) => return Err(format!("the kernel does not recover it ({e})")),
    }
    match command(remoteproc, "stop") {
        Ok(State::Offline) => Ok(()),
        Ok(state) => Err(format!("it is {} after a recovery and a stop", state.as_str())),
        Err(e) => Err(format!("the kernel does not stop it after a recovery ({e})")),
    }
}

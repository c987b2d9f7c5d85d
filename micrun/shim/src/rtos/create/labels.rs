//! What micad's log is to say of a container: its own lines know only the client's name.

use std::io::{Seek, Write};
use std::os::fd::OwnedFd;

use libmica::ext::Labels;
use micrun_firmware::memory_file;

use crate::error::{Error, Result};
use crate::task::labels;

/// The labels of the container `id`, which runs the firmware of this digest, as the daemon takes them.
pub(super) fn document(id: &str, namespace: &str, firmware: &str) -> Result<OwnedFd> {
    let mut all = Labels::default();
    let own = [("container", id), ("namespace", namespace), ("firmware", firmware)];
    for (key, value) in own {
        all.add(key, value);
    }
    for (key, value) in labels::of(id) {
        all.add(key, &value);
    }
    let wrong = || Error::io("write", "what micad's log is to say");
    let mut file = memory_file::create().map_err(wrong())?;
    serde_json::to_writer(&mut file, &all).map_err(std::io::Error::from).map_err(wrong())?;
    file.flush().and_then(|()| file.rewind()).map_err(wrong())?;
    memory_file::seal(&file).map_err(wrong())?;
    Ok(file.into())
}

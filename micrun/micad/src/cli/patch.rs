//! A firmware for one that runs.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, bail};
use libmica::Client;
use libmica::ext::PatchReport;
use micrun_firmware::{MAX_FIRMWARE_SIZE, copy, memory_file};

/// Has the running firmware of a client be the one in `file`.
pub(super) async fn patch(client: &Client, name: &str, file: &Path) -> anyhow::Result<PatchReport> {
    let unread = || format!("cannot read {}", file.display());
    let source = File::open(file).with_context(unread)?;
    if !source.metadata().with_context(unread)?.is_file() {
        bail!("{} is not a regular file", file.display());
    }
    let sealed = memory_file::create().context("cannot make a memory file")?;
    if copy(&source, &sealed, MAX_FIRMWARE_SIZE + 1, |_| ()).with_context(unread)? > MAX_FIRMWARE_SIZE {
        bail!("{} is larger than {MAX_FIRMWARE_SIZE} bytes", file.display());
    }
    memory_file::seal(&sealed).context("cannot seal a memory file")?;
    Ok(client.patch(name, sealed.as_fd()).await?)
}

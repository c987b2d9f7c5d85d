//! The state of a machine, in a file.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use libmica::{Client, Launch};

/// Writes a client's state to `file`: whole, or not at all. It holds all that the firmware knows, so it is for its
/// owner alone.
pub(super) async fn checkpoint(client: &Client, name: &str, file: &Path) -> anyhow::Result<()> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let create = || File::options().write(true).create(true).truncate(true).mode(0o600).open(part);
    let to = create().with_context(|| format!("cannot write {}", part.display()))?;
    let written = async {
        client.checkpoint(name, to.as_fd()).await?;
        fs::rename(part, file).with_context(|| format!("cannot write {}", file.display()))
    };
    let result = written.await;
    if result.is_err() {
        // What failed is told; a part of a state is of no use.
        let _ = fs::remove_file(part);
    }
    result
}

/// Boots a client from the state in `file`.
pub(super) async fn restore(client: &Client, name: &str, file: &Path) -> anyhow::Result<()> {
    let from = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let launch = Launch { snapshot: Some(from.into()), ..Launch::default() };
    Ok(client.launch(name, &launch).await?)
}

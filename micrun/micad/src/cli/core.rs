//! The cores that a client's ends have left: files of root's, whose paths the history tells.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use libmica::Client;
use libmica::ext::End;
use serde_json::json;

use super::args::CoreArgs;
use super::{show, table, units};

/// What is copied, or left out where it is zero, at a time.
const BLOCK: usize = 64 << 10;

/// Lists a client's cores, the latest last, or does with them what was asked for.
pub(super) async fn core(client: &Client, args: &CoreArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let name = &args.name;
    let history = client.history().await?;
    let known = history.clients.into_iter().find(|known| known.name == *name);
    let ends = known.map(|known| known.ends).unwrap_or_default();
    let mut kept = Vec::new();
    for end in &ends {
        let Some(path) = &end.report.core else { continue };
        match fs::metadata(path) {
            Ok(found) => kept.push((end, path.as_path(), found)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => {
                return Err(e).with_context(|| format!("cannot look at {}: ask as root", path.display()));
            }
        }
    }
    if let Some(to) = &args.output {
        let Some((_, path, _)) = kept.last() else {
            bail!("there is no core of {name}: `container.coredump` or micad.conf's Coredump ask for them");
        };
        return copy(path, to);
    }
    if args.remove {
        for (_, path, _) in &kept {
            fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
            writeln!(out, "removed {}", path.display())?;
        }
        return Ok(());
    }
    if args.json {
        let cores = kept.iter().map(|(end, path, found)| {
            json!({"path": path, "bytes": found.blocks() * 512, "exited_at": end.report.exited_at})
        });
        return show::document(&json!({"cores": cores.collect::<Vec<_>>()}), out);
    }
    let columns = [table::words("ENDED"), table::words("EXIT"), table::numbers("SIZE"), table::words("CORE")];
    let row = |(end, path, found): &(&End, &Path, fs::Metadata)| {
        [
            end.report.exited_at.clone(),
            units::exit(&end.report),
            units::bytes(found.blocks() * 512),
            path.display().to_string(),
        ]
    };
    for line in table::lines(&columns, &kept.iter().map(row).collect::<Vec<_>>()) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Copies a core, without its zeros, to a file that is its owner's alone: whole, or not at all.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let copied = copy_to(from, part)
        .and_then(|()| fs::rename(part, to).with_context(|| format!("cannot write {}", to.display())));
    if copied.is_err() {
        // What failed is told; a part of a core is of no use.
        let _ = fs::remove_file(part);
    }
    copied
}

fn copy_to(from: &Path, part: &Path) -> anyhow::Result<()> {
    let unread = || format!("cannot read {}", from.display());
    let unwritten = || format!("cannot write {}", part.display());
    let mut source = File::open(from).with_context(unread)?;
    let create = File::options().write(true).create(true).truncate(true).mode(0o600).open(part);
    let to = create.with_context(unwritten)?;
    let (mut block, mut at) = (vec![0; BLOCK], 0);
    loop {
        let read = source.read(&mut block).with_context(unread)?;
        if read == 0 {
            return to.set_len(at).with_context(unwritten);
        }
        if block[..read].iter().any(|byte| *byte != 0) {
            to.write_all_at(&block[..read], at).with_context(unwritten)?;
        }
        at += read as u64;
    }
}

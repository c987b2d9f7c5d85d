//! Completions and man pages, made from the command lines' definitions.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::Args;
use crate::config::Options;

/// Writes the completion script of `mica`.
pub(super) fn completions(shell: Shell, out: &mut impl Write) {
    clap_complete::generate(shell, &mut Args::command(), "mica", out);
}

/// Writes the man pages of `mica`, its subcommands and `micad`.
pub(super) fn man(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    for command in [Args::command(), Options::command()] {
        clap_mangen::generate_to(command, dir)
            .with_context(|| format!("cannot write man pages to {}", dir.display()))?;
    }
    Ok(())
}

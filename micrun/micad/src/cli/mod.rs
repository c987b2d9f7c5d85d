//! The `mica` command: every subcommand is one or a few requests to the daemon.

mod args;
mod console;
mod core;
mod doctor;
mod events;
mod gdb_stub;
mod generate;
mod inspect;
mod logs;
mod patch;
mod ps;
mod saved;
mod show;
mod stop;
mod table;
mod top;
mod units;
mod why;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use anyhow::{Context, bail};
use libmica::Client;

pub use args::Args;
use args::Command;

use crate::conf::{self, ConfiguredClient};

/// Does what `args` ask for; results go to `out`, remarks to stderr. Gives the status to exit with.
pub async fn run(args: Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let client = Client::new(&args.runtime_dir);
    match args.command {
        Command::Create { file: Some(file), .. } => create(&client, conf::read(&file)?, false).await?,
        Command::Create { .. } => create_all(&client, &args.conf_dir).await?,
        Command::Start { name } => client.start(&name).await?,
        Command::Stop { name: Some(name), now, .. } => stop::stop(&client, &name, now).await?,
        Command::Stop { now, .. } => stop::stop_all(&client, now).await?,
        Command::Rm { name } => client.remove(&name).await?,
        Command::Status { name, json } => status(&client, name, json, out).await?,
        Command::Set { name, key, value } => client.set(&name, &key, &value).await?,
        Command::Gdb { name, print } => gdb(&client.gdb(&name).await?, print, out)?,
        Command::GdbStub { name, device } => gdb_stub::serve(&client, &name, &device).await?,
        Command::Pause { name } => client.pause(&name).await?,
        Command::Resume { name } => client.resume(&name).await?,
        Command::Checkpoint { name, file } => saved::checkpoint(&client, &name, &file).await?,
        Command::Restore { name, file } => saved::restore(&client, &name, &file).await?,
        Command::Patch { name, file, json } => {
            show::patched(&patch::patch(&client, &name, &file).await?, json, out)?;
        }
        Command::Stats { name, json } => show::stats(&client.stats(&name).await?, json, out)?,
        Command::Diagnose { name, json } => {
            show::diagnosis(&client.diagnose(&name, false).await?, json, out)?;
        }
        Command::Wait { name, json } => show::exit(&client.wait(&name).await?, json, out)?,
        Command::List { json } => show::list(&client.list().await?, json, out)?,
        Command::Metrics { plain } => write!(out, "{}", client.metrics(plain).await?)?,
        Command::Ps { json } => show::ps(&client.ps().await?, json, out)?,
        Command::Top(args) => top::top(&client, &args, out).await?,
        Command::Events { name, json } => events::print(&client, name.as_deref(), json, out).await?,
        Command::Inspect { name } => show::document(&inspect::inspect(&client, &name).await?, out)?,
        Command::Why { name, all } => why::why(&client, &name, all, out).await?,
        Command::Core(args) => core::core(&client, &args, out).await?,
        Command::Logs(args) => logs::logs(&client, &args, out).await?,
        Command::Console(args) => console::console(&client, &args, out).await?,
        Command::Doctor(options) => return doctor::run(&options, client.dir(), out).await,
        Command::Version { json } => version(&client, json, out).await?,
        Command::Completions { shell } => generate::completions(shell, out),
        Command::Man { dir } => generate::man(&dir)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(client: &Client, configured: ConfiguredClient, boot: bool) -> anyhow::Result<()> {
    let file = configured.path.display().to_string();
    for warning in &configured.warnings {
        eprintln!("mica: {file}: {warning}");
    }
    client
        .create(&configured.message)
        .await
        .with_context(|| format!("cannot create the client of {file}"))?;
    let name = &configured.message.name;
    for (key, value) in &configured.vigil {
        client
            .set(name, key, value)
            .await
            .with_context(|| format!("created, but cannot watch over {name}"))?;
    }
    if boot && configured.auto_boot {
        client.start(name).await.with_context(|| format!("created, but cannot start {name}"))?;
    }
    Ok(())
}

/// As upstream's: all conf files, and those with `AutoBoot` are started. One that fails does not stop the others.
async fn create_all(client: &Client, dir: &Path) -> anyhow::Result<()> {
    let mut failed = 0;
    for configured in conf::read_all(dir)? {
        let created = match configured {
            Ok(configured) => create(client, configured, true).await,
            Err(e) => Err(e.into()),
        };
        if let Err(e) = created {
            eprintln!("mica: {e:#}");
            failed += 1;
        }
    }
    if failed > 0 {
        bail!("{failed} of the conf files in {} failed", dir.display());
    }
    Ok(())
}

async fn status(
    client: &Client,
    name: Option<String>,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let names = match name {
        Some(name) => vec![name],
        None => names(client.dir())?,
    };
    let mut lines = Vec::new();
    for name in names {
        lines.push((client.status_text(&name).await?, name));
    }
    // Upstream's daemon has no list, and its columns have no place for more.
    let list = client.list().await.unwrap_or_default();
    for entry in list.clients.iter().filter(|entry| lines.iter().any(|(_, name)| *name == entry.name)) {
        if let Some(silent) = &entry.silent {
            eprintln!(
                "mica: {} has shown no sign of life by {}: {}",
                entry.name, silent.seen_at, silent.detail
            );
        }
        if let Some(digest) = &entry.patched {
            eprintln!("mica: {} was patched to {digest}", entry.name);
        }
    }
    show::status(&lines, &list, json, out)
}

/// The clients, by their sockets, which every mica daemon has.
fn names(dir: &Path) -> anyhow::Result<Vec<String>> {
    let create = dir.join(libmica::names::CREATE_SOCKET);
    match create.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(libmica::Error::DaemonNotRunning { socket: create }.into()),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            return Err(libmica::Error::OutOfReach { socket: create }.into());
        }
        Err(e) => return Err(e).with_context(|| format!("cannot look for {}", create.display())),
    }
    let entries = std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| PathBuf::from(entry.file_name()))
        .filter(|file| file.extension().is_some_and(|e| e == "socket"))
        .filter(|file| file.as_path() != Path::new(libmica::names::CREATE_SOCKET))
        .filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

async fn version(client: &Client, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let daemon = match client.version().await {
        Ok(version) => Some(version),
        // Upstream's daemon does not know; a daemon that is not there has none.
        Err(libmica::Error::Unsupported { .. } | libmica::Error::DaemonNotRunning { .. }) => None,
        Err(e) => return Err(e.into()),
    };
    show::version(daemon.as_ref(), json, out)
}

/// The daemon's answer is a command line for the shell, as upstream's `mica` uses it.
fn gdb(command: &str, print: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if print {
        return Ok(writeln!(out, "{command}")?);
    }
    let status = Process::new("sh").arg("-c").arg(command).status().context("cannot run sh")?;
    if !status.success() {
        bail!("gdb ended with {status}");
    }
    Ok(())
}

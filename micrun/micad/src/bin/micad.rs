//! The mica daemon.

use anyhow::Context;
use clap::Parser;
use log::LevelFilter;
use micad::config::{Config, Options};

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if let [socket, pty, parent] = options.carry[..] {
        return Ok(micad::carry(socket, pty, parent)?);
    }
    micad::logger::init(if options.verbose == 0 { LevelFilter::Info } else { LevelFilter::Debug });
    let config = Config::load(&options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    Ok(runtime.block_on(micad::daemon::run(config))?)
}

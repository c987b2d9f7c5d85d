//! The mica daemon.

use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use log::LevelFilter;
use micad::config::{Config, Options};

/// How long work on other threads may go on after the daemon has ended.
const END_BOUND: Duration = Duration::from_secs(1);

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if options.relay {
        return micad::relay().context("cannot relay a console: only the daemon starts this, with a socket");
    }
    micad::logger::init(if options.verbose == 0 { LevelFilter::Info } else { LevelFilter::Debug });
    let config = Config::load(&options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(micad::blocking::THREADS)
        .thread_keep_alive(micad::blocking::KEEP_ALIVE)
        .build()
        .context("cannot start the runtime")?;
    let served = runtime.block_on(micad::daemon::run(config));
    // Whatever blocks a thread for longer must not keep the process.
    runtime.shutdown_timeout(END_BOUND);
    Ok(served?)
}

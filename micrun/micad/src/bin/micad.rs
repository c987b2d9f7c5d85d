//! The mica daemon.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use log::LevelFilter;
use micad::config::{Config, Options};
use micrun_trace::Settings;

/// How long the last spans may take to reach the collector.
const SPANS_BOUND: Duration = Duration::from_secs(2);
/// How long work on other threads may go on after the daemon has ended.
const END_BOUND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let options = Options::parse();
    // Its output is a pipe of nobody's: no line of it is for the journal.
    let ended = if options.relay {
        micad::relay().context("cannot relay a console: only the daemon starts this, with a socket")
    } else {
        micad::logger::init(if options.verbose == 0 { LevelFilter::Info } else { LevelFilter::Debug });
        serve(options)
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            micad::logger::last_words(&format!("{e:#}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(options: Options) -> anyhow::Result<()> {
    let (config, warnings) = Config::load(&options)?;
    micad::logger::set_format(config.log_format);
    for warning in warnings {
        log::warn!("{warning}");
    }
    trace(&config);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(micad::blocking::THREADS)
        .thread_keep_alive(micad::blocking::KEEP_ALIVE)
        .build()
        .context("cannot start the runtime")?;
    let served = runtime.block_on(micad::daemon::run(options, config));
    // Whatever blocks a thread for longer must not keep the process.
    runtime.shutdown_timeout(END_BOUND);
    micrun_trace::stop(SPANS_BOUND);
    Ok(served?)
}

/// Starts tracing, if the configuration or the environment wants it.
fn trace(config: &Config) {
    let settings = Settings {
        service: "micad",
        version: env!("CARGO_PKG_VERSION"),
        endpoint: config.trace_endpoint.clone(),
        parent_service: "",
        attributes: Vec::new(),
        sample: None,
    };
    match micrun_trace::start(&settings) {
        Ok(true) => log::info!("traces are on"),
        Ok(false) => {}
        Err(error) => log::error!("{error}"),
    }
}

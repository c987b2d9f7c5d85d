//! Log lines into the bundle's `log` FIFO, which containerd copies into its own log.
//!
//! containerd reads that FIFO until the shim is gone and merges everything that `start` writes to stderr
//! into the reply, so the FIFO is the only place to log to (containerd, `core/runtime/v2/README.md`).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::SystemTime;

use log::{LevelFilter, Log, Metadata, Record};
use micrun_trace::Current;
use nix::libc;

struct Logger {
    file: Mutex<File>,
    tags: String,
}

/// Opens a bundle's `log` FIFO so that neither a missing nor a slow reader ever blocks or kills the shim.
///
/// Both ends are held, because a restarting containerd closes its own.
pub(crate) fn open(bundle: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(bundle.join("log"))
}

/// Sends the `log` crate's records to `file`, in the form that containerd's own lines have.
pub(crate) fn install(file: File, namespace: &str, id: &str, debug: bool) {
    let tags = format!("runtime=io.containerd.mica.v2 namespace={} id={}", quote(namespace), quote(id));
    let logger = Box::new(Logger { file: Mutex::new(file), tags });
    if log::set_boxed_logger(logger).is_ok() {
        log::set_max_level(if debug { LevelFilter::Debug } else { LevelFilter::Info });
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        // ttrpc logs each message at debug and trace.
        metadata.target().starts_with("containerd_shim_mica") || metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = format!(
            "time=\"{}\" level={} msg={} {}",
            humantime::format_rfc3339_nanos(SystemTime::now()),
            level_name(record.level()),
            quote(&record.args().to_string()),
            self.tags
        );
        if let Some((trace, span)) = Current::here().ids() {
            line.extend([" trace_id=", &trace, " span_id=", &span]);
        }
        line.push('\n');
        if let Ok(mut file) = self.file.lock() {
            // A full FIFO loses the line: logging must not hold up an RTOS.
            let _ = file.write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

fn level_name(level: log::Level) -> &'static str {
    match level {
        log::Level::Error => "error",
        log::Level::Warn => "warning",
        log::Level::Info => "info",
        log::Level::Debug => "debug",
        log::Level::Trace => "trace",
    }
}

/// logfmt's quoting, which is also JSON's for what occurs here.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

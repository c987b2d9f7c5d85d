//! Log lines into the bundle's `log` FIFO, which containerd copies into its own log.
//!
//! containerd reads that FIFO until the shim is gone and merges everything that `start` writes to stderr
//! into the reply, so the FIFO is the only place to log to (containerd, `core/runtime/v2/README.md`).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use log::{LevelFilter, Log, Metadata, Record};
use micrun_firmware::HostConf;
use micrun_log::{Entry, Limits, LogFormat, Setting};
use nix::libc;

use crate::os::lock::lock;
use crate::task::labels;

/// What a pipe takes whole or not at all (`PIPE_BUF`, pipe(7)).
const ROOM: usize = 4096;
/// The field of a record that names its container.
const CONTAINER: &str = "container";

/// The format of lines.
static FORMAT: Setting = Setting::new(LogFormat::Logfmt);

struct Logger {
    state: Mutex<State>,
    /// What each line is about: the shim itself.
    own: [(&'static str, String); 3],
}

struct State {
    file: File,
    /// Lines that were not taken since the last one that was.
    lost: u64,
    limits: Limits,
}

/// Opens a bundle's `log` FIFO so that neither a missing nor a slow reader ever blocks or kills the shim.
///
/// Both ends are held, because a restarting containerd closes its own.
pub(crate) fn open(bundle: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(bundle.join("log"))
}

/// Sends the `log` crate's records to `file`, in the form that containerd's own lines have.
pub(crate) fn install(file: File, namespace: &str, id: &str, debug: bool) {
    if log::set_boxed_logger(Box::new(Logger::new(file, namespace, id))).is_ok() {
        log::set_max_level(if debug { LevelFilter::Debug } else { LevelFilter::Info });
    }
}

/// Writes lines from now on as the host's configuration says.
pub(crate) fn set_format(conf: &HostConf) {
    FORMAT.set(if conf.logs_json() { LogFormat::Json } else { LogFormat::Logfmt });
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        // ttrpc logs each message at debug and trace.
        metadata.target().starts_with("containerd_shim_mica") || metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            self.take(Entry::of(record), Instant::now());
        }
    }

    fn flush(&self) {}
}

impl Logger {
    fn new(file: File, namespace: &str, id: &str) -> Self {
        let state = State { file, lost: 0, limits: Limits::default() };
        let own = [("runtime", "io.containerd.mica.v2"), ("namespace", namespace), ("id", id)];
        Self { state: Mutex::new(state), own: own.map(|(key, value)| (key, value.to_owned())) }
    }

    /// Writes it, unless its container causes too many lines.
    fn take(&self, entry: Entry, now: Instant) {
        let mut state = lock(&self.state);
        for (container, count) in state.limits.settle(now) {
            self.write(Entry::left_out(CONTAINER, &container, count), &mut state);
        }
        if entry.subject().is_none_or(|container| state.limits.admit(container, now)) {
            self.write(entry, &mut state);
        }
    }

    /// A full FIFO loses the line: logging must not hold up an RTOS. The next that is not lost is preceded by their number.
    fn write(&self, entry: Entry, state: &mut State) {
        if state.lost > 0 && self.put(Entry::missing(state.lost), state) {
            state.lost = 0;
        }
        if !self.put(entry, state) {
            state.lost += 1;
        }
    }

    fn put(&self, entry: Entry, state: &mut State) -> bool {
        let labels = entry.subject().map(labels::of).unwrap_or_default();
        let own = self.own.iter().map(|(key, value)| (*key, value.clone()));
        let entry = own.chain(labels).fold(entry, |entry, (key, value)| entry.with(key, &value));
        let line = entry.line(FORMAT.get(), ROOM - 1) + "\n";
        state.file.write_all(line.as_bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;
    use std::os::fd::OwnedFd;

    use super::*;

    fn logger() -> (Logger, std::io::PipeReader) {
        let (reader, writer) = std::io::pipe().unwrap();
        let flags = nix::fcntl::OFlag::O_NONBLOCK;
        nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(flags)).unwrap();
        (Logger::new(File::from(OwnedFd::from(writer)), "k8s.io", "pod"), reader)
    }

    fn entry(container: &str, text: &str) -> Entry {
        Entry::new(log::Level::Warn, text.to_owned()).with(CONTAINER, container)
    }

    /// Ends the log and gives its lines.
    fn lines(logger: Logger, mut reader: impl Read) -> Vec<String> {
        drop(logger);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_says_what_it_is_about() {
        let annotations = [
            ("io.kubernetes.cri.sandbox-namespace", "default"),
            ("io.kubernetes.cri.sandbox-name", "motors"),
            ("io.kubernetes.cri.image-name", "localhost/motor:1"),
        ];
        let annotations: BTreeMap<_, _> =
            annotations.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        labels::introduce("left", &annotations);
        let (logger, reader) = logger();
        logger.take(entry("left", "left: it stalls"), Instant::now());
        labels::forget("left");
        logger.take(entry("left", "gone"), Instant::now());
        let lines = lines(logger, reader);
        let own = "runtime=\"io.containerd.mica.v2\" namespace=\"k8s.io\" id=\"pod\"";
        let (time, rest) = lines[0].split_once(' ').unwrap();
        assert!(time.starts_with("time=2"), "{time}");
        let first = format!(
            "level=warning msg=\"it stalls\" container=\"left\" {own} pod=\"default/motors\" image=\"localhost/motor:1\""
        );
        assert_eq!(rest, first);
        assert!(lines[1].ends_with(&format!("container=\"left\" {own}")), "{}", lines[1]);
    }

    #[test]
    fn a_container_that_floods_is_cut_and_the_others_are_not() {
        let (logger, reader) = logger();
        let now = Instant::now();
        for _ in 0..250 {
            logger.take(entry("loud", "x"), now);
        }
        logger.take(entry("quiet", "heard"), now);
        logger.take(entry("quiet", "later"), now + std::time::Duration::from_mins(1));
        let lines = lines(logger, reader);
        let count = |words: &str| lines.iter().filter(|line| line.contains(words)).count();
        assert_eq!((count("msg=\"x\""), count("heard"), count("later")), (200, 1, 1));
        assert_eq!(count("50 lines about it were left out: it causes too many"), 1, "{lines:?}");
    }

    #[test]
    fn what_nobody_reads_is_lost_and_counted() {
        let (logger, mut reader) = logger();
        let now = Instant::now();
        let subjects = (0..).map(|n| n.to_string());
        let written = subjects.take_while(|it| {
            logger.take(entry(it, &"x".repeat(3000)), now);
            lock(&logger.state).lost == 0
        });
        assert!(written.count() > 1);
        // As much as there is, and not more: the log is still open.
        let mut chunk = vec![0; 1 << 16];
        assert!(reader.read(&mut chunk).unwrap() > 0);
        logger.take(entry("last", "heard"), now);
        let lines = lines(logger, reader);
        let missing = lines.iter().position(|line| line.contains("1 lines are missing")).unwrap();
        assert!(lines[missing + 1].contains("heard"), "{lines:?}");
    }
}

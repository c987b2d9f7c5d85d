//! Log lines on stderr: the journal adds time and unit. Plain lines have a record's text alone; the other formats have what
//! it is about, too.

mod journal;
pub(crate) mod labels;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use micrun_log::{Entry, Limits, Setting};

pub use micrun_log::LogFormat;

/// What a pipe that is ready takes at once (`PIPE_BUF`, pipe(7)).
const ROOM: usize = 4096;

/// The format of lines.
static FORMAT: Setting = Setting::new(LogFormat::Plain);

/// Writes only while stderr takes it: a slow reader of the log must not hold the daemon up.
struct Stderr {
    /// Whether lines begin with their priority.
    to_journal: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Lines that were not written since the last one that was.
    lost: u64,
    limits: Limits,
}

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let entry = Entry::of(record);
        // A panic while it was held leaves it whole.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        for (client, count) in state.limits.settle(now) {
            self.write(&Entry::left_out("client", &client, count), &mut state.lost);
        }
        if entry.subject().is_none_or(|client| state.limits.admit(client, now)) {
            self.write(&labels::complete(entry), &mut state.lost);
        }
    }

    fn flush(&self) {}
}

impl Stderr {
    fn write(&self, entry: &Entry, lost: &mut u64) {
        if *lost > 0 && is_ready(&io::stderr()) {
            let text = self.mark(Level::Warn, &Entry::missing(*lost).line(FORMAT.get(), ROOM));
            let _ = io::stderr().write_all(text.as_bytes());
            *lost = 0;
        }
        if !is_ready(&io::stderr()) {
            *lost += 1;
            return;
        }
        // Of the room, a priority and the end of the line take a part.
        let room = if self.to_journal { ROOM - 4 } else { ROOM - 1 };
        let text = self.mark(entry.level, &entry.line(FORMAT.get(), room));
        // There is no other place to complain.
        let _ = io::stderr().write_all(text.as_bytes());
    }

    /// The text with its end, and what the journal wants in front of each line.
    fn mark(&self, level: Level, text: &str) -> String {
        if !self.to_journal {
            return format!("{text}\n");
        }
        let prefix = journal::priority(level);
        let mut marked: String = text.split('\n').flat_map(|line| [prefix, line, "\n"]).collect();
        if marked.len() > ROOM {
            marked.truncate(marked.floor_char_boundary(ROOM - 1));
            marked.push('\n');
        }
        marked
    }
}

/// Whether it takes [`ROOM`] bytes without blocking.
fn is_ready(output: &impl AsFd) -> bool {
    let mut ready = [PollFd::new(output.as_fd(), PollFlags::POLLOUT)];
    poll(&mut ready, PollTimeout::ZERO).is_ok_and(|n| n > 0)
}

/// Sends log records up to `level` to stderr. Only the first call has an effect.
pub fn init(level: LevelFilter) {
    let to_journal = journal::is_at(&io::stderr());
    if log::set_boxed_logger(Box::new(Stderr { to_journal, state: Mutex::default() })).is_ok() {
        log::set_max_level(level);
    }
}

/// Writes why the program ends, which is never left out.
pub fn last_words(text: &str) {
    let logger = Stderr { to_journal: journal::is_at(&io::stderr()), state: Mutex::default() };
    let entry = Entry::new(Level::Error, text.to_owned());
    let text = logger.mark(Level::Error, &entry.line(FORMAT.get(), ROOM));
    // There is no other place to complain.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes lines in this format from now on.
pub fn set_format(format: LogFormat) {
    FORMAT.set(format);
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_full_pipe_is_not_ready_and_one_with_room_takes_a_line() {
        let (reader, mut writer) = io::pipe().unwrap();
        while is_ready(&writer) {
            writer.write_all(&[b'x'; ROOM]).unwrap();
        }
        (&reader).read_exact(&mut [0; ROOM]).unwrap();
        assert!(is_ready(&writer));
    }

    #[test]
    fn each_line_for_the_journal_has_its_priority() {
        let stderr = |to_journal| Stderr { to_journal, state: Mutex::default() };
        assert_eq!(stderr(true).mark(Level::Warn, "warn: a\nb"), "<4>warn: a\n<4>b\n");
        assert_eq!(stderr(false).mark(Level::Warn, "warn: a\nb"), "warn: a\nb\n");
        assert!(stderr(true).mark(Level::Error, &"x\n".repeat(2000)).len() <= ROOM);
    }
}

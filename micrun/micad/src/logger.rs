//! Log lines on stderr, plain: the journal adds time and unit.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What a pipe that is ready takes at once (`PIPE_BUF`, pipe(7)).
const ROOM: usize = 4096;

/// Writes only while stderr takes it: a slow reader of the log must not hold the daemon up.
struct Stderr {
    /// Lines that were not written since the last one that was.
    lost: Mutex<u64>,
}

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_ready(&io::stderr()) {
            *lost += 1;
            return;
        }
        let mut text = format!("{}: {}", record.level().as_str().to_lowercase(), record.args());
        if *lost > 0 {
            text.insert_str(0, &format!("warning: {lost} lines are missing: the log was not read in time\n"));
            *lost = 0;
        }
        text.truncate(text.floor_char_boundary(ROOM - 1));
        text.push('\n');
        // There is no other place to complain.
        let _ = io::stderr().write_all(text.as_bytes());
    }

    fn flush(&self) {}
}

/// Whether it takes [`ROOM`] bytes without blocking.
fn is_ready(output: &impl AsFd) -> bool {
    let mut ready = [PollFd::new(output.as_fd(), PollFlags::POLLOUT)];
    poll(&mut ready, PollTimeout::ZERO).is_ok_and(|n| n > 0)
}

/// Sends log records up to `level` to stderr. Only the first call has an effect.
pub fn init(level: LevelFilter) {
    if log::set_boxed_logger(Box::new(Stderr { lost: Mutex::new(0) })).is_ok() {
        log::set_max_level(level);
    }
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
}

//! A terminal that is drawn on in place, and is as before afterwards.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use tokio::io::unix::AsyncFd;

use crate::sys;

/// The other screen, without a cursor; and back (xterm's control sequences).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// The upper left corner; the rest of the line; the rest of the screen.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";
/// Where a terminal does not tell its size.
const USUAL: (usize, usize) = (80, 24);
/// Switches a special character off (`_POSIX_VDISABLE` of Linux).
const DISABLED: u8 = 0;

/// The screen. Dropping it gives the terminal back.
pub(super) struct Screen {
    keys: Option<Keys>,
}

/// A keyboard that gives each key at once and echoes none.
struct Keys {
    input: AsyncFd<OwnedFd>,
    before: Termios,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn enter(out: &mut impl Write) -> io::Result<Self> {
        let keys = if io::stdin().is_terminal() { Some(Keys::take()?) } else { None };
        let screen = Self { keys };
        write!(out, "{ENTER}")?;
        out.flush()?;
        Ok(screen)
    }

    /// Draws these lines on the terminal that was taken, as far as they fit.
    pub(super) fn draw(lines: &[String], out: &mut impl Write) -> io::Result<()> {
        let (columns, rows) = size();
        let mut picture = HOME.to_owned();
        for (index, line) in lines.iter().take(rows).enumerate() {
            if index > 0 {
                picture.push_str("\r\n");
            }
            picture.extend(line.chars().take(columns));
            picture.push_str(REST_OF_LINE);
        }
        picture.push_str(REST_OF_SCREEN);
        out.write_all(picture.as_bytes())?;
        out.flush()
    }

    /// Returns once `q` was pressed. May be cancelled.
    pub(super) async fn quit(&self) {
        let Some(Keys { input, .. }) = &self.keys else { return std::future::pending().await };
        loop {
            let Ok(mut ready) = input.readable().await else { return std::future::pending().await };
            let mut keys = [0; 64];
            // It is ready, so this does not wait. A terminal that is gone ends the program by SIGHUP.
            let read = input.get_ref().try_clone().map(File::from).and_then(|mut file| file.read(&mut keys));
            match read {
                Ok(0) | Err(_) => return,
                Ok(n) if keys[..n].iter().any(|key| matches!(key, b'q' | b'Q')) => return,
                Ok(_) => ready.clear_ready(),
            }
        }
    }
}

impl Keys {
    fn take() -> io::Result<Self> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let before = rustix::termios::tcgetattr(&input)?;
        let mut raw = before.clone();
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        // A stopped program could not give the terminal back.
        raw.special_codes[SpecialCodeIndex::VSUSP] = DISABLED;
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        let keys = Self { input: sys::watch(input)?, before };
        rustix::termios::tcsetattr(keys.input.get_ref(), OptionalActions::Now, &raw)?;
        Ok(keys)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = io::stdout();
        // A terminal that is gone needs nothing back.
        let _ = write!(out, "{LEAVE}").and_then(|()| out.flush());
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(self.input.get_ref(), OptionalActions::Now, &self.before);
    }
}

/// Columns and rows.
fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => USUAL,
    }
}

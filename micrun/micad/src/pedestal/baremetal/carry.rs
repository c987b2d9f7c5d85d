//! The process between an rpmsg terminal and its pty: `micad --carry=TTY,PTY`.
//!
//! It starts when a line comes on its standard input, and ends when the rpmsg terminal is gone and all that came
//! from it is in the pty. What the pty's reader does not take is kept here, up to [`BACKLOG`]; beyond that in
//! the kernel, whose terminal drops what its own buffers (640 KiB) do not hold.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// Most bytes that wait for the pty's reader.
const BACKLOG: usize = 1 << 20;
/// Bytes in one read; a pty gives no more at a time.
const CHUNK: usize = 4096;
/// Pause after the firmware's buffers were found full: the kernel does not tell when one is free.
const RETRY: Duration = Duration::from_millis(1);

/// Carries bytes both ways, from the line on standard input to the end of `tty`.
pub fn run(tty: OwnedFd, pty: OwnedFd) -> io::Result<()> {
    rustix::thread::set_name(c"mica-console")?;
    let mut go = String::new();
    if io::stdin().read_line(&mut go)? == 0 {
        // The daemon has ended before it had written us down. The next one starts another.
        return Ok(());
    }
    Carrier { tty, pty, output: VecDeque::new(), input: VecDeque::new(), full: false, gone: false }.run()
}

struct Carrier {
    tty: OwnedFd,
    pty: OwnedFd,
    /// From the firmware to its reader.
    output: VecDeque<u8>,
    /// To the firmware.
    input: VecDeque<u8>,
    /// The firmware has no room.
    full: bool,
    /// The rpmsg terminal is no more.
    gone: bool,
}

impl Carrier {
    fn run(mut self) -> io::Result<()> {
        while !self.gone || !self.output.is_empty() {
            let (tty, pty) = self.wait()?;
            if tty.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                self.read_tty(tty.intersects(PollFlags::HUP | PollFlags::ERR))?;
            }
            if pty.contains(PollFlags::IN) {
                read_into(&self.pty, &mut self.input)?;
            }
            self.write_pty()?;
            self.write_tty()?;
        }
        Ok(())
    }

    /// Waits for something to do; gives what each side is ready for.
    fn wait(&self) -> io::Result<(PollFlags, PollFlags)> {
        let mut for_tty = PollFlags::empty();
        let mut for_pty = PollFlags::empty();
        for_tty.set(PollFlags::IN, self.output.len() < BACKLOG);
        for_pty.set(PollFlags::IN, self.input.is_empty() && !self.gone);
        for_pty.set(PollFlags::OUT, !self.output.is_empty());
        let pause = Timespec::try_from(RETRY).ok().filter(|_| self.full);
        let mut ready = vec![PollFd::new(&self.pty, for_pty)];
        if !self.gone {
            ready.push(PollFd::new(&self.tty, for_tty));
        }
        match rustix::event::poll(&mut ready, pause.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        Ok((ready.get(1).map_or(PollFlags::empty(), PollFd::revents), ready[0].revents()))
    }

    /// Reads what there is; of a terminal that is gone, to its end.
    fn read_tty(&mut self, hung_up: bool) -> io::Result<()> {
        while self.output.len() < BACKLOG || hung_up {
            match read_into(&self.tty, &mut self.output)? {
                Got::Bytes => {}
                Got::NothingYet => break,
                Got::End => {
                    self.gone = true;
                    self.full = false;
                    self.input.clear();
                    break;
                }
            }
        }
        Ok(())
    }

    fn write_pty(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match rustix::io::write(&self.pty, self.output.as_slices().0) {
                Ok(0) | Err(Errno::WOULDBLOCK) => break,
                Ok(count) => drop(self.output.drain(..count)),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn write_tty(&mut self) -> io::Result<()> {
        self.full = false;
        while !self.input.is_empty() {
            match rustix::io::write(&self.tty, self.input.as_slices().0) {
                // `rpmsg_trysend` found no free buffer.
                Ok(0) | Err(Errno::WOULDBLOCK | Errno::NOMEM) => {
                    self.full = true;
                    break;
                }
                Ok(count) => drop(self.input.drain(..count)),
                Err(Errno::INTR) => {}
                // The next read says the same.
                Err(Errno::IO | Errno::NXIO | Errno::NODEV) => self.input.clear(),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

enum Got {
    Bytes,
    NothingYet,
    End,
}

fn read_into(source: &impl AsFd, buffer: &mut VecDeque<u8>) -> io::Result<Got> {
    let mut chunk = [0; CHUNK];
    match rustix::io::read(source, &mut chunk) {
        // A terminal that was hung up reads as at its end, or as an error.
        Ok(0) | Err(Errno::IO | Errno::NXIO | Errno::NODEV) => Ok(Got::End),
        Ok(count) => {
            buffer.extend(&chunk[..count]);
            Ok(Got::Bytes)
        }
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(Got::NothingYet),
        Err(e) => Err(e.into()),
    }
}

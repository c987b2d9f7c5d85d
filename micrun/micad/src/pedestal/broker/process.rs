//! The broker of a console: `micad --relay`, with the daemon's socket as its standard input, the master of the pty that a
//! status tells as its standard output, and a pidfd of the daemon as its standard error.
//!
//! It takes one terminal after the other from the daemon's socket ([`wire`]) and reads what firmware writes there into its
//! [`Ring`], always. From there each reader gets it at its own pace: the pty, and whoever is attached ([`Reader`]). One that
//! is a whole ring behind loses the oldest bytes, and nobody else does. What readers type goes to the firmware.
//!
//! It stays until a signal ends it: if there is no daemon, nobody else holds the pty.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use libmica::attach::Attach;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags};

use super::pty::Pty;
use super::reader::Reader;
use super::ring::Ring;
use super::terminal::{CHUNK, Got, Terminal, make_nonblocking, read_into};
use super::trace::Trace;
use super::{MAX_DESCRIPTORS, wire};
use crate::jail::Filter;

/// Reads before the readers get their share.
const READS: usize = 16;
/// Most connections that are attached at a time.
const MOST_READERS: usize = 16;
/// Pause after the firmware's buffers were found full: the kernel does not tell when one of rpmsg's is free.
const RETRY_MS: u8 = 1;
/// Pause after all was read. Firmware's characters come one by one, and each would wake this process and all who
/// read: a flood would have as many wake-ups as bytes. The first one after a rest waits for nothing.
const PAUSE: Duration = Duration::from_millis(1);

/// Relays what the daemon gives. Returns when the daemon has ended before it had written this process down, at SIGTERM, or
/// to report an error.
pub(crate) fn run() -> io::Result<()> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let pty = io::stdout().as_fd().try_clone_to_owned()?;
    let daemon = io::stderr().as_fd().try_clone_to_owned()?;
    // Whoever starts this by hand has neither.
    rustix::net::sockopt::socket_type(&socket)?;
    nix::sys::termios::tcgetattr(&pty)?;
    nix::sys::prctl::set_name(c"mica-console")?;
    let end = termination()?;
    if let Some(filter) = Filter::relay() {
        filter.install()?;
    }
    make_nonblocking(&pty)?;
    let mut broker = Broker {
        socket,
        end,
        kept: false,
        terminal: None,
        gone: false,
        pause: None,
        over: false,
        left: false,
        told: false,
        input: VecDeque::new(),
        full: false,
        ring: Ring::in_memory(),
        previous: None,
        pty: Pty::new(pty),
        readers: Vec::new(),
        frame: Vec::new(),
    };
    while !broker.step(Some(&daemon).filter(|_| !broker.kept))? {}
    Ok(())
}

/// Readable once SIGTERM has come. Nothing else would show it: the kernel keeps the signal from the first process of a PID
/// namespace that has asked for no notice of it, and the end of the machine would wait for this one.
fn termination() -> nix::Result<SignalFd> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    let mut blocked = signals;
    // A ring that is larger than it was said to become is an error of its writes.
    blocked.add(Signal::SIGXFSZ);
    blocked.thread_block()?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, of another one's life")]
struct Broker {
    socket: OwnedFd,
    end: SignalFd,
    /// Whether the daemon has written this process down: it lives longer than the daemon then.
    kept: bool,
    terminal: Option<Terminal>,
    /// The terminal is no more, or nothing comes from it any more.
    gone: bool,
    /// Until when the terminal is not asked whether there is more.
    pause: Option<Instant>,
    /// The run has ended.
    over: bool,
    /// Its terminal will not say so.
    left: bool,
    /// The daemon knows that all of the terminal is relayed.
    told: bool,
    /// To the firmware.
    input: VecDeque<u8>,
    /// The firmware has no room.
    full: bool,
    ring: Ring,
    /// Of the run before.
    previous: Option<Ring>,
    pty: Pty,
    readers: Vec<Reader>,
    /// Room for one frame.
    frame: Vec<u8>,
}

/// What there is to do.
struct Ready {
    socket: PollFlags,
    pty: PollFlags,
    terminal: PollFlags,
    daemon: PollFlags,
    end: PollFlags,
    readers: Vec<PollFlags>,
}

impl Broker {
    /// Waits for something to do, and does it. True if that was to end: at SIGTERM, or with the `daemon` that has not
    /// written this process down.
    fn step(&mut self, daemon: Option<&OwnedFd>) -> io::Result<bool> {
        let ready = self.wait(daemon)?;
        if !ready.end.is_empty() {
            return Ok(true);
        }
        if !ready.socket.is_empty() || !ready.daemon.is_empty() {
            // All that it has said, before it counts as gone.
            self.obey()?;
        }
        if !ready.daemon.is_empty() && !self.kept {
            return Ok(true);
        }
        if !ready.terminal.difference(PollFlags::POLLOUT).is_empty() || self.is_ending() || self.is_due() {
            self.read_terminal()?;
        }
        if ready.pty.contains(PollFlags::POLLIN) {
            read_into(&self.pty.master, &mut self.input)?;
        }
        self.pty.blocked &= !ready.pty.contains(PollFlags::POLLOUT);
        self.hear(&ready.readers);
        self.pty.flush(&self.ring)?;
        self.write_readers();
        self.write_terminal()?;
        self.tell()?;
        Ok(false)
    }

    /// What may still say something.
    fn live(&self) -> Option<&Terminal> {
        self.terminal.as_ref().filter(|_| !self.gone)
    }

    /// Whether what is left of a run is to be read to its end.
    fn is_ending(&self) -> bool {
        self.over && self.live().is_some_and(|it| self.left || !it.is_rpmsg())
    }

    /// Whether the terminal is to be looked at although it has not said a thing.
    fn is_due(&self) -> bool {
        let trace = self.live().and_then(Terminal::trace);
        trace.is_some_and(|trace| trace.due_in().is_zero())
            || self.pausing().is_some_and(|left| left.is_zero())
    }

    /// What is left of a pause.
    fn pausing(&self) -> Option<Duration> {
        self.pause.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// How much may be read before bytes are lost that must not be.
    fn room(&self) -> usize {
        let held = self.readers.iter().filter_map(Reader::holds_from).min();
        held.map_or(CHUNK, |from| usize::try_from(self.ring.room_before(from)).unwrap_or(CHUNK).min(CHUNK))
    }

    fn wait(&self, daemon: Option<&OwnedFd>) -> io::Result<Ready> {
        let live = self.live();
        let may_type = live.is_some() && self.input.is_empty();
        let flags = |of: &[(PollFlags, bool)]| {
            of.iter().filter(|(_, wanted)| *wanted).map(|(flag, _)| *flag).collect::<PollFlags>()
        };
        let for_pty =
            flags(&[(PollFlags::POLLIN, may_type), (PollFlags::POLLOUT, self.pty.waits(&self.ring))]);
        let full = self.full && live.is_some_and(|it| !it.is_rpmsg());
        let asks = self.room() > 0 && self.pause.is_none();
        let for_terminal = flags(&[(PollFlags::POLLIN, asks), (PollFlags::POLLOUT, full)]);
        let for_reader = |reader: &Reader| {
            let types = reader.may_type() && may_type;
            flags(&[(PollFlags::POLLIN, types), (PollFlags::POLLOUT, reader.is_full())])
        };
        // What there is not is asked for nothing: the socket takes its place. So is one that may not be read now, which may
        // have hung up.
        let polled = live.filter(|it| !it.is_rpmsg() || self.room() > 0).and_then(Terminal::fd);
        let (terminal, for_terminal) =
            polled.map_or((self.socket.as_fd(), PollFlags::empty()), |fd| (fd, for_terminal));
        let (daemon, for_daemon) =
            daemon.map_or((&self.socket, PollFlags::empty()), |fd| (fd, PollFlags::POLLIN));
        let mut ready = vec![
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.pty.master.as_fd(), for_pty),
            PollFd::new(terminal, for_terminal),
            PollFd::new(daemon.as_fd(), for_daemon),
            PollFd::new(self.end.as_fd(), PollFlags::POLLIN),
        ];
        ready.extend(self.readers.iter().map(|it| PollFd::new(it.socket.as_fd(), for_reader(it))));
        match poll(&mut ready, self.until()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        let mut seen = ready.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        let mut next = || seen.next().unwrap_or(PollFlags::empty());
        let (socket, pty, of_terminal, daemon, end) = (next(), next(), next(), next(), next());
        let terminal = if polled.is_some() { of_terminal } else { PollFlags::empty() };
        Ok(Ready { socket, pty, terminal, daemon, end, readers: seen.collect() })
    }

    /// When there is something to do although nothing happens.
    fn until(&self) -> PollTimeout {
        if self.full && self.terminal.as_ref().is_some_and(Terminal::is_rpmsg) {
            return RETRY_MS.into();
        }
        if self.is_ending() && self.room() > 0 {
            return PollTimeout::ZERO;
        }
        if self.gone && !self.told {
            return in_milliseconds(self.absent());
        }
        let trace = self.live().and_then(Terminal::trace).filter(|_| self.room() > 0);
        let due = trace.map(Trace::due_in).into_iter().chain(self.pausing()).min();
        due.map_or(PollTimeout::NONE, in_milliseconds)
    }

    /// When it will be clear that nobody reads the pty. Who is attached reads there.
    fn absent(&self) -> Duration {
        let attached = self.readers.iter().any(Reader::may_type);
        if attached { Duration::ZERO } else { self.pty.absent() }
    }

    /// Takes the daemon's messages.
    fn obey(&mut self) -> io::Result<()> {
        loop {
            let mut message = [0; wire::MAX_MESSAGE];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let mut bytes = [IoSliceMut::new(&mut message)];
            let count = match rustix::net::recvmsg(&self.socket, &mut bytes, &mut control, flags) {
                Ok(received) if received.bytes > 0 => received.bytes,
                Ok(_) | Err(rustix::io::Errno::WOULDBLOCK) => return Ok(()),
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => return Err(e.into()),
            };
            let fds = control.drain().filter_map(|it| match it {
                RecvAncillaryMessage::ScmRights(fds) => Some(fds),
                _ => None,
            });
            let fds: Vec<OwnedFd> = fds.flatten().collect();
            self.obey_one(message[0], &message[1..count], fds)?;
        }
    }

    fn obey_one(&mut self, kind: u8, text: &[u8], fds: Vec<OwnedFd>) -> io::Result<()> {
        let mut fds = fds.into_iter();
        match (kind, fds.next(), fds.next()) {
            (wire::KEEP, ..) => self.kept = true,
            (wire::OVER | wire::LEFT, ..) => {
                (self.over, self.gone) = (true, self.gone || self.terminal.is_none());
                self.left |= kind == wire::LEFT;
            }
            (wire::TAKE_RPMSG, Some(fd), _) => self.take(Terminal::rpmsg(fd)?),
            (wire::TAKE_PTY, Some(slave), Some(master)) => self.take(Terminal::pty(slave, master)?),
            (wire::TAKE_TRACE, Some(file), _) => self.take(Terminal::Trace(Trace::new(File::from(file)))),
            (wire::RING, Some(ring), previous) => {
                if let Ok(ring) = Ring::open(File::from(ring))
                    && self.ring.head() == 0
                {
                    // A broker before this one has given the pty what came before, or nobody has.
                    self.pty.position = ring.head();
                    self.ring = ring;
                }
                self.previous = previous.and_then(|previous| Ring::open(File::from(previous)).ok());
            }
            (wire::ATTACH, Some(connection), _) => {
                let attach = std::str::from_utf8(text).ok().and_then(|text| text.parse::<Attach>().ok());
                let Some(attach) = attach else { return Ok(()) };
                if self.readers.len() < MOST_READERS {
                    self.readers.push(Reader::new(connection, &attach, &self.ring, self.previous.as_ref()));
                } else {
                    let words =
                        format!("{MOST_READERS} others are attached to this console: close one of them");
                    let words = libmica::Reply::failed(words).encode();
                    // Whoever does not take it has gone.
                    let _ = rustix::net::send(&connection, &words, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A terminal that comes while there is one is the same once more, and a trace may be in another file.
    fn take(&mut self, terminal: Terminal) {
        match (&mut self.terminal, terminal) {
            (Some(Terminal::Trace(trace)), Terminal::Trace(other)) => trace.goes_on_in(other),
            (Some(_), _) => {}
            (none, terminal) => {
                *none = Some(terminal);
                (self.gone, self.told) = (false, false);
            }
        }
    }

    /// Reads what there is; of a terminal that is gone, to its end.
    fn read_terminal(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        self.pause = None;
        for reads in 0..READS {
            let room = self.room();
            let Some(terminal) = self.terminal.as_mut().filter(|_| room > 0) else { return Ok(()) };
            match terminal.read(&mut chunk[..room])? {
                Got::Bytes(count) => {
                    self.pty.before(&self.ring);
                    self.ring.append(&chunk[..count]);
                }
                Got::NothingYet if !self.over || (terminal.is_rpmsg() && !self.left) => {
                    self.pause = terminal.fd().filter(|_| reads > 0).map(|_| Instant::now() + PAUSE);
                    return Ok(());
                }
                Got::NothingYet | Got::End => {
                    (self.gone, self.full) = (true, false);
                    self.input.clear();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes what the readers have typed.
    fn hear(&mut self, ready: &[PollFlags]) {
        // Those behind were attached just now.
        for (reader, ready) in self.readers.iter_mut().zip(ready) {
            if ready.contains(PollFlags::POLLIN) {
                let mut typed = [0; CHUNK];
                let count = reader.type_to(&mut typed);
                self.input.extend(&typed[..count]);
            }
            if ready.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
                reader.gone();
            }
        }
    }

    fn write_readers(&mut self) {
        let over = self.over && self.gone;
        for reader in &mut self.readers {
            let missed = reader.flush(&self.ring, self.previous.as_ref(), over, &mut self.frame);
            self.ring.lose(missed);
        }
        self.readers.retain(|reader| !reader.is_done());
    }

    fn write_terminal(&mut self) -> io::Result<()> {
        self.full = false;
        let Some(terminal) = self.terminal.as_ref().filter(|_| !self.gone) else { return Ok(()) };
        while !self.input.is_empty() {
            match terminal.write(self.input.as_slices().0) {
                // `rpmsg_trysend` found no free buffer.
                Ok(0) | Err(Errno::EWOULDBLOCK | Errno::ENOMEM) => {
                    self.full = true;
                    break;
                }
                Ok(count) => drop(self.input.drain(..count)),
                Err(Errno::EINTR) => {}
                // The next read says the same.
                Err(Errno::EIO | Errno::ENXIO | Errno::ENODEV) => self.input.clear(),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Tells the daemon when all of a terminal is relayed, as far as somebody takes it.
    fn tell(&mut self) -> io::Result<()> {
        let relayed = self.pty.position == self.ring.head() || self.absent().is_zero();
        if self.gone && !self.told && relayed {
            self.terminal = None;
            self.told = true;
            match rustix::net::send(&self.socket, &[wire::DONE], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                // Without a daemon, the next one asks again.
                Ok(_) | Err(rustix::io::Errno::PIPE | rustix::io::Errno::WOULDBLOCK) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

fn in_milliseconds(time: Duration) -> PollTimeout {
    let millis = if time.is_zero() { time } else { time + Duration::from_millis(1) };
    millis.try_into().unwrap_or(PollTimeout::NONE)
}

//! What the daemon and a broker say to each other, over a socket that keeps messages apart.
//!
//! A message to the broker is one of these bytes, with descriptors and for [`ATTACH`] a text behind it.

/// The daemon has written the process down: it need not die with it any more.
pub(super) const KEEP: u8 = b'k';
/// An rpmsg terminal to relay.
pub(super) const TAKE_RPMSG: u8 = b't';
/// A pty to relay: its slave, and its master, so that nothing in it is lost when whoever writes there ends.
pub(super) const TAKE_PTY: u8 = b'p';
/// The file of a trace buffer; of one that it has already, where it goes on.
pub(super) const TAKE_TRACE: u8 = b'f';
/// The ring's file, and that of the run before if there is one.
pub(super) const RING: u8 = b'r';
/// A connection for a console's reader, with what it asks for: [`libmica::attach::Attach`].
pub(super) const ATTACH: u8 = b'a';
/// The run is over: nothing is written to the terminal any more.
pub(super) const OVER: u8 = b'o';
/// The same, but the kernel leaves the terminal, which will not say that it has ended.
pub(super) const LEFT: u8 = b'l';
/// Most bytes of a message.
pub(super) const MAX_MESSAGE: usize = 1 + libmica::command::MAX_LEN;

/// The broker's only word: all of a terminal is relayed.
pub(super) const DONE: u8 = b'd';

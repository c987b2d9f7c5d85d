//! Copies a client's input to a process: to its terminal, or to the pipe that is its stdin.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::Mutex;

use super::presence::Presence;
use crate::os::tty::Tty;

/// One read of stdin at most, and as much as a terminal takes at once.
const BUFFER: usize = 4 * 1024;
/// How often a FIFO is asked whether a client has come.
const LOOK: Duration = Duration::from_millis(250);

/// Copies stdin to a terminal until stdin ends: the client has closed it and so has `CloseIO`. While somebody else holds
/// the `keyboard`, what was typed waits.
///
/// With `client`, nothing keeps stdin from ending while nobody is attached, and that end is only the client's:
/// the copy goes on with the next one, and `client` knows. `name` is for the log.
pub(crate) async fn to_terminal(
    name: String,
    mut stdin: Receiver,
    tty: Arc<Tty>,
    keyboard: Arc<Mutex<()>>,
    client: Option<Arc<Presence>>,
) {
    loop {
        if let Some(client) = &client {
            stdin = match next_client(stdin, client).await {
                Ok(stdin) => stdin,
                Err(error) => return log::warn!("{name}: waiting for a client on stdin failed: {error}"),
            };
        }
        let typed = match read(&stdin).await {
            Ok(typed) if typed.is_empty() && client.is_some() => continue,
            Ok(typed) if typed.is_empty() => return,
            Ok(typed) => typed,
            Err(error) => return log::warn!("{name}: reading stdin failed: {error}"),
        };
        let _keyboard = keyboard.lock().await;
        if let Err(error) = tty.write_all(&typed).await {
            return log::warn!("{name}: {} bytes of input are lost: {error}", typed.len());
        }
    }
}

/// Copies stdin to a pipe until stdin ends, or until the process does not read any more.
pub(crate) async fn to_pipe(name: String, stdin: Receiver, mut pipe: Sender) {
    loop {
        let typed = match read(&stdin).await {
            Ok(typed) if typed.is_empty() => return,
            Ok(typed) => typed,
            Err(error) => return log::warn!("{name}: reading stdin failed: {error}"),
        };
        if let Err(error) = pipe.write_all(&typed).await {
            return log::debug!("{name}: {} bytes of input are lost: {error}", typed.len());
        }
    }
}

/// Waits for input; nothing is its end. It takes no memory before something has come.
async fn read(stdin: &Receiver) -> io::Result<Vec<u8>> {
    loop {
        stdin.readable().await?;
        let mut typed = vec![0; BUFFER];
        match stdin.try_read(&mut typed) {
            Ok(count) => {
                typed.truncate(count);
                return Ok(typed);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits until somebody has the FIFO open for writing.
///
/// The kernel does not tell when that happens, so it is asked now and then; and as tokio never forgets that
/// a pipe was hung up, it gets the descriptor anew.
async fn next_client(stdin: Receiver, client: &Presence) -> io::Result<Receiver> {
    let fd = stdin.into_nonblocking_fd()?;
    while hung_up(&fd)? {
        client.set(false);
        tokio::time::sleep(LOOK).await;
    }
    client.set(true);
    Receiver::from_owned_fd(fd)
}

/// Whether all writers have gone, and all they wrote has been read.
pub(super) fn hung_up(fifo: &OwnedFd) -> io::Result<bool> {
    let mut state = [PollFd::new(fifo.as_fd(), PollFlags::POLLIN)];
    poll(&mut state, PollTimeout::ZERO)?;
    Ok(state[0].revents() == Some(PollFlags::POLLHUP))
}

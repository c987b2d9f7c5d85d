//! Connections that are handed over to the broker of a console.

use std::os::fd::AsFd;

use libmica::attach::Attach;
use tokio::net::UnixStream;

use super::client::Client;
use crate::{Error, Result};

/// Has the broker of the stream that is asked for serve the connection from now on.
pub(super) fn attach(client: &Client, connection: &UnixStream, attach: &Attach) -> Result<()> {
    let doors = client.snapshot().doors;
    if doors.is_empty() {
        return Err(Error::NoConsole { name: client.spec.name().to_owned() });
    }
    let number = attach.stream.parse::<usize>().ok();
    let door = doors.iter().find(|door| door.name == attach.stream);
    let door = door.or_else(|| number.and_then(|number| doors.get(number)));
    let door = door.ok_or_else(|| {
        let known = doors.iter().map(|door| door.name.as_str()).collect::<Vec<_>>().join(", ");
        Error::NoStream { name: client.spec.name().to_owned(), stream: attach.stream.clone(), known }
    })?;
    door.attach(connection.as_fd(), attach)
}

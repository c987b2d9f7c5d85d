//! Connections that are handed over to the broker of a console.

use std::os::fd::AsFd;

use libmica::attach::Attach;
use libmica::names::is_terminal;
use tokio::net::UnixStream;

use super::client::Client;
use crate::pedestal::Door;
use crate::{Error, Result};

/// Has the broker of the stream that is asked for serve the connection from now on.
pub(super) fn attach(client: &Client, connection: &UnixStream, attach: &Attach) -> Result<()> {
    let doors = client.snapshot().doors;
    door(client.spec.name(), &doors, &attach.stream)?.attach(connection.as_fd(), attach)
}

/// The way to a stream of the client `name`, by its name there or its number.
pub(super) fn door<'a>(name: &str, doors: &'a [Door], stream: &str) -> Result<&'a Door> {
    if doors.is_empty() {
        return Err(Error::NoConsole { name: name.to_owned() });
    }
    let door = doors.iter().find(|door| door.name == stream);
    // A number is that of a terminal: the console is 0, also while the firmware has announced none.
    let number = stream.parse::<usize>().ok();
    let mut terminals = doors.iter().filter(|door| is_terminal(&door.name));
    door.or_else(|| number.and_then(|number| terminals.nth(number))).ok_or_else(|| {
        let known = doors.iter().map(|door| door.name.as_str()).collect::<Vec<_>>().join(", ");
        Error::NoStream { name: name.to_owned(), stream: stream.to_owned(), known }
    })
}

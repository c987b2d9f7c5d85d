//! The mica protocol: what travels between a mica daemon and its clients.
//!
//! The wire is that of openEuler's `micad` (upstream commit `40f5e2f`): one request per connection over
//! `AF_UNIX` stream sockets below `/run/mica`. [`create`], [`command`], [`reply`] and [`status`] are the
//! codec, [`names`] the limits and the names of sockets and terminals, [`ext`] the JSON documents of our
//! extension commands, [`trace`] our line in front of a request. [`client`] (feature `client`, on by default) speaks it all over tokio.

pub mod attach;
pub mod command;
pub mod create;
mod error;
pub mod ext;
pub mod names;
pub mod reply;
pub mod status;
pub mod trace;

#[cfg(feature = "client")]
pub mod client;

#[cfg(feature = "client")]
pub use client::{Client, Launch, Timeouts};
pub use command::Command;
pub use create::CreateMessage;
pub use error::{Error, Result};
pub use reply::{Outcome, Reply, ReplyParser};
pub use status::{ClientState, ClientStatus, Service};

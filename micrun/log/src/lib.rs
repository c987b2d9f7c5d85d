//! Log lines, as micad and the shim write them: a record and what it is about, as plain text, logfmt or JSON.
//!
//! A record may say what it is about: `log::info!(client = name, pid = 7; "{name}: started")`. Its *subject* is a client
//! (micad's) or a container (the shim's). Lines are counted by that, so that none floods the log.

mod cut;
mod format;
mod limit;

pub use cut::boundary;
pub use format::{Entry, LogFormat, Setting};
pub use limit::Limits;

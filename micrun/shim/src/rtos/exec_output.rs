//! The output of a command: the pipe to those who take it.

use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Sender;

use super::shell_reader::without_returns;

/// A pipe that may be gone.
pub(super) struct Output {
    pipe: Option<Sender>,
    /// Whether lines are to end as in files, without a carriage return.
    plain: bool,
    after_return: bool,
}

impl Output {
    /// Output into `pipe`.
    pub(super) fn new(pipe: Option<Sender>, plain: bool) -> Self {
        Self { pipe, plain, after_return: false }
    }

    /// Writes all of `bytes`, waiting while they are not taken.
    pub(super) async fn put(&mut self, bytes: &[u8]) {
        let Some(pipe) = &mut self.pipe else { return };
        let plain = self.plain.then(|| without_returns(bytes, &mut self.after_return));
        if let Err(error) = pipe.write_all(plain.as_deref().unwrap_or(bytes)).await {
            log::warn!("the output of an exec is lost: {error}");
            self.pipe = None;
        }
    }
}

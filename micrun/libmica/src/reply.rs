//! Replies: free text, then a marker, then the daemon closes.

/// The marker of success.
pub const SUCCESS: &str = "MICA-SUCCESS";
/// The marker of failure.
pub const FAILED: &str = "MICA-FAILED";
/// Longest reply a client accepts, in bytes; a daemon that sends more without a marker is broken.
pub const MAX_LEN: usize = 1 << 20;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// `MICA-SUCCESS`.
    Success,
    /// `MICA-FAILED`.
    Failed,
}

/// A complete reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The text before the marker; empty if there is none.
    pub text: String,
    /// Which marker ended it.
    pub outcome: Outcome,
}

impl Reply {
    /// A reply that reports success.
    pub fn success(text: impl Into<String>) -> Self {
        Self { text: text.into(), outcome: Outcome::Success }
    }

    /// A reply that reports failure.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { text: text.into(), outcome: Outcome::Failed }
    }

    /// The bytes that go over the wire. A marker inside the text (of a hostile file name, say) would be
    /// taken for the end: its dash becomes an underscore.
    pub fn encode(&self) -> Vec<u8> {
        let text = Self::without_markers(&self.text);
        let marker = match self.outcome {
            Outcome::Success => SUCCESS,
            Outcome::Failed => FAILED,
        };
        (text + marker).into_bytes()
    }

    /// A text in which nothing can be taken for the end of a reply.
    pub fn without_markers(text: &str) -> String {
        text.replace(SUCCESS, "MICA_SUCCESS").replace(FAILED, "MICA_FAILED")
    }
}

/// Why a stream of bytes is not a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// More than [`MAX_LEN`] bytes without a marker.
    #[error("it is longer than {MAX_LEN} bytes")]
    TooLong,
    /// The daemon closed before a marker.
    #[error("it ended without MICA-SUCCESS or MICA-FAILED")]
    NoMarker,
}

/// Puts a reply together from chunks, however they are cut.
#[derive(Debug, Default)]
pub struct ReplyParser {
    received: Vec<u8>,
}

impl ReplyParser {
    /// A parser that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next chunk; the reply once its marker is complete.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Option<Reply>, ReplyError> {
        // A marker may straddle the border: look again at the bytes that could be its beginning.
        let from = self.received.len().saturating_sub(SUCCESS.len() - 1);
        self.received.extend_from_slice(chunk);
        let success = find(&self.received[from..], SUCCESS);
        let failed = find(&self.received[from..], FAILED);
        let (at, outcome) = match (success, failed) {
            (Some(s), Some(f)) if f < s => (f, Outcome::Failed),
            (Some(s), _) => (s, Outcome::Success),
            (None, Some(f)) => (f, Outcome::Failed),
            (None, None) if self.received.len() > MAX_LEN => return Err(ReplyError::TooLong),
            (None, None) => return Ok(None),
        };
        let text = String::from_utf8_lossy(&self.received[..from + at]).into_owned();
        Ok(Some(Reply { text, outcome }))
    }

    /// The error for a daemon that closed before [`Self::push`] gave a reply.
    pub fn end(&self) -> ReplyError {
        ReplyError::NoMarker
    }
}

fn find(haystack: &[u8], needle: &str) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle.as_bytes())
}

//! A text looked for in what comes in pieces.

/// A text looked for in pieces.
#[derive(Debug)]
pub(super) struct Search {
    text: Vec<u8>,
    /// The last bytes, one fewer than the text has: it may begin in them.
    tail: Vec<u8>,
}

impl Search {
    /// A search for `text`, which is not empty.
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.as_bytes().to_owned(), tail: Vec::new() }
    }

    /// Takes the next piece; whether the text is complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        self.tail.extend(bytes);
        let found = self.tail.windows(self.text.len()).any(|window| window == self.text);
        let excess = self.tail.len().saturating_sub(self.text.len() - 1);
        self.tail.drain(..excess);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_across_pieces_of_every_size() {
        for size in 1..=9 {
            let mut search = Search::new("ready");
            let found = b"rearead ready".chunks(size).map(|piece| search.take(piece));
            assert!(found.collect::<Vec<_>>().contains(&true), "{size}");
            let mut search = Search::new("ready");
            assert!(!b"read y reday".chunks(size).any(|piece| search.take(piece)), "{size}");
        }
    }
}

//! Where a text can be cut.

/// The last place at or before `most` that is not within a character.
///
/// `str::floor_char_boundary` does the same, from Rust 1.91 on.
pub fn boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::boundary;

    #[test]
    fn no_character_is_cut() {
        let text = "a\u{e9}\u{4e16}\u{1f980}"; // of one, two, three and four bytes
        let places: Vec<_> = (0..=12).map(|most| boundary(text, most)).collect();
        assert_eq!(places, [0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10, 10]);
        assert_eq!(boundary("", 5), 0);
    }
}

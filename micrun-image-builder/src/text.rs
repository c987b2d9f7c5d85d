//! Texts of others, made fit for a terminal.

/// The text with its control characters escaped: an image chooses its names.
pub(crate) fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            plain.extend(letter.escape_debug());
        } else {
            plain.push(letter);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image's name went to the terminal as it was.
    #[test]
    fn a_name_does_not_command_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\nb\u{9b}é ➜"), "a\\u{1b}[2J\\nb\\u{9b}é ➜");
    }
}

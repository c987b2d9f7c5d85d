//! Texts of others, made fit for a terminal.

/// The text with all escaped that moves the cursor, breaks the line or turns the writing: an image chooses its names.
pub(crate) fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || is_invisible(letter) {
            plain.extend(letter.escape_debug());
        } else {
            plain.push(letter);
        }
    }
    plain
}

/// A number of bytes, in words.
pub(crate) fn bytes(count: u64) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}

/// Characters that change how the text around them is shown.
const fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image's name went to the terminal as it was.
    #[test]
    fn a_name_does_not_command_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\nb\u{9b}é ➜"), "a\\u{1b}[2J\\nb\\u{9b}é ➜");
    }

    #[test]
    fn a_name_does_not_turn_what_follows() {
        assert_eq!(printable("a\u{202e}b\u{2028}c"), "a\\u{202e}b\\u{2028}c");
    }
}

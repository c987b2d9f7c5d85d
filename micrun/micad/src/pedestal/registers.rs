//! Registers in the texts that show them.

/// The number behind a register's name: `PC=0000` or `pc 0000`.
pub(crate) fn number(text: &str, name: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let digits = match word.strip_prefix(name) {
            Some("") => words.next()?,
            Some(rest) => rest.strip_prefix('=').unwrap_or_default(),
            None => continue,
        };
        if let Ok(number) = u64::from_str_radix(digits, 16) {
            return Some(number);
        }
    }
    None
}

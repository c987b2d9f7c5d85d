//! Words for messages: the texts of others made printable, and "did you mean ...". And values whose form is a text.

/// A closing clause for a message about `word`: names the nearest of `known` when one is near.
pub(crate) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    // The distance costs time in the product of the lengths; a hostile key may be megabytes long.
    if word.len() > 128 {
        return String::new();
    }
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), k))
        .min()
        .filter(|(distance, k)| *distance <= k.len().div_ceil(3))
        .map_or_else(String::new, |(_, k)| format!("; did you mean {k}?"))
}

/// A text of others for use inside a message: control characters escaped, shortened when long.
pub(crate) fn printable(text: &str) -> String {
    const LIMIT: usize = 255;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}... ({} bytes)", text[..end].escape_debug(), text.len()),
        None => text.escape_debug().to_string(),
    }
}

/// The same in quotation marks.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", printable(text))
}

/// Gives a type the form of a string in serde: what it displays, read by its `FromStr`.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as ::serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(::serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_word_only_when_one_is_near() {
        assert_eq!(hint("Memroy", ["Name", "Memory", "MaxMemory"]), "; did you mean Memory?");
        assert_eq!(hint("zzzzzz", ["Name", "Memory"]), "");
        assert_eq!(hint(&"x".repeat(1 << 20), ["Name"]), "");
    }

    #[test]
    fn shortens_at_a_character_boundary() {
        assert!(printable(&"é".repeat(500)).ends_with("é... (1000 bytes)"));
        assert_eq!(quoted("a\nb\u{1b}"), "\"a\\nb\\u{1b}\"");
    }
}

//! How the text of a value becomes a value; the error is the reason, as a part of a sentence.

use libmica::names;

use crate::text::quoted;

/// A text of at most `limit` bytes without control characters.
pub(super) fn text(text: &str, limit: usize) -> Result<String, String> {
    if text.len() > limit {
        return Err(format!("it has {} bytes, but at most {limit} fit", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{} has a control character; remove it", quoted(text)));
    }
    Ok(text.to_owned())
}

/// The name of a client.
pub(super) fn name(name: &str) -> Result<String, String> {
    names::validate(name).map(|()| name.to_owned()).map_err(|error| error.to_string())
}

/// The spellings of Python's `getboolean`.
pub(crate) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        _ => Err(format!("{} is neither yes nor no", quoted(text))),
    }
}

/// A whole number from `least` to `most`; `None` for -1.
pub(super) fn number(text: &str, least: u32, most: u32) -> Result<Option<u32>, String> {
    match text.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(number) => u32::try_from(number)
            .ok()
            .filter(|number| (least..=most).contains(number))
            .map(Some)
            .ok_or_else(|| format!("{number} is not between {least} and {most}")),
        Err(_) => Err(format!("{} is not a whole number", quoted(text))),
    }
}

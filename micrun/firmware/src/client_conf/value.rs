//! How the text of a value becomes a value; the error is the reason, as a part of a sentence.

use crate::text::quoted;

/// A text of at most `limit` bytes without control characters.
pub(super) fn text(text: &str, limit: usize) -> Result<String, String> {
    if text.len() > limit {
        return Err(format!("{} bytes are too many, at most {limit} fit", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{} has a control character; remove it", quoted(text)));
    }
    Ok(text.to_owned())
}

/// The name of a client: it becomes the name of its control socket, `<name>.socket`, beside the daemon's
/// own `mica-create.socket` (mica-protocol 1.1).
pub(super) fn name(name: &str, limit: usize) -> Result<String, String> {
    let name = text(name, limit)?;
    if name.contains('/') || name == "." || name == ".." {
        return Err(format!(
            "{} cannot be the name of a socket; use letters, digits, - and _",
            quoted(&name)
        ));
    }
    if name == "mica-create" {
        return Err("mica-create is the daemon's own socket; choose another name".into());
    }
    Ok(name)
}

/// The spellings of Python's `getboolean`.
pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
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
        Err(_) => Err(format!("{} is no whole number", quoted(text))),
    }
}

//! From ini text to sections, keys and values. The grammar is `configparser`'s; what it would accept in
//! silence and lose, a repeated key or a value that goes on in the next line, is an error here.

use std::collections::{BTreeMap, HashMap};

use configparser::ini::Ini;

use super::MAX_SIZE;
use crate::text::quoted;
use crate::{Error, Result};

/// Sections by name, each with its keys and values; names in lower case.
pub(crate) type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Reads `text` of a client.conf.
pub(super) fn parse(text: &str) -> Result<Sections> {
    parse_from(text, None).map_err(|(line, reason)| Error::ConfSyntax { line, reason })
}

/// Reads `text`, whose keys before any section are an error, or belong to `first`. The error is the line, and
/// what is wrong with it.
pub(crate) fn parse_from(text: &str, first: Option<&str>) -> Result<Sections, (usize, String)> {
    if text.len() as u64 > MAX_SIZE {
        let reason = format!("the file has {} bytes, more than the {MAX_SIZE} allowed", text.len());
        return Err((1, reason));
    }
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_lines(text, first)?;
    let mut ini = Ini::new();
    if let Some(first) = first {
        ini.set_default_section(first);
    }
    ini.set_inline_comment_symbols(Some(&[]));
    let map = ini.read(text.to_owned()).map_err(|reason| (1, reason))?;
    let keys = |keys: HashMap<String, Option<String>>| {
        keys.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
    };
    Ok(map.into_iter().map(|(section, map)| (section, keys(map))).collect())
}

/// Refuses what `configparser` would pass over, naming the line.
fn check_lines(text: &str, first: Option<&str>) -> Result<(), (usize, String)> {
    let mut section: Option<String> = first.map(str::to_owned);
    let mut seen = HashMap::new();
    for (number, raw) in (1..).zip(text.lines()) {
        let refuse = |reason: String| Err((number, reason));
        let line = raw.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return refuse(format!("{} has a control character; remove it", quoted(line)));
        }
        if let Some(rest) = line.strip_prefix('[') {
            let Some(name) = rest.strip_suffix(']') else {
                return refuse(format!("{} begins a section and does not end with \"]\"", quoted(line)));
            };
            section = Some(name.trim().to_lowercase());
            continue;
        }
        let Some(section) = &section else {
            return refuse(format!("{} stands before any section; begin with [Mica]", quoted(line)));
        };
        let Some((key, _)) = line.split_once(['=', ':']) else {
            return refuse(format!("{} is no KEY=VALUE; a value goes into one line", quoted(line)));
        };
        let key = key.trim().to_lowercase();
        if key.is_empty() {
            return refuse(format!("{} has no key before its value", quoted(line)));
        }
        if let Some(first) = seen.insert((section.clone(), key), number) {
            return refuse(format!("{} repeats the key of line {first}; keep one of them", quoted(line)));
        }
    }
    Ok(())
}

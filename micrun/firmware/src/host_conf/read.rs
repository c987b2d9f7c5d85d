//! From the text of a configuration file to keys and values. Sections carry no meaning: upstream's documentation
//! puts the same keys under several, or under none.

use std::path::Path;

use crate::ini::{Entry, Fault, Ini, Top};
use crate::text::quoted;
use crate::{Error, Result};

/// Name of the section that ini text begins in.
const FLAT: &str = "micrun";

/// A key with its value.
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: String,
    /// Where it is in the text, if that is known.
    line: Option<usize>,
}

impl Pair {
    /// The reason for a value that cannot be used, with its line.
    pub(super) fn refuse(&self, reason: String) -> String {
        match self.line {
            Some(line) => Fault { line, reason }.to_string(),
            None => reason,
        }
    }
}

/// Reads a file's text as TOML if its name ends so, else as ini.
pub(super) fn pairs(path: &Path, text: &str) -> Result<Vec<Pair>, String> {
    if is_toml(path) { toml_pairs(text) } else { ini_pairs(text) }
}

/// Whether the file is one of those that a `conf.d` is read for.
pub(super) fn is_conf(path: &Path) -> bool {
    is_toml(path) || path.extension().is_some_and(|e| e == "conf" || e == "ini")
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

fn ini_pairs(text: &str) -> Result<Vec<Pair>, String> {
    let ini = Ini::parse(text, Top::In(FLAT)).map_err(|fault| fault.to_string())?;
    let pair = |(key, Entry { value, line })| Pair { key, value: unquote(&value), line: Some(line) };
    Ok(ini.into_pairs().into_iter().map(pair).collect())
}

/// Upstream's examples quote texts in ini files, too.
fn unquote(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(value).to_owned()
}

fn toml_pairs(text: &str) -> Result<Vec<Pair>, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line =
            error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        format!("line {line}: {}", error.message())
    })?;
    let mut pairs = Vec::new();
    flatten(&table, &mut pairs)?;
    Ok(pairs)
}

fn flatten(table: &toml::Table, pairs: &mut Vec<Pair>) -> Result<(), String> {
    for (key, value) in table {
        let value = match value {
            toml::Value::Table(inner) => {
                flatten(inner, pairs)?;
                continue;
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            _ => return Err(format!("{} is not a text, a whole number or a boolean", quoted(key))),
        };
        pairs.push(Pair { key: key.to_lowercase(), value, line: None });
    }
    Ok(())
}

/// Whether there is a file. That nobody may look is not that there is none: it may have a policy.
pub(super) fn is_there(path: &Path) -> Result<bool> {
    match path.metadata() {
        Ok(_) => Ok(true),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(Error::HostConf { place: path.display().to_string(), reason: error.to_string() }),
    }
}

/// Whether an error says that there is nothing.
pub(super) fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

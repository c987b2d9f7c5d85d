//! Extended headers of POSIX (pax), which replace fields of the header behind them.

use std::collections::BTreeMap;
use std::io;

use super::super::malformed;
use super::header::Header;
use super::numbers::decimal;

/// The records of an extended header.
pub(super) type Records = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) const SPARSE_MAP: &[u8] = b"GNU.sparse.map";
const SPARSE_OFFSET: &[u8] = b"GNU.sparse.offset";
const SPARSE_SIZE: &[u8] = b"GNU.sparse.numbytes";
const XATTR: &[u8] = b"SCHILY.xattr.";

/// Reads records. The pairs of the first format of sparse files become the map of the second.
pub(super) fn parse(mut bytes: &[u8]) -> io::Result<Records> {
    let mut records = Records::new();
    let mut map: Vec<&[u8]> = Vec::new();
    while !bytes.is_empty() {
        let (key, value, rest) = record(bytes).ok_or_else(bad)?;
        bytes = rest;
        if key != SPARSE_OFFSET && key != SPARSE_SIZE {
            records.insert(key.to_vec(), value.to_vec());
            continue;
        }
        let expected = if map.len().is_multiple_of(2) { SPARSE_OFFSET } else { SPARSE_SIZE };
        if key != expected || value.contains(&b',') {
            return Err(bad());
        }
        map.push(value);
    }
    if !map.is_empty() {
        records.insert(SPARSE_MAP.to_vec(), map.join(&b','));
    }
    Ok(records)
}

/// The first record, `LENGTH KEY=VALUE\n`, and what follows it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..space]).ok()?).ok()?;
    if length < 5 || length <= space + 1 || length > bytes.len() {
        return None;
    }
    let (record, rest) = bytes.split_at(length);
    let record = record[space + 1..].strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    let checked = if matches!(key, b"path" | b"linkpath" | b"uname" | b"gname") { value } else { key };
    (!checked.contains(&0)).then_some((key, value, rest))
}

/// Completes a header. An empty value leaves what is there.
pub(super) fn merge(header: &mut Header, records: &Records) -> io::Result<()> {
    for (key, value) in records.iter().filter(|(_, value)| !value.is_empty()) {
        match key.as_slice() {
            b"path" => header.entry.path.clone_from(value),
            b"linkpath" => header.entry.target.clone_from(value),
            b"uid" => header.entry.meta.uid = decimal(value)?,
            b"gid" => header.entry.meta.gid = decimal(value)?,
            b"mtime" => header.entry.meta.mtime = seconds(value)?,
            b"atime" | b"ctime" => {
                seconds(value)?;
            }
            b"size" => header.size = decimal(value)?,
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    header.entry.meta.xattrs.insert(name.to_vec(), value.clone());
                }
            }
        }
    }
    Ok(())
}

/// The whole seconds of a time.
fn seconds(text: &[u8]) -> io::Result<i64> {
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    if !text[point..].iter().skip(1).all(u8::is_ascii_digit) {
        return Err(bad());
    }
    decimal(&text[..point])
}

fn bad() -> io::Error {
    malformed("an extended header of its tar is none")
}

//! The header blocks of an entry: ustar, with an extended header (pax) for what does not fit.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use tar::{EntryType, Header};

use super::flat::{Item, What};
use crate::layer::BLOCK;

/// What a ustar header has room for of a name.
const NAME: usize = 100;

/// All that stands before the content of the entry at `path`.
pub(super) fn blocks(path: &[u8], Item { meta, what }: &Item) -> io::Result<Vec<u8>> {
    let mut records = Vec::new();
    let mut header = Header::new_ustar();
    let (kind, size, target) = match what {
        What::Directory => (EntryType::Directory, 0, None),
        What::Made(_, size) | What::Stored(_, size) => (EntryType::Regular, *size, None),
        What::Link(target) => (EntryType::Link, 0, Some(target)),
        What::Symlink(target) => (EntryType::Symlink, 0, Some(target)),
        What::Device('b', ..) => (EntryType::Block, 0, None),
        What::Device(..) => (EntryType::Char, 0, None),
        What::Fifo => (EntryType::Fifo, 0, None),
    };
    let path = if kind == EntryType::Directory { &[path, b"/"].concat() } else { path };
    if header.set_path(OsStr::from_bytes(path)).is_err() {
        records.extend(record(b"path", path));
        header.as_old_mut().name.copy_from_slice(&path[..NAME]);
    }
    if let Some(target) = target
        && header.set_link_name_literal(target).is_err()
    {
        records.extend(record(b"linkpath", target));
    }
    header.set_entry_type(kind);
    header.set_mode(meta.mode);
    // A negative owner is one that chown(2) leaves alone: root.
    header.set_uid(u64::try_from(meta.uid).unwrap_or(0));
    header.set_gid(u64::try_from(meta.gid).unwrap_or(0));
    header.set_size(size);
    match u64::try_from(meta.mtime) {
        Ok(seconds) => header.set_mtime(seconds),
        Err(_) => records.extend(record(b"mtime", meta.mtime.to_string().as_bytes())),
    }
    if let What::Device(_, major, minor) = what {
        let number =
            |it: &i64| u32::try_from(*it).map_err(|_| io::Error::other("no device has such a number"));
        header.set_device_major(number(major)?)?;
        header.set_device_minor(number(minor)?)?;
    }
    for (name, value) in &meta.xattrs {
        records.extend(record(&[b"SCHILY.xattr.", name.as_slice()].concat(), value));
    }
    header.set_cksum();
    let mut blocks = if records.is_empty() { Vec::new() } else { extended(&records)? };
    blocks.extend(header.as_bytes());
    Ok(blocks)
}

/// An extended header with these records.
fn extended(records: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = Header::new_ustar();
    header.set_path("PaxHeader")?;
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0o644);
    header.set_size(records.len() as u64);
    header.set_cksum();
    let mut blocks = [header.as_bytes(), records].concat();
    blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
    Ok(blocks)
}

/// A record, `LENGTH KEY=VALUE\n`, whose length counts itself.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_record_counts_itself() {
        for (value, length) in [(1, 5), (93, 98), (94, 99), (95, 101), (96, 102)] {
            let record = record(b"k", &vec![b'v'; value - 1]);
            let said: usize = String::from_utf8_lossy(&record).split(' ').next().unwrap().parse().unwrap();
            assert_eq!((record.len(), said), (length, length), "{value}");
        }
    }
}

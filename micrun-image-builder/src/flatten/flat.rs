//! What the one layer has.

use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read, Seek};
use std::iter;
use std::path::Path;

use micrun_firmware::record::{self, Change, Content, LayerRecord};
use micrun_firmware::rootfs::boards;
use micrun_firmware::{Firmware, Sha256Digest, delta, is_firmware, memory_file};

use crate::base::Base;
use crate::error::{Error, Result};
use crate::layers::{self, Kind, Meta, Node, Place};
use crate::records::insert;
use crate::timestamp::Timestamp;

/// The layer, to be written.
pub(super) struct Flat {
    /// By path, without a leading `/`.
    pub(super) items: Items,
    /// The digest of its record.
    pub(super) record: Sha256Digest,
}

pub(super) type Items = BTreeMap<Vec<u8>, Item>;

/// A file of any kind.
pub(super) struct Item {
    pub(super) meta: Meta,
    pub(super) what: What,
}

/// What it is.
pub(super) enum What {
    Directory,
    /// A file of this size that no layer has.
    Made(Box<dyn Read>, u64),
    /// A file of a layer: where it stands, and its size.
    Stored(Place, u64),
    /// Another name of a file that stands before it.
    Link(Vec<u8>),
    Symlink(Vec<u8>),
    /// A device, by `c` or `b` and its numbers.
    Device(char, i64, i64),
    Fifo,
}

impl Flat {
    /// All that a container sees, with firmware in place of deltas, and one record in place of the others.
    pub(super) fn of(base: &Base<'_>, image: &Path, created: Timestamp) -> Result<Self> {
        let is_firmware = is_firmware(&base.view(), &BTreeMap::new());
        let firmwares = if is_firmware { base.firmwares()? } else { Vec::new() };
        let mut flat = Builder { image, created, items: Items::new(), listed: BTreeMap::new() };
        let mut nodes: BTreeMap<_, _> = base.stack.tree().walk().collect();
        take_below(&mut nodes, in_layer(record::DIRECTORY));
        let mut updatable = Vec::new();
        for (board, firmware) in &firmwares {
            let deltas = root_of(board.as_deref()) + in_layer(delta::DIRECTORY);
            updatable.push(!take_below(&mut nodes, &deltas).is_empty());
            if firmware.delta.is_some() {
                // It may have other names, which stay names of the delta.
                nodes.remove(path_of(firmware).as_bytes());
            }
        }
        flat.add_stored(&nodes);
        for ((board, firmware), updatable) in firmwares.iter().zip(updatable) {
            flat.add_firmware(&root_of(board.as_deref()), firmware, base, updatable)?;
        }
        flat.finish()
    }
}

/// The layer as it is put together.
struct Builder<'a> {
    image: &'a Path,
    created: Timestamp,
    items: Items,
    /// What the record says of regular files.
    listed: BTreeMap<Vec<u8>, Content>,
}

impl Builder<'_> {
    /// Adds what layers have. Of several names of one file, all but the first are links.
    fn add_stored(&mut self, nodes: &BTreeMap<Vec<u8>, &Node>) {
        let mut first: HashMap<*const Node, &Vec<u8>> = HashMap::new();
        for (path, node) in nodes {
            let what = match (first.entry(std::ptr::from_ref(*node)), &node.kind) {
                (Occupied(first), _) => What::Link((*first.get()).clone()),
                (Vacant(entry), kind) => {
                    entry.insert(path);
                    match kind {
                        Kind::Directory(_) => What::Directory,
                        Kind::File(content) => What::Stored(content.place, content.size),
                        Kind::Symlink(target) => What::Symlink(target.clone()),
                        Kind::Device(kind, major, minor) => What::Device(*kind, *major, *minor),
                        Kind::Fifo => What::Fifo,
                        // Of layers that lie over each other nothing but what is there is left.
                        Kind::Whiteout => continue,
                    }
                }
            };
            if let Kind::File(content) = &node.kind {
                self.listed.insert(path.clone(), listed(&node.meta, content));
            }
            self.items.insert(path.clone(), Item { meta: node.meta.clone(), what });
        }
    }

    /// Puts a firmware at its place, whole, and at a second one if deltas are to find it there. `root` is what all its
    /// paths begin with.
    fn add_firmware(
        &mut self,
        root: &str,
        firmware: &Firmware,
        base: &Base<'_>,
        updatable: bool,
    ) -> Result<()> {
        let place = path_of(firmware).into_bytes();
        if firmware.delta.is_some() {
            let meta = base.stack.tree().get(&place).map(|it| it.meta.clone()).unwrap_or_default();
            let memory = |source| Error::Write { path: "memory".into(), source };
            let mut whole = memory_file::create().map_err(memory)?;
            firmware.copy_to(&whole)?;
            let content = Content::of_firmware(&mut &whole, &firmware.elf, meta.mode)?;
            whole.rewind().map_err(memory)?;
            let what = What::Made(Box::new(whole), content.size);
            self.listed.insert(place.clone(), content);
            self.items.insert(place.clone(), Item { meta, what });
        } else if let Some(content) = self.listed.get_mut(&place) {
            let mut file = &firmware.file.file;
            content.elf = Content::of_firmware(&mut file, &firmware.elf, content.mode)?.elf;
        }
        if updatable {
            let second = root.to_owned() + in_layer(&delta::base_path(0));
            self.add_second(&place, second.into_bytes());
            self.add_directory(root.to_owned() + in_layer(delta::DIRECTORY));
        }
        Ok(())
    }

    /// Gives a file a second name. A link stands behind what it leads to.
    fn add_second(&mut self, place: &[u8], second: Vec<u8>) {
        let Some(item) = self.items.get_mut(place) else { return };
        let meta = item.meta.clone();
        let what = match &item.what {
            What::Link(first) => What::Link(first.clone()),
            _ if *second < *place => std::mem::replace(&mut item.what, What::Link(second.clone())),
            _ => What::Link(place.to_owned()),
        };
        if let Some(content) = self.listed.get(place) {
            self.listed.insert(second.clone(), Content { elf: None, ..content.clone() });
        }
        self.items.insert(second, Item { meta, what });
    }

    /// Adds a directory, and those above it, as far as they are missing.
    fn add_directory(&mut self, path: String) {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.add_directory(above.to_owned());
        }
        let meta = self.meta(0o755);
        self.items.entry(path.into_bytes()).or_insert(Item { meta, what: What::Directory });
    }

    fn meta(&self, mode: u32) -> Meta {
        let mtime = i64::try_from(self.created.seconds()).unwrap_or(i64::MAX);
        Meta { mode, mtime, ..Meta::default() }
    }

    /// Adds the record.
    fn finish(mut self) -> Result<Flat> {
        let mut record = LayerRecord::default();
        for (path, content) in std::mem::take(&mut self.listed) {
            insert(&mut record, self.image, &path, Change::Add(content))?;
        }
        let record = record.to_json()?;
        let size = record.len() as u64;
        if size > record::MAX_SIZE {
            let reason = format!("its record would have {size} bytes, more than {}", record::MAX_SIZE);
            return Err(Error::Refused { path: self.image.to_owned(), reason });
        }
        let digest = Sha256Digest::of(&record);
        self.add_directory(in_layer(record::DIRECTORY).to_owned());
        let what = What::Made(Box::new(Cursor::new(record)), size);
        let item = Item { meta: self.meta(crate::layer::FILE_MODE), what };
        self.items.insert(in_layer(&record::path(0)).as_bytes().to_vec(), item);
        Ok(Flat { items: self.items, record: digest })
    }
}

fn listed(meta: &Meta, content: &layers::Content) -> Content {
    let (sha256, size) = (content.sha256, content.size);
    Content { mode: meta.mode, sha256, size, elf: None, changes: None }
}

/// Takes out what is in a directory, and the directory.
fn take_below<'a>(nodes: &mut BTreeMap<Vec<u8>, &'a Node>, path: &str) -> Vec<(Vec<u8>, &'a Node)> {
    let inside = [path.as_bytes(), b"/"].concat();
    let below = nodes.range(inside.clone()..).map(|(it, _)| it).take_while(|it| it.starts_with(&inside));
    let taken: Vec<_> = iter::once(path.as_bytes().to_vec()).chain(below.cloned()).collect();
    taken.iter().filter_map(|it| nodes.remove_entry(it)).collect()
}

/// What the paths of a board's files begin with; of an image of one firmware, nothing.
fn root_of(board: Option<&str>) -> String {
    board.map(|it| in_layer(&boards::directory(it)).to_owned() + "/").unwrap_or_default()
}

fn path_of(firmware: &Firmware) -> String {
    in_layer(&firmware.file.path.to_string_lossy()).to_owned()
}

/// A path as layers have it, without a leading `/`.
fn in_layer(path: &str) -> &str {
    path.trim_start_matches('/')
}

//! `flatten`: the same firmware in one layer.

mod lazy;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry::{Occupied, Vacant};
use std::fs::File;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

use clap::Args;
use micrun_firmware::record::{self, Change, Content, LayerRecord};
use micrun_firmware::{Firmware, Sha256Digest, delta};
use serde_json::json;

use crate::base::{self, Base};
use crate::error::{Error, Result};
use crate::interrupt::Unfinished;
use crate::layer::{self, Compression, Entry, FILE_MODE, Layer};
use crate::layers::{Kind, Place, quoted};
use crate::names::ImageName;
use crate::rewrite::{NewLayer, Past, Rewrite};
use crate::sink::Sink;
use crate::source::Source;
use crate::timestamp::Timestamp;
use crate::{say, sink};
use lazy::Lazy;

#[derive(Args, Debug)]
pub(crate) struct FlattenArgs {
    /// The image: an archive, a layout directory, or - for an archive on the standard input
    image: PathBuf,
    /// Which image it is, if there are several
    #[arg(long = "image", value_name = "NAME[:TAG]")]
    chosen: Option<String>,
    /// The new image's name
    #[arg(short, long, value_name = "NAME[:TAG]")]
    tag: String,
    /// An archive FILE.tar[.gz|.zst|.xz], a directory for an image layout, or - for an archive on the standard output [default: the layout that IMAGE is, else <name>.tar]
    #[arg(short, long, value_name = "FILE.tar|DIR|-")]
    output: Option<PathBuf>,
    /// How the layer is compressed
    #[arg(long, value_enum, default_value_t = Compression::Gzip)]
    compression: Compression,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

/// Writes the image. Gives the text for stdout: its digest, or JSON.
pub(crate) fn run(args: &FlattenArgs) -> Result<String> {
    let created = Timestamp::from_env()?;
    let name = ImageName::parse(&args.tag)?;
    let output = args.output.clone().unwrap_or_else(|| base::default_output(&args.image, &name));
    let source = Source::open(&args.image)?;
    let base = Base::read(&source, &args.image, args.chosen.as_deref())?;
    let firmwares = base.firmwares()?;
    let (_unfinished, root) = Unfinished::create(tempfile::TempDir::new)
        .map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    base.unpack(root.path())?;
    let flat = Flat::of(&base, &args.image, &firmwares, root.path())?;

    let mut sink = sink::create(&output, created.seconds())?;
    let write = |source| Error::Write { path: output.clone(), source };
    let record = flat.record()?.to_json()?;
    let layer = flat.layer(sink.as_mut(), &record, args.compression, created).map_err(write)?;
    let rewrite = Rewrite {
        base: &base,
        name: &name,
        layers: &[NewLayer::written(&layer, args.compression, Sha256Digest::of(&record))],
        past: Past::Replaced("micrun-image-builder flatten"),
        firmware: None,
        created,
    };
    let stored = rewrite.store(sink.as_mut()).map_err(write)?;
    let digest = stored.entry.digest().to_string();
    sink.commit(stored)?;
    let (size, before) = (layer.blob.size, base.layers().len());
    say::usual(format_args!(
        "wrote {} to {}: one layer of {size} bytes in place of {before}",
        name.full(),
        sink::shown(&output)
    ));
    let text = if args.json {
        let layer = json!({ "digest": layer.blob.name(), "size": size });
        let report = json!({ "name": name.full(), "digest": digest, "output": output, "layer": layer });
        format!("{report:#}\n")
    } else {
        format!("{digest}\n")
    };
    Ok(say::beside(&output, text))
}

/// What the one layer has.
struct Flat {
    directories: Vec<String>,
    /// By path: what the record says of each, and where its content is.
    files: BTreeMap<String, (Content, From)>,
    /// The firmware, if there is one for all boards: a delta is put together.
    whole: Option<File>,
}

/// Where the content of a file is.
enum From {
    Unpacked(PathBuf),
    /// It is the firmware.
    Whole,
    /// It is another name of a file whose path comes before.
    Link(String),
}

impl Flat {
    fn of(
        base: &Base<'_>,
        image: &Path,
        firmwares: &[(Option<String>, Firmware)],
        root: &Path,
    ) -> Result<Self> {
        let own = [record::DIRECTORY, delta::DIRECTORY].map(in_layer);
        let is_own = |path: &str| own.iter().any(|it| path == *it || path.starts_with(&format!("{it}/")));
        let (mut directories, mut files) = (vec![".micrun".to_owned(), own[0].to_owned()], BTreeMap::new());
        let mut updatable = false;
        for (path, node) in base.stack.tree().walk() {
            let refuse = |what: &str| {
                let reason = format!("it has {}, which {what}", quoted(&path));
                Err(Error::Refused { path: image.to_owned(), reason })
            };
            let Ok(path) = String::from_utf8(path.clone()) else { return refuse("is no UTF-8") };
            updatable |= path.starts_with(own[1]);
            match &node.kind {
                Kind::Directory(_) if !is_own(&path) => directories.push(path),
                Kind::File(found) if !is_own(&path) => {
                    let mode = node.meta.mode & 0o7777;
                    let (sha256, size) = (found.sha256, found.size);
                    files.insert(
                        path,
                        (Content { mode, sha256, size, elf: None, changes: None }, found.place),
                    );
                }
                Kind::Directory(_) | Kind::File(_) => {}
                _ => return refuse("is neither a file nor a directory: a record cannot list it"),
            }
        }
        let places =
            firmwares.iter().map(|(board, it)| (board.is_none(), it.file.path.to_string_lossy(), it));
        let places: Vec<_> = places.collect();
        for (_, path, _) in places.iter().filter(|(is_only, ..)| *is_only) {
            files.remove(in_layer(path));
        }
        let mut flat = Self { directories, files: with_links(files, root), whole: None };
        for (is_only, path, firmware) in places {
            if is_only {
                flat.put_whole(in_layer(&path), firmware, updatable)?;
            } else if let Some((content, _)) = flat.files.get_mut(in_layer(&path)) {
                let mut file = &firmware.file.file;
                content.elf = Content::of_firmware(&mut file, &firmware.elf, content.mode)?.elf;
            }
        }
        flat.directories.sort();
        flat.directories.dedup();
        Ok(flat)
    }

    /// Puts the firmware at its place, and at a second one if deltas are to find it there.
    fn put_whole(&mut self, place: &str, firmware: &Firmware, updatable: bool) -> Result<()> {
        let whole =
            tempfile::tempfile().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
        firmware.copy_to(&whole)?;
        let mut file = &whole;
        let content = Content::of_firmware(&mut file, &firmware.elf, FILE_MODE)?;
        self.whole = Some(whole);
        let second = delta::base_path(0);
        let second = in_layer(&second);
        let mut put = |path: &str, elf, from| {
            self.files.insert(path.to_owned(), (Content { elf, ..content.clone() }, from));
        };
        if !updatable {
            put(place, content.elf.clone(), From::Whole);
            return Ok(());
        }
        let second_is_first = second < place;
        let (first, link) = if second_is_first { (second, place) } else { (place, second) };
        put(first, content.elf.clone().filter(|_| !second_is_first), From::Whole);
        put(link, content.elf.clone().filter(|_| second_is_first), From::Link(first.to_owned()));
        self.directories.push(in_layer(delta::DIRECTORY).to_owned());
        Ok(())
    }

    fn record(&self) -> Result<LayerRecord> {
        let mut record = LayerRecord::default();
        for (path, (content, _)) in &self.files {
            record.insert(&format!("/{path}"), Change::Add(content.clone()))?;
        }
        Ok(record)
    }

    fn layer(
        &self,
        sink: &mut dyn Sink,
        record: &[u8],
        compression: Compression,
        created: Timestamp,
    ) -> io::Result<Layer> {
        let mut whole = self.whole.as_ref();
        if let Some(whole) = &mut whole {
            whole.rewind()?;
        }
        let record_path = record::path(0);
        let mut entries = vec![Entry::Bytes { path: in_layer(&record_path), content: record }];
        entries.extend(self.directories.iter().map(|path| Entry::Directory { path }));
        let mut whole = whole.as_mut().map(|it| it as &mut dyn io::Read);
        let mut files: Vec<_> = self.files.iter().map(|(path, it)| (path, it, None)).collect();
        for (path, (Content { mode, size, .. }, from), lazy) in &mut files {
            let content: &mut dyn io::Read = match from {
                From::Link(target) => {
                    entries.push(Entry::Link { path, target });
                    continue;
                }
                From::Whole => match whole.take() {
                    Some(whole) => whole,
                    None => return Err(io::Error::other("the firmware has two places that are no links")),
                },
                From::Unpacked(file) => lazy.insert(Lazy::new(file)),
            };
            entries.push(Entry::File { path, mode: *mode, size: *size, content });
        }
        entries.sort_by(|one, other| one.path().cmp(other.path()));
        sink.begin()?;
        let layer = layer::write(sink, entries, compression, created.seconds())?;
        sink.end(&layer.blob)?;
        sink::say_written(&layer.blob);
        Ok(layer)
    }
}

/// The files as they were unpacked below `root`. Of several names of one file, all but the first are links.
fn with_links(files: BTreeMap<String, (Content, Place)>, root: &Path) -> BTreeMap<String, (Content, From)> {
    let mut first: BTreeMap<Place, String> = BTreeMap::new();
    let from = |(path, (content, place)): (String, (Content, Place))| {
        let from = match first.entry(place) {
            Occupied(entry) => From::Link(entry.get().clone()),
            Vacant(entry) => {
                entry.insert(path.clone());
                From::Unpacked(root.join(&path))
            }
        };
        (path, (content, from))
    };
    files.into_iter().map(from).collect()
}

/// A path as layers have it, without a leading `/`.
fn in_layer(path: &str) -> &str {
    path.trim_start_matches('/')
}

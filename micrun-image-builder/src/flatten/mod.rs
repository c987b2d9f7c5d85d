//! `flatten`: the same firmware in one layer.

mod lazy;

use std::collections::BTreeMap;
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
use crate::layers::{Kind, quoted};
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
    let firmware = Firmware::resolve(&base.view(), &BTreeMap::new())?;
    let (_unfinished, root) = Unfinished::create(tempfile::TempDir::new)
        .map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    base.unpack(root.path())?;
    let flat = Flat::of(&base, &args.image, &firmware, root.path())?;

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
        let layer = json!({ "digest": format!("sha256:{}", layer.blob.digest.digest()), "size": size });
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
    /// By path: what the record says of it, and where it is to be read.
    files: BTreeMap<String, (Content, PathBuf)>,
    /// The firmware's place, and its second one.
    place: String,
    second: Option<String>,
    /// The firmware itself: a delta is put together.
    whole: File,
}

impl Flat {
    fn of(base: &Base<'_>, image: &Path, firmware: &Firmware, root: &Path) -> Result<Self> {
        let temporary = |source| Error::Write { path: std::env::temp_dir(), source };
        let whole = tempfile::tempfile().map_err(temporary)?;
        firmware.copy_to(&whole)?;
        let place = firmware.file.path.to_string_lossy().trim_start_matches('/').to_owned();
        let own = [record::DIRECTORY, delta::DIRECTORY].map(|it| it.trim_start_matches('/'));
        let is_own = |path: &str| own.iter().any(|it| path == *it || path.starts_with(&format!("{it}/")));
        let (mut directories, mut files) = (Vec::new(), BTreeMap::new());
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
                Kind::File(content) if !is_own(&path) => {
                    let content = Content {
                        mode: node.meta.mode & 0o7777,
                        sha256: content.sha256,
                        size: content.size,
                        elf: None,
                        changes: None,
                    };
                    let file = root.join(&path);
                    files.insert(path, (content, file));
                }
                Kind::Directory(_) | Kind::File(_) => {}
                _ => return refuse("is neither a file nor a directory: a record cannot list it"),
            }
        }
        let mut seen = &whole;
        let content = Content::of_firmware(&mut seen, &firmware.elf, FILE_MODE)?;
        files.insert(place.clone(), (content.clone(), PathBuf::new()));
        let second = updatable.then(|| delta::base_path(0).trim_start_matches('/').to_owned());
        if let Some(second) = &second {
            files.insert(second.clone(), (Content { elf: None, ..content }, PathBuf::new()));
        }
        let missing = [Some(own[0]), second.as_ref().map(|_| own[1]), Some(".micrun")];
        directories.extend(missing.into_iter().flatten().map(str::to_owned));
        directories.sort();
        directories.dedup();
        Ok(Self { directories, files, place, second, whole })
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
        let mut whole = &self.whole;
        whole.rewind()?;
        // The name that comes first has the content, the other one is a link to it.
        let (first, link) = match &self.second {
            Some(second) if *second < self.place => (second, Some(&self.place)),
            Some(second) => (&self.place, Some(second)),
            None => (&self.place, None),
        };
        let record_path = record::path(0);
        let mut files: Vec<_> =
            self.files.iter().map(|(path, (content, file))| (path, content, Lazy::new(file))).collect();
        let mut entries = vec![Entry::Bytes { path: record_path.trim_start_matches('/'), content: record }];
        entries.extend(self.directories.iter().map(|path| Entry::Directory { path }));
        let mut whole = Some(&mut whole as &mut dyn io::Read);
        for (path, Content { mode, size, .. }, file) in &mut files {
            entries.push(if Some(*path) == link {
                Entry::Link { path, target: first }
            } else {
                let content = match whole.take_if(|_| *path == first) {
                    Some(whole) => whole,
                    None => file,
                };
                Entry::File { path, mode: *mode, size: *size, content }
            });
        }
        entries.sort_by(|one, other| one.path().cmp(other.path()));
        sink.begin()?;
        let layer = layer::write(sink, entries, compression, created.seconds())?;
        sink.end(&layer.blob)?;
        sink::say_written(&layer.blob);
        Ok(layer)
    }
}

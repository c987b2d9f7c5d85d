//! `flatten`: the same files in one layer.
//!
//! Nothing is unpacked: the new layer is a tar that is put together as it is read, and each old layer is read once.

mod contents;
mod flat;
mod header;
mod tar;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::base::{self, Base};
use crate::error::{Error, Result};
use crate::layer::{self, Compression, Layer};
use crate::layers::Budget;
use crate::names::ImageName;
use crate::rewrite::{NewLayer, Past, Rewrite};
use crate::source::Source;
use crate::timestamp::Timestamp;
use crate::{say, sink};
use contents::Contents;
use flat::Flat;
use tar::Tar;

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
    let flat = Flat::of(&base, &args.image, created)?;
    let record = flat.record;

    let mut sink = sink::create(&output, created.seconds())?;
    let write = |source| Error::Write { path: output.clone(), source };
    // What reading the layers once more costs, the first reading has cost as well.
    let mut budgets: Vec<_> = base.layers().iter().map(|_| Budget::for_an_image()).collect();
    let mut tar = Tar::new(flat.items, Contents::new(&base, &mut budgets));
    sink.begin().map_err(write)?;
    let layer = layer::compress(&mut sink, &mut tar, args.compression);
    let layer: Layer = layer.map_err(|error| tar.fault(&base).unwrap_or_else(|| write(error)))?;
    sink.end(&layer.blob).map_err(write)?;
    sink::say_written(&layer.blob);
    let rewrite = Rewrite {
        base: &base,
        name: &name,
        layers: &[NewLayer::written(&layer, args.compression, record)],
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

//! `index`: images for different platforms under one name.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use clap::Args;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndexBuilder, ImageManifest, MediaType};
use serde_json::json;

use crate::cli::key_value;
use crate::error::{Error, Result};
use crate::graph::{Graph, Manifest};
use crate::image::complete;
use crate::located::Located;
use crate::names::ImageName;
use crate::platform::Host;
use crate::source::Source;
use crate::{say, whole};

#[derive(Args, Debug)]
pub(crate) struct IndexArgs {
    /// The images: archives or layout directories, each with :NAME behind it if it has several
    #[arg(required = true, value_name = "FILE.tar|DIR[:NAME]")]
    images: Vec<Located>,
    /// The index's name
    #[arg(short, long, value_name = "NAME[:TAG]")]
    tag: String,
    /// An archive FILE.tar[.gz|.zst|.xz], a directory for an image layout, or - for an archive on the standard output [default: <name>.tar]
    #[arg(short, long, value_name = "FILE.tar|DIR|-")]
    output: Option<PathBuf>,
    /// An annotation of the index
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = key_value)]
    annotations: Vec<(String, String)>,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

/// An image whose platforms are to be listed.
struct Input {
    name: String,
    source: Source,
    graph: Graph,
    /// Its manifests, each with its platform.
    listed: Vec<Descriptor>,
}

/// Writes an index of all manifests. Gives the text for stdout: its digest, or JSON.
pub(crate) fn run(args: &IndexArgs) -> Result<String> {
    let name = ImageName::parse(&args.tag)?;
    let output = args.output.clone().unwrap_or_else(|| format!("{}.tar", name.short()).into());
    let inputs: Vec<_> = args.images.iter().map(Input::read).collect::<Result<_>>()?;
    let manifests = merged(&inputs)?;
    let hosts = manifests.iter().filter_map(|it| it.platform().as_ref()).map(Host::from);
    let platforms: Vec<_> = hosts.filter(|it| !it.is_unknown()).map(|it| it.to_string()).collect();
    let index = index(manifests, args.annotations.iter().cloned().collect());
    let top = Graph { manifests: vec![index], blobs: Vec::new(), missing: Vec::new() };
    let graphs: Vec<_> = inputs.iter().map(|it| &it.graph).chain([&top]).collect();
    let digest = whole::store(&output, name.annotations(), Some(name.full()), &graphs, |descriptor, to| {
        let has = |input: &&Input| input.source.has(descriptor).unwrap_or(false);
        let Some(input) = inputs.iter().find(has) else {
            return Err(Error::Incomplete(format!("the blob {} is missing", descriptor.digest())));
        };
        let mut blob = input.source.blob(descriptor)?;
        io::copy(&mut blob, to).map_err(|source| Error::Write { path: output.clone(), source })?;
        blob.verify()?;
        Ok(())
    })?;
    say::usual(format_args!("wrote {} to {}: for {}", name.full(), output.display(), platforms.join(", ")));
    let text = if args.json {
        let report = json!({"name": name.full(), "digest": digest, "output": output, "platforms": platforms});
        format!("{report:#}\n")
    } else {
        format!("{digest}\n")
    };
    Ok(say::beside(&output, text))
}

impl Input {
    fn read(located: &Located) -> Result<Self> {
        let source = Source::open(&located.path)?;
        let mut entry = located.entry(&source)?;
        // They are the image's own names.
        entry.set_annotations(None);
        let mut graph = Graph::read(&source, &entry)?.whole()?;
        let mut listed = Vec::new();
        list(&source, &graph, &entry, &mut listed)?;
        // The new index takes the place of those here.
        graph.manifests.retain(|it| listed.iter().any(|other| other.digest().to_string() == it.digest()));
        Ok(Self { name: located.path.display().to_string(), source, graph, listed })
    }
}

/// The manifests below an entry, each with the platform that it is for.
fn list(source: &Source, graph: &Graph, entry: &Descriptor, listed: &mut Vec<Descriptor>) -> Result<()> {
    let Some(manifest) = graph.manifests.iter().find(|it| it.digest() == entry.digest().to_string()) else {
        return Ok(());
    };
    let children = manifest.links()?.manifests;
    if !children.is_empty() {
        return children.iter().try_for_each(|child| list(source, graph, child, listed));
    }
    let mut descriptor = entry.clone();
    if descriptor.platform().is_none() {
        let image: ImageManifest = source.document(entry)?;
        let config: ImageConfiguration = source.document(image.config())?;
        descriptor.set_platform(Some(Host::from(&config).to_oci()));
    }
    listed.push(descriptor);
    Ok(())
}

/// All manifests, none twice. Refuses two for one platform, of which containerd would take the first.
fn merged(inputs: &[Input]) -> Result<Vec<Descriptor>> {
    let mut merged: Vec<(&Input, &Descriptor)> = Vec::new();
    for input in inputs {
        for new in &input.listed {
            if merged.iter().any(|(_, known)| known.digest() == new.digest()) {
                continue;
            }
            let platform = |it: &Descriptor| it.platform().as_ref().map(|it| Host::from(it).matched());
            // Attestations have a platform that no host has.
            let clashes = |known: &Descriptor| {
                platform(known) == platform(new) && !platform(new).is_some_and(|it| it.is_unknown())
            };
            if let Some((other, _)) = merged.iter().find(|(_, known)| clashes(known)) {
                let platform = platform(new).map(|it| it.to_string()).unwrap_or_default();
                return Err(Error::Argument {
                    what: "image",
                    value: input.name.clone(),
                    reason: format!(
                        "it is for {platform}, and so is {}: containerd takes the first, whatever board a host is; \
                         describe the boards of one image in micrun.yaml (docs/BOARD_IMAGES.md)",
                        other.name
                    ),
                });
            }
            merged.push((input, new));
        }
    }
    Ok(merged.into_iter().map(|(_, descriptor)| descriptor.clone()).collect())
}

fn index(manifests: Vec<Descriptor>, annotations: HashMap<String, String>) -> Manifest {
    let mut index = complete(
        ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests(manifests)
            .build(),
    );
    if !annotations.is_empty() {
        index.set_annotations(Some(annotations));
    }
    Manifest::new(MediaType::ImageIndex.to_string(), crate::json::canonical(&index))
}

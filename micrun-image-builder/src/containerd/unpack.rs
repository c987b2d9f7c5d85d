//! The layers of an image as snapshots, so that its first container starts at once.

use micrun_containerd::{Client, Layers};
use oci_spec::image::{ImageConfiguration, ImageManifest};

use crate::error::Result;
use crate::graph::Graph;
use crate::platform::Host;
use crate::say;
use crate::source::Source;

/// Unpacks the image for this machine, if it is for it.
pub(super) async fn run(
    client: &Client,
    lease: &str,
    source: &Source,
    graph: &Graph,
    snapshotter: &str,
) -> Result<()> {
    let Some((manifest, config)) = for_this_machine(source, graph)? else {
        say::usual("note: the image is not for this machine, so it is not unpacked");
        return Ok(());
    };
    Ok(Layers::new(snapshotter, &manifest, &config).unpack(client, lease).await?)
}

/// The manifest that containerd would take here: of those that fit best, the first.
fn for_this_machine(source: &Source, graph: &Graph) -> Result<Option<(ImageManifest, ImageConfiguration)>> {
    let mut fit = Vec::new();
    for manifest in graph.manifests.iter().rev() {
        let Ok(image) = serde_json::from_slice::<ImageManifest>(&manifest.bytes) else { continue };
        let config: ImageConfiguration = source.document(image.config())?;
        if let Some(rank) = Host::from(&config).rank_here() {
            fit.push((rank, image, config));
        }
    }
    Ok(fit.into_iter().min_by_key(|(rank, ..)| *rank).map(|(_, image, config)| (image, config)))
}

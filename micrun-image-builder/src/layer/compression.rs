//! The compressions that a layer may have.

use clap::ValueEnum;
use oci_spec::image::MediaType;
use serde::Deserialize;

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Compression {
    /// Read by everything.
    #[default]
    Gzip,
    /// Smaller and much faster; containerd 1.5, Docker 23 and later.
    Zstd,
    /// Fastest to pack and to unpack.
    None,
}

impl Compression {
    /// The media type of a layer compressed so (image-spec, layer.md).
    pub(crate) fn media_type(self) -> MediaType {
        match self {
            Self::Gzip => MediaType::ImageLayerGzip,
            Self::Zstd => MediaType::ImageLayerZstd,
            Self::None => MediaType::ImageLayer,
        }
    }
}

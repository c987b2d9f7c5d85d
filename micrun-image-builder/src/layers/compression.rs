//! How a layer is compressed: whether at all, its media type says; how, its first bytes.

use std::io::{self, BufRead, BufReader, Read};

const BUFFER: usize = 1 << 17;
/// Of skippable frames, whose last four bits are free (RFC 8878, 3.1.2).
const SKIPPABLE: u32 = 0x184d_2a50;

/// What containerd makes of a layer's media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// A plain tar, and nothing else.
    Plain,
    /// Whatever the first bytes say.
    ByContent,
    /// Encrypted (ocicrypt): only who has the key can read it.
    Encrypted,
    /// containerd has no reader for it.
    Unknown,
}

impl Packing {
    /// By the media type of the layer's descriptor (containerd's `core/images/mediatypes.go`).
    pub(crate) fn of(media_type: &str) -> Self {
        let (base, ending) = media_type.split_once('+').unwrap_or((media_type, ""));
        if ending.split('+').any(|it| it == "encrypted") {
            return Self::Encrypted;
        }
        match (base, ending) {
            (
                "application/vnd.oci.image.layer.v1.tar"
                | "application/vnd.oci.image.layer.nondistributable.v1.tar",
                "gzip" | "zstd",
            )
            | (
                "application/vnd.docker.image.rootfs.diff.tar"
                | "application/vnd.docker.image.rootfs.diff.tar.gzip"
                | "application/vnd.docker.image.rootfs.diff.tar.zstd"
                | "application/vnd.docker.image.rootfs.foreign.diff.tar"
                | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                "",
            ) => Self::ByContent,
            (
                "application/vnd.oci.image.layer.v1.tar"
                | "application/vnd.oci.image.layer.nondistributable.v1.tar",
                "",
            ) => Self::Plain,
            _ => Self::Unknown,
        }
    }
}

/// The tar inside a layer.
pub(crate) fn decoder<'a>(packing: Packing, layer: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut layer = BufReader::with_capacity(BUFFER, layer);
    match packing {
        Packing::Plain => return Ok(Box::new(layer)),
        Packing::ByContent => {}
        Packing::Encrypted | Packing::Unknown => {
            let sentence = "its media type is none that this program unpacks";
            return Err(io::Error::new(io::ErrorKind::Unsupported, sentence));
        }
    }
    let start = layer.fill_buf()?;
    Ok(if start.starts_with(&[0x1f, 0x8b, 8]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(layer))
    } else if is_zstd(start) {
        Box::new(zstd::Decoder::with_buffer(layer)?)
    } else {
        Box::new(layer)
    })
}

fn is_zstd(start: &[u8]) -> bool {
    let Some(magic) = start.first_chunk().copied().map(u32::from_le_bytes) else { return false };
    magic == zstd::zstd_safe::MAGICNUMBER || (magic & !0xf == SKIPPABLE && start.len() >= 8)
}

//! The verbs that talk to containerd, and their options.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::located::Located;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Give an image to containerd; prints its digest
    Import(Import),
    /// Give the image that comes on the standard input to containerd; prints its digest
    Load(How),
    /// Write an image of containerd's to an archive or a layout; prints its digest
    Export(Export),
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// An archive, a layout directory, or - for an archive on the standard input, with :NAME behind it for one of several images
    #[arg(value_name = "FILE.tar|DIR[:NAME]")]
    pub(super) image: Located,
    #[command(flatten)]
    pub(super) how: How,
}

/// What becomes of an image in containerd.
#[derive(Args, Debug)]
pub(crate) struct How {
    /// Its name in containerd, if it is one image [default: the name that it has]
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub(super) tag: Option<String>,
    /// Whether its layers are unpacked for this machine at once
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", default_value_t = true, action = clap::ArgAction::Set)]
    pub(super) unpack: bool,
    /// What unpacks them
    #[arg(long, value_name = "NAME", default_value = "overlayfs")]
    pub(super) snapshotter: String,
    #[command(flatten)]
    pub(super) containerd: Place,
    /// Print what was imported as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Export {
    /// The image, by its name in containerd
    #[arg(value_name = "NAME[:TAG]")]
    pub(super) name: String,
    /// An archive FILE.tar[.gz|.zst|.xz], a layout directory, or - for the standard output [default: <last word of NAME>.tar]
    #[arg(short, long, value_name = "FILE.tar|DIR|-")]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) containerd: Place,
    /// Print what was exported as JSON
    #[arg(long)]
    pub(super) json: bool,
}

const ADDRESS: &str =
    "containerd's socket [default: that of CONTAINERD_ADDRESS, else /run/containerd/containerd.sock]";
const NAMESPACE: &str =
    "The namespace; Kubernetes has k8s.io [default: that of CONTAINERD_NAMESPACE, else default]";

/// Which containerd, and which of its namespaces.
#[derive(Args, Debug)]
pub(crate) struct Place {
    #[arg(short, long, value_name = "SOCKET", help = ADDRESS)]
    address: Option<String>,
    #[arg(short, long, value_name = "NAME", help = NAMESPACE)]
    namespace: Option<String>,
}

impl Place {
    /// With what the environment says.
    pub(super) fn resolve(&self) -> micrun_containerd::Place {
        micrun_containerd::Place::new(self.address.as_deref(), self.namespace.as_deref())
    }
}

/// The image on the standard input.
pub(super) fn stdin() -> Located {
    Located::new(Path::new("-"), None)
}

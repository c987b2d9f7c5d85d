//! The verbs that need a network, and their options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::reference::Reference;
use crate::platform::Host;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Send an image to a registry; prints its digest
    Push(Push),
    /// Fetch an image from a registry; prints its digest
    Pull(Pull),
    /// Copy an image from one registry to another; prints its digest
    Copy(Copy),
    /// Print the digest that a name stands for
    Resolve(Query),
    /// Print the tags of a repository
    Tags(Query),
    /// Store the credentials for a registry
    Login(Login),
    /// Forget the credentials for a registry
    Logout(Logout),
}

#[derive(Args, Debug)]
pub(crate) struct Push {
    /// An image archive, a layout directory, or - for an archive on the standard input
    pub(super) image: PathBuf,
    /// Where it goes [default: the name that it has]
    #[arg(value_name = "NAME[:TAG]")]
    pub(super) name: Option<Reference>,
    /// The image to send, by its name there, if there are several [default: the one called NAME]
    #[arg(long, value_name = "NAME")]
    pub(super) from: Option<String>,
    /// A repository of the same registry that may have some of the blobs
    #[arg(long, value_name = "REPOSITORY")]
    pub(super) mount_from: Option<String>,
    /// Send, too, what is attached to the image: signatures, SBOMs, provenance
    #[arg(long)]
    pub(super) referrers: bool,
    #[command(flatten)]
    pub(super) network: Network,
    /// Print what was sent as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Pull {
    /// The image
    #[arg(value_name = "NAME[:TAG][@DIGEST]")]
    pub(super) name: Reference,
    /// An archive FILE.tar[.gz|.zst|.xz], a layout directory, or - for the standard output [default: <last
    /// word of NAME>.tar]
    #[arg(short, long, value_name = "FILE.tar|DIR|-")]
    pub(super) output: Option<PathBuf>,
    /// Fetch the image for one host only [default: all that it has]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(super) platform: Option<Host>,
    /// Fetch, too, what is attached to the image: signatures, SBOMs, provenance
    #[arg(long)]
    pub(super) referrers: bool,
    #[command(flatten)]
    pub(super) network: Network,
    /// Print what was fetched as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Copy {
    /// The image
    #[arg(value_name = "FROM[:TAG][@DIGEST]")]
    pub(super) from: Reference,
    /// Where it goes
    #[arg(value_name = "TO[:TAG]")]
    pub(super) to: Reference,
    /// Copy, too, what is attached to the image: signatures, SBOMs, provenance
    #[arg(long)]
    pub(super) referrers: bool,
    #[command(flatten)]
    pub(super) network: Network,
    /// Print what was copied as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Query {
    /// The image or repository
    #[arg(value_name = "NAME[:TAG]")]
    pub(super) name: Reference,
    #[command(flatten)]
    pub(super) network: Network,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Login {
    /// The registry
    #[arg(value_name = "HOST[:PORT]")]
    pub(super) host: String,
    /// The account
    #[arg(short, long, value_name = "NAME")]
    pub(super) username: String,
    /// Read the password from the standard input [default: ask on the terminal]
    #[arg(long)]
    pub(super) password_stdin: bool,
    #[command(flatten)]
    pub(super) network: Network,
}

#[derive(Args, Debug)]
pub(crate) struct Logout {
    /// The registry
    #[arg(value_name = "HOST[:PORT]")]
    pub(super) host: String,
}

/// How registries are reached.
#[derive(Args, Debug)]
pub(crate) struct Network {
    /// Speak HTTP without TLS
    #[arg(long)]
    pub(super) plain_http: bool,
    /// Take any certificate
    #[arg(long)]
    pub(super) insecure: bool,
    /// Folders in containerd's or Docker's layout that say how registries are reached
    #[arg(
        long,
        value_name = "DIR",
        value_delimiter = ',',
        default_values = ["/etc/containerd/certs.d", "/etc/docker/certs.d"]
    )]
    pub(super) hosts_dir: Vec<PathBuf>,
    /// How many blobs are transferred at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(super) parallel: u8,
    /// The size of the pieces in which a larger blob is sent, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) chunk: u16,
    /// How often something that failed for a passing reason is tried again
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(0..=20))]
    pub(super) retries: u32,
    /// Name each request on stderr, with its answer and time, without secrets
    #[arg(long)]
    pub(super) http_trace: bool,
}

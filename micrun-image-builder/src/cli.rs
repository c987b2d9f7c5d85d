//! The command line. Help, completions and the manual page are made from it.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use micrun_firmware::client_conf::{Cpu, Machine};
use micrun_firmware::{Os, Pedestal};

use crate::append::AppendArgs;
use crate::diff::DiffArgs;
use crate::flatten::FlattenArgs;
use crate::index::IndexArgs;
use crate::layer::Compression;
use crate::pack::{Arch, ExtraFile};
use crate::platform::Host;
use crate::provenance::AttachArgs;
use crate::records::RecordsArgs;
use crate::say::Level;
use crate::unpack::UnpackArgs;
use crate::verify::VerifyArgs;
use crate::yaml::{InitArgs, PackCommand};

/// Packs RTOS firmware into OCI images, without a container engine and reproducibly.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

/// How much is said on stderr.
#[derive(Args, Debug)]
pub(crate) struct Verbosity {
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Name each blob that is written or read
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
}

impl Verbosity {
    pub(crate) fn level(&self) -> Level {
        match self {
            Self { quiet: true, .. } => Level::Quiet,
            Self { verbose: true, .. } => Level::Verbose,
            _ => Level::Usual,
        }
    }
}

const EXIT_STATUS: &str = "Exit status: 0 done; 1 a file cannot be read or written; 2 wrong usage; \
3 the firmware, its client.conf or an annotation was refused; 4 the image is damaged or not an image; 5 a registry refused; \
6 a part of the image is not here, or cannot be read here.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Pack a firmware into an image; prints its digest
    Pack(Box<PackCommand>),
    /// Write an image with one more layer: files added or deleted, the firmware replaced or updated
    Append(Box<AppendArgs>),
    /// Tell what changes from one image to another, and how large the update is
    Diff(DiffArgs),
    /// Write the same firmware as an image of one layer
    Flatten(FlattenArgs),
    /// Show what the layers of an image change; or write the image with a record in each
    Records(RecordsArgs),
    /// Write what a container sees of an image into a directory
    Unpack(UnpackArgs),
    /// Check everything about an image, and list what is wrong or doubtful
    Verify(VerifyArgs),
    /// List images for different platforms under one name; prints the digest of the index
    Index(IndexArgs),
    /// Write a micrun.yaml for a firmware or a build directory
    Init(InitArgs),
    /// Check an image and print what a shim will do with it
    Inspect(InspectArgs),
    #[command(flatten)]
    Provenance(crate::provenance::Verb),
    #[cfg(feature = "containerd")]
    #[command(flatten)]
    Containerd(crate::containerd::Verb),
    #[cfg(feature = "registry")]
    #[command(flatten)]
    Registry(crate::registry::Verb),
    /// Print shell completions
    Completions {
        /// The shell they are for
        shell: Shell,
    },
    /// Write the manual pages
    Man {
        /// The directory they go into
        directory: PathBuf,
    },
}

#[derive(Args, Clone, Debug)]
pub(crate) struct PackArgs {
    /// The firmware, which [`PackCommand`] or the file names.
    #[arg(skip)]
    pub(crate) firmware: PathBuf,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// The client.conf of the image; without it, one is made from the other options
    #[arg(long, value_name = "FILE")]
    pub(crate) client_conf: Option<PathBuf>,
    /// The firmware's operating system, such as zephyr, uniproton, freertos, nuttx, rt-thread [default: recognised]
    #[arg(long, value_name = "OS")]
    pub(crate) os: Option<Os>,
    /// What runs the firmware; baremetal if the ELF has a resource table, else qemu
    #[arg(long, value_name = "PEDESTAL", value_parser = one_of(Pedestal::ALL.map(Pedestal::as_str), Pedestal::from_str))]
    pub(crate) pedestal: Option<Pedestal>,
    #[command(flatten)]
    pub(crate) target: Target,
    /// The client's name in a generated client.conf [default: the image's, else the firmware's file name]
    #[arg(long, conflicts_with = "client_conf")]
    pub(crate) name: Option<String>,
    /// An annotation of the manifest; org.openeuler.micrun.* ones are checked
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) annotations: Vec<(String, String)>,
    /// A label of the image's configuration
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) labels: Vec<(String, String)>,
    /// A further file of the image, readable by all unless a mode says otherwise
    #[arg(long = "add", value_name = "FILE=PATH[,mode=MODE]")]
    pub(crate) files: Vec<ExtraFile>,
    /// A host the image is for [default: linux on amd64, arm64 and riscv64 with qemu, else the ELF's own]
    #[arg(long = "platform", value_name = "OS/ARCH[/VARIANT]", value_delimiter = ',')]
    pub(crate) platforms: Vec<Host>,
    /// The image's name [default: the firmware's file name]
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub(crate) tag: Option<String>,
    /// An archive FILE.tar[.gz|.zst|.xz], a directory for an image layout, or - for an archive on the standard output [default: <firmware>.tar]
    #[arg(short, long, value_name = "FILE.tar|DIR|-")]
    pub(crate) output: Option<PathBuf>,
    /// How the layer is compressed [default: gzip]
    #[arg(long, value_enum)]
    pub(crate) compression: Option<Compression>,
    /// Give the firmware a second path, so that `append --delta` can build upon it
    #[arg(long)]
    pub(crate) updatable: bool,
    /// A private key (ECDSA P-256 in PEM, or a cosign.key) that signs the firmware, its client.conf and the file beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) sign_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) attach: AttachArgs,
    /// Print what was written as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the firmware's format does not say, and files beside it.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct InputArgs {
    /// Where a raw binary is loaded
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) load_address: Option<u64>,
    /// Where it starts [default: what the format says, the vector table of a Cortex-M, else its first byte]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) entry: Option<u64>,
    /// The processor of a raw binary or of Intel HEX
    #[arg(long, value_name = "ARCH", value_parser = one_of(Arch::ALL.map(Arch::as_str), Arch::from_str))]
    pub(crate) arch: Option<Arch>,
    /// The pedestal's own file: the guest kernel of xen, the cell of jailhouse, the binary of hetero
    #[arg(long, value_name = "FILE")]
    pub(crate) pedestal_conf: Option<PathBuf>,
    /// Boot code that a RISC-V machine of QEMU runs before the firmware, in place of OpenSBI
    #[arg(long, value_name = "FILE")]
    pub(crate) bios: Option<PathBuf>,
}

/// What the firmware was built for.
#[derive(Args, Clone, Debug)]
pub(crate) struct Target {
    /// The board: an RTOS's name of a QEMU board, such as mps2/an385, or a board with a core beside Linux
    #[arg(long, value_name = "NAME", conflicts_with = "machine")]
    pub(crate) board: Option<String>,
    /// The QEMU machine, with its options [default: proposed from the firmware]
    #[arg(long, value_name = "MACHINE[,OPTION=VALUE...]")]
    pub(crate) machine: Option<Machine>,
    /// The CPU model of the QEMU machine
    #[arg(long, value_name = "MODEL")]
    pub(crate) cpu: Option<Cpu>,
    /// The firmware's memory in MiB
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    pub(crate) memory: Option<u32>,
    /// A key of client.conf's [Qemu]
    #[arg(long = "qemu", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) qemu: Vec<(String, String)>,
}

#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// An image archive, a layout directory, or - for an archive on the standard input
    #[arg(value_name = "IMAGE")]
    pub(crate) path: PathBuf,
    /// Which image of it [default: all]
    #[arg(long, value_name = "NAME[:TAG]")]
    pub(crate) image: Option<String>,
    /// The host that the image must be complete for [default: any]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Host>,
    /// An annotation that the runtime will pass (ctr run --annotation, nerdctl run -l, a pod's)
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) annotations: Vec<(String, String)>,
    /// List every file that a container sees
    #[arg(long)]
    pub(crate) files: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

/// An address, in hexadecimal digits after `0x` or in decimal ones.
fn address(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| "write an address as 0x40100000".to_owned())
}

/// One of some names, which help and completions list.
fn one_of<T: Clone + Send + Sync + 'static, const N: usize>(
    names: [&'static str; N],
    read: fn(&str) -> Result<T, String>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(names).try_map(move |name| read(&name))
}

//! Platforms: which hosts an image is for.
//!
//! A platform of an image is matched by containerd against its host, not against the firmware's core: a
//! Cortex-M image on an x86 machine is `linux/amd64` when a microVM runs it there.

use std::fmt;
use std::str::FromStr;

use micrun_firmware::elf::Machine;
use oci_spec::image::{Arch, ImageConfiguration, Os, Platform, PlatformBuilder};

use crate::error::Error;

/// Linux's architectures in Go's words and the variants of each, as containerd knows them.
const ARCHITECTURES: [(&str, &[&str]); 9] = [
    ("386", &[]),
    ("amd64", &["v1", "v2", "v3", "v4"]),
    ("arm", &["v5", "v6", "v7", "v8"]),
    ("arm64", &["v8", "v9"]),
    ("loong64", &[]),
    ("mips64le", &[]),
    ("ppc64le", &[]),
    ("riscv64", &[]),
    ("s390x", &[]),
];

/// `OS/ARCH[/VARIANT]`, in Go's words as image-spec asks (`linux/arm/v7`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    os: String,
    arch: String,
    variant: Option<String>,
}

impl Host {
    fn linux(arch: &str, variant: Option<&str>) -> Self {
        Self { os: "linux".to_owned(), arch: arch.to_owned(), variant: variant.map(str::to_owned) }
    }

    /// The hosts on which QEMU runs firmware of any machine.
    pub(crate) fn with_microvm() -> Vec<Self> {
        ["amd64", "arm64", "riscv64"].map(|arch| Self::linux(arch, None)).to_vec()
    }

    /// The host whose spare core runs firmware of this machine. containerd on arm64 takes an image for `arm/v7`
    /// too, so a Cortex-M beside a Cortex-A of 64 bits is served as well.
    pub(crate) fn with_core(machine: Machine) -> Option<Self> {
        match machine {
            Machine::Aarch64 => Some(Self::linux("arm64", None)),
            Machine::Arm => Some(Self::linux("arm", Some("v7"))),
            Machine::Riscv => Some(Self::linux("riscv64", None)),
            Machine::Other(_) => None,
        }
    }

    /// Whether containerd takes both for one: some variants are what an architecture has without one (containerd's
    /// `platforms`, `database.go`).
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let variant = |host: &Self| match (host.arch.as_str(), host.variant.as_deref().unwrap_or_default()) {
            ("arm64", "8" | "v8") | ("amd64", "v1") => String::new(),
            ("arm", "" | "7") => "v7".to_owned(),
            ("arm", variant @ ("5" | "6" | "8")) => format!("v{variant}"),
            (_, variant) => variant.to_owned(),
        };
        (&self.os, &self.arch) == (&other.os, &other.arch) && variant(self) == variant(other)
    }

    /// As containerd compares it: `arm64/v8` is `arm64`, `arm` is `arm/v7`.
    pub(crate) fn matched(&self) -> Self {
        let variant = match (self.arch.as_str(), self.variant.as_deref()) {
            ("arm64", Some("v8")) | ("amd64", Some("v1")) => None,
            ("arm", None) => Some("v7"),
            (_, variant) => variant,
        };
        Self { variant: variant.map(str::to_owned), ..self.clone() }
    }

    /// How well containerd on this machine would take it; the least is the best.
    #[cfg(feature = "containerd")]
    pub(crate) fn rank_here(&self) -> Option<usize> {
        micrun_containerd::platform::rank(&self.os, &self.arch, self.variant.as_deref())
    }

    /// Whether no host is so. What `BuildKit` attests about an image hides behind such a platform.
    pub(crate) fn is_unknown(&self) -> bool {
        self.os == "unknown"
    }

    pub(crate) fn os(&self) -> Os {
        Os::from(self.os.as_str())
    }

    pub(crate) fn arch(&self) -> Arch {
        Arch::from(self.arch.as_str())
    }

    pub(crate) fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    pub(crate) fn to_oci(&self) -> Platform {
        let builder = PlatformBuilder::default().os(self.os()).architecture(self.arch());
        let builder = match self.variant() {
            Some(variant) => builder.variant(variant),
            None => builder,
        };
        #[expect(clippy::expect_used, reason = "os and architecture are set")]
        builder.build().expect("complete")
    }
}

impl From<&Platform> for Host {
    fn from(platform: &Platform) -> Self {
        Self {
            os: platform.os().to_string(),
            arch: platform.architecture().to_string(),
            variant: platform.variant().clone(),
        }
    }
}

impl From<&ImageConfiguration> for Host {
    fn from(config: &ImageConfiguration) -> Self {
        Self {
            os: config.os().to_string(),
            arch: config.architecture().to_string(),
            variant: config.variant().clone(),
        }
    }
}

impl FromStr for Host {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Argument {
            what: "platform",
            value: text.to_owned(),
            reason: format!("{reason}; write OS/ARCH[/VARIANT], as in linux/arm64 or linux/arm/v7"),
        };
        let parts: Vec<_> = text.split('/').collect();
        let (os, arch, variant) = match parts[..] {
            [os, arch] => (os, arch, None),
            [os, arch, variant] => (os, arch, Some(variant)),
            _ => return Err(refuse("it has two or three parts")),
        };
        if os != "linux" {
            return Err(refuse("the shim runs on linux only"));
        }
        let Some((_, variants)) = ARCHITECTURES.iter().find(|(known, _)| *known == arch) else {
            let known: Vec<_> = ARCHITECTURES.iter().map(|(known, _)| *known).collect();
            return Err(refuse(&format!("the architectures are {}", known.join(", "))));
        };
        if variant.is_some_and(|it| !variants.contains(&it)) {
            let known = if variants.is_empty() { "none".to_owned() } else { variants.join(", ") };
            return Err(refuse(&format!("the variants of {arch} are {known}")));
        }
        Ok(Self::linux(arch, variant))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

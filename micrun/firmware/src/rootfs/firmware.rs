//! The firmware of a rootfs, found, checked and open.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::boards::{self, Below};
use super::lookup::{self, Wanted};
use super::{RootFile, Rootfs};
use crate::annotations::STOP_SIGNAL_LABEL;
use crate::delta::{self, Delta, View};
use crate::policy::ContainerPolicy;
use crate::settings::{Layers, Settings};
use crate::signature::{self, Signed};
use crate::text::{printable, quoted};
use crate::{
    Annotations, ClientConf, ElfInfo, Error, HostConf, MAX_FIRMWARE_SIZE, Origin, PEDESTAL_FILE_START,
    Pedestal, Result, Sha256Digest, client_conf, digest, ini, pedestal_file_fault, qemu,
};

/// A firmware that passed every check, with what applies to it.
#[derive(Debug)]
pub struct Firmware {
    /// The ELF, open, or the delta that gives it.
    pub file: RootFile,
    /// The delta with all that it stands upon, if `file` is one.
    pub delta: Option<Box<Delta>>,
    /// Which of the image's boards it is for, if the image has several.
    pub board: Option<String>,
    /// Its headers.
    pub elf: ElfInfo,
    /// The image's client.conf, if it has one.
    pub conf: Option<ClientConf>,
    /// What applies, by the precedence of [`Settings`].
    pub settings: Settings,
    /// The file's digest, if one was asked for: then this is it.
    pub sha256: Option<Sha256Digest>,
    /// The file that the pedestal wants beside the ELF, open: `ped_cfg`, or for qemu the boot code.
    pub pedestal_file: Option<RootFile>,
    /// What a user should be told; a sentence each.
    pub warnings: Vec<String>,
}

impl Firmware {
    /// Finds the firmware of a mounted rootfs and checks everything about it that can be checked before
    /// it runs. `annotations` are those of the container's specification.
    ///
    /// All errors are the image's or the specification's, except [`Error::Io`].
    pub fn resolve(rootfs: &(impl Rootfs + ?Sized), annotations: &BTreeMap<String, String>) -> Result<Self> {
        Self::find(None, rootfs, annotations)
    }

    /// The same on a host with this configuration, whose policy the firmware must satisfy.
    pub fn resolve_on(
        host: &HostConf,
        rootfs: &(impl Rootfs + ?Sized),
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self> {
        Self::find(Some(host), rootfs, annotations)
    }

    /// The same for one of the boards that [`boards`](Self::boards) lists.
    pub fn resolve_board(
        board: &str,
        rootfs: &(impl Rootfs + ?Sized),
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self> {
        Self::of_board(None, board, rootfs, annotations)
    }

    /// The boards that the image has a firmware for; empty if it has one firmware, for whatever board.
    pub fn boards(rootfs: &(impl Rootfs + ?Sized)) -> Result<Vec<String>> {
        listed(read_conf(rootfs)?.as_ref())
    }

    fn find(
        host: Option<&HostConf>,
        rootfs: &(impl Rootfs + ?Sized),
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let conf = read_conf(rootfs)?;
        let boards = listed(conf.as_ref())?;
        match host {
            _ if boards.is_empty() => Self::read(host, rootfs, conf, annotations),
            Some(known) => {
                let board = boards::choose(&boards, &known.board())?;
                Self::of_board(host, board, rootfs, annotations)
            }
            None => Err(Error::SeveralBoards { boards: boards.join(", ") }),
        }
    }

    fn of_board(
        host: Option<&HostConf>,
        board: &str,
        rootfs: &(impl Rootfs + ?Sized),
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let place = Below::board(rootfs, board);
        let conf = read_conf(&place)?;
        if !listed(conf.as_ref())?.is_empty() {
            let path = boards::directory(board);
            let reason = format!("{} is for boards of its own; list them all in the root", quoted(board));
            return Err(Error::Unusable { path, reason });
        }
        let firmware = Self::read(host, &place, conf, annotations)?;
        Ok(Self { board: Some(board.to_owned()), ..firmware })
    }

    /// Reads the firmware whose rootfs this is, with its client.conf.
    fn read(
        host: Option<&HostConf>,
        rootfs: &(impl Rootfs + ?Sized),
        conf: Option<DigestedConf>,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let policy = host.map(HostConf::policy);
        if let Some(policy) = policy {
            policy.check_annotations(annotations.keys())?;
        }
        let spec = Annotations::from_map(annotations)?;
        let (conf, conf_digest) = conf.unzip();
        let no_conf = ClientConf::default();
        let in_image = conf.as_ref().unwrap_or(&no_conf);
        if let Some(policy) = policy {
            let mut keys = in_image.micrun.keys();
            keys.try_for_each(|key| policy.check_annotation(key, "client.conf, [Micrun]: the key"))?;
        }
        let mut layers = Layers::new(&spec, in_image)?;
        if let Some(host) = host {
            layers = layers.over(host);
        }

        let wanted = lookup::firmware(rootfs, &layers)?;
        let mut file = open(rootfs, &wanted, MAX_FIRMWARE_SIZE)?;
        let name = printable(&file.path.to_string_lossy());
        let delta = delta_of(rootfs, &file)?;
        let elf = match &delta {
            Some(delta) => ElfInfo::from_reader(View::new(delta)),
            None => ElfInfo::from_reader(&mut file.file),
        };
        let elf = elf.map_err(|error| error.in_file(&name))?;
        let mut settings = Settings::resolve(&layers, &elf)?;
        if settings.pedestal.origin == Origin::Annotation && annotations.contains_key(STOP_SIGNAL_LABEL) {
            settings.pedestal.origin = Origin::Label;
        }
        let checked = settings.check(&elf).map_err(|error| error.in_file(&name));
        if let Some(ContainerPolicy { firmware: policy, .. }) = policy {
            settings.check_policy(policy, &elf)?;
            policy.check_size("the firmware", elf.file_size)?;
            checked.map_err(|error| policy.explain_lack(settings.memory_mb, error))?;
        } else {
            checked?;
        }
        let mut sha256 = match layers.annotation(|annotations| annotations.firmware_hash) {
            Some(expected) => Some(verify(&mut file, delta.as_deref(), &name, expected)?),
            None => None,
        };
        let pedestal = settings.pedestal.value;
        let mut pedestal_file = lookup::pedestal_file(&settings, &layers)?
            .map(|wanted| open(rootfs, &wanted, MAX_FIRMWARE_SIZE))
            .transpose()?;
        if let (Some(policy), Some(file)) = (policy, &pedestal_file) {
            policy.firmware.check_size("the pedestal's file", file.size)?;
        }
        if let Some(policy) = policy
            && let Some(keys) = policy.signature_keys()?
        {
            let signed = signed(rootfs, &keys, policy)?;
            let beside = pedestal_file.as_mut().map(digest_of).transpose()?;
            if (signed.conf, signed.pedestal_file) != (conf_digest, beside) {
                return Err(policy.unsigned("client.conf or the pedestal's file is not the signed one"));
            }
            if sha256.is_none() {
                sha256 = Some(given(&mut file, delta.as_deref())?);
            }
            // The copy that runs is compared with it once more.
            if sha256 != Some(signed.firmware) {
                return Err(policy.unsigned(format!("{name} is not the signed firmware")));
            }
        }

        let mut warnings = [spec.warnings(), conf.as_ref().map_or(&[], ClientConf::warnings)].concat();
        if let Some(policy) = policy {
            warnings.extend(policy.firmware.lowered(&settings, in_image));
        }
        match &pedestal_file {
            Some(file) if pedestal == Pedestal::Qemu => {
                let board = qemu::board(&settings.qemu_machine.value, &elf);
                qemu::check_bios(&printable(&file.path.to_string_lossy()), &file.file, &elf, board)?;
            }
            Some(file) => warnings.extend(doubt(pedestal, file)?),
            None => {}
        }
        Ok(Self { file, delta, board: None, elf, conf, settings, sha256, pedestal_file, warnings })
    }

    /// The firmware's path as its image's command has it: below the directory of its board, if it has one.
    pub fn command(&self) -> PathBuf {
        let of_board =
            self.board.as_ref().and_then(|board| self.file.path.strip_prefix(boards::directory(board)).ok());
        of_board.map_or_else(|| self.file.path.clone(), |path| Path::new("/").join(path))
    }

    /// Copies the firmware out of the rootfs, to where nobody else can change it, and gives its digest.
    ///
    /// [`Self::check_copy`] says whether the copy is what was checked.
    pub fn copy_to(&self, to: &File) -> Result<Sha256Digest> {
        if let Some(delta) = &self.delta {
            return delta.copy_to(to);
        }
        let path = printable(&self.file.path.to_string_lossy());
        let (digest, size) = digest::copy(&self.file.file, to, MAX_FIRMWARE_SIZE)
            .map_err(|error| Error::io("copy", &path, error))?;
        self.check_copy(&digest, size)?;
        Ok(digest)
    }

    /// Refuses a copy of the firmware, made by anybody, that is not what was checked. When a digest was asked for, or a
    /// delta says one, the copy has it, whatever happened to the file meanwhile; otherwise a change of the size is
    /// noticed.
    pub fn check_copy(&self, digest: &Sha256Digest, size: u64) -> Result<()> {
        let of_delta = self.delta.as_ref().map(|delta| delta.header.result.sha256);
        let expected = of_delta.or(self.sha256);
        if size != self.elf.file_size || expected.is_some_and(|expected| expected != *digest) {
            return Err(Error::Changed { path: printable(&self.file.path.to_string_lossy()) });
        }
        Ok(())
    }
}

/// A client.conf and the digest of its bytes.
type DigestedConf = (ClientConf, Sha256Digest);

/// The boards that an image with this client.conf is for.
fn listed(conf: Option<&DigestedConf>) -> Result<Vec<String>> {
    conf.map_or(Ok(Vec::new()), |(conf, _)| boards::listed(conf))
}

/// The file from its beginning, cut off where it would be too large.
fn rewound(file: &mut RootFile) -> io::Result<impl Read> {
    file.file.rewind()?;
    Ok(Read::take(&file.file, MAX_FIRMWARE_SIZE))
}

fn open(rootfs: &(impl Rootfs + ?Sized), wanted: &Wanted, limit: u64) -> Result<RootFile> {
    rootfs.open(&wanted.path, limit, wanted.asked_by)
}

/// What a user should know of the pedestal's file. No error: the daemon behind may take what this crate does not know.
fn doubt(pedestal: Pedestal, file: &RootFile) -> Result<Option<String>> {
    let path = printable(&file.path.to_string_lossy());
    let mut start = [0; PEDESTAL_FILE_START];
    let read = file.file.read_at(&mut start, 0).map_err(|error| Error::io("read", &path, error))?;
    let fault = pedestal_file_fault(pedestal, &start[..read]);
    Ok(fault.map(|fault| format!("{path} will not do for the pedestal {pedestal}: {fault}")))
}

/// The delta that a file is, with its bases from the same rootfs.
fn delta_of(rootfs: &(impl Rootfs + ?Sized), file: &RootFile) -> Result<Option<Box<Delta>>> {
    let io = |error| Error::io("open", "the firmware", error);
    let mut open = |path: &str| Ok(rootfs.open(path, MAX_FIRMWARE_SIZE, "the base of a delta")?.file);
    let content = delta::Content::open(file.file.try_clone().map_err(io)?, &mut open)?;
    Ok(match content {
        delta::Content::Delta(delta) => Some(delta),
        delta::Content::Plain(_) => None,
    })
}

/// The image's client.conf; a missing one is fine, any other trouble with it is not.
fn read_conf(rootfs: &(impl Rootfs + ?Sized)) -> Result<Option<DigestedConf>> {
    const NAME: &str = client_conf::FILE_NAME;
    if !rootfs.has(NAME) {
        return Ok(None);
    }
    let file = rootfs.open(NAME, ini::MAX_SIZE, "the image's configuration")?;
    let bytes = content(file, ini::MAX_SIZE, NAME)?;
    let digest = Sha256Digest::of(&bytes);
    let text = String::from_utf8(bytes).map_err(|error| Error::Unusable {
        path: NAME.into(),
        reason: format!("it is not UTF-8 text from byte {} on", error.utf8_error().valid_up_to()),
    })?;
    ClientConf::parse(&text).map(|conf| Some((conf, digest)))
}

/// What the image's signature lets run.
fn signed(
    rootfs: &(impl Rootfs + ?Sized),
    keys: &signature::Keys,
    policy: &ContainerPolicy,
) -> Result<Signed> {
    let opened = rootfs.open(signature::PATH, signature::MAX_SIZE, "the image's signature");
    let file = opened.map_err(|error| policy.unsigned(error.to_string()))?;
    let bytes = content(file, signature::MAX_SIZE, signature::PATH)?;
    Signed::verify(&bytes, keys).map_err(|error| policy.unsigned(error.to_string()))
}

/// The bytes of a small file, at most `limit` of them.
pub(super) fn content(file: RootFile, limit: u64, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.file.take(limit).read_to_end(&mut bytes).map_err(|error| Error::io("read", name, error))?;
    Ok(bytes)
}

/// The digest of the firmware that runs.
fn given(file: &mut RootFile, delta: Option<&Delta>) -> Result<Sha256Digest> {
    // Of a delta, the copy is compared with it.
    delta.map_or_else(|| digest_of(file), |delta| Ok(delta.header.result.sha256))
}

fn digest_of(file: &mut RootFile) -> Result<Sha256Digest> {
    let name = printable(&file.path.to_string_lossy());
    rewound(file)
        .and_then(|mut reader| Sha256Digest::read(&mut reader))
        .map_err(|error| Error::io("read", name, error))
}

fn verify(
    file: &mut RootFile,
    delta: Option<&Delta>,
    name: &str,
    expected: Sha256Digest,
) -> Result<Sha256Digest> {
    let actual = given(file, delta)?;
    if actual != expected {
        return Err(Error::DigestMismatch { path: name.into(), expected, actual });
    }
    Ok(actual)
}

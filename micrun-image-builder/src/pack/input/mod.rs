//! What pack takes: an ELF, a file that an ELF can be made of, or a build that holds one. Told apart by content,
//! never by name; from here on there is only an ELF.

mod arch;
mod archive;
mod build;
mod convert;
mod elf_file;
mod facts;
mod fault;
mod hex;
mod memory;
mod origin;
mod position;
#[cfg(test)]
mod properties;
mod raw;
mod text;
mod tree;
mod uf2;
mod uf2_family;
mod vector_table;

use std::env;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::Path;

use micrun_firmware::MAX_FIRMWARE_SIZE;
use micrun_firmware::elf::{ElfInfo, Kind};
use rawzip::FileReader;

pub(crate) use arch::Arch;
pub(crate) use facts::BuildFacts;
pub(crate) use origin::read as origin_of;

use crate::cli::InputArgs;
use crate::error::{Error, Result};
use archive::Archive;
use convert::{Said, Source};
use fault::Fault;
use memory::Memory;
use tree::{Directory, Tree};

/// How much of a file tells its format.
const START: u64 = 64;

/// A firmware as an ELF.
pub(crate) struct Input {
    /// The file that was given, or a temporary one without a name.
    pub(crate) file: File,
    /// Its headers.
    pub(crate) info: ElfInfo,
    /// What the build says about it.
    pub(crate) facts: BuildFacts,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
}

/// Opens what is at `path`, which is a regular file or a directory.
pub(crate) fn open(path: &Path, args: &InputArgs) -> Result<Input> {
    let opener = Opener { path, args };
    let read = |source| Error::Read { path: path.to_owned(), source };
    // Looked at before it is opened: opening a fifo would wait for a writer.
    let given = fs::metadata(path).map_err(read)?;
    if given.is_dir() {
        return opener.directory();
    }
    if !given.is_file() {
        let reason = "it is neither a regular file nor a directory".to_owned();
        return Err(Error::Refused { path: path.to_owned(), reason });
    }
    let mut file = File::open(path).map_err(read)?;
    let mut start = Vec::new();
    file.by_ref().take(START).read_to_end(&mut start).map_err(read)?;
    file.rewind().map_err(read)?;
    opener.file(file, &start)
}

/// What a file is.
#[derive(Clone, Copy)]
enum Format {
    Elf,
    IntelHex,
    Uf2,
    Zip,
    /// Anything else: a raw binary has no mark.
    Other,
}

impl Format {
    /// The format of a file with these first bytes.
    fn of(start: &[u8]) -> Self {
        match start {
            elf if elf.starts_with(b"\x7fELF") => Self::Elf,
            hex if hex::is_hex(hex) => Self::IntelHex,
            uf2 if uf2::is_uf2(uf2) => Self::Uf2,
            zip if archive::is_zip(zip) => Self::Zip,
            _ => Self::Other,
        }
    }
}

struct Opener<'a> {
    path: &'a Path,
    args: &'a InputArgs,
}

impl Opener<'_> {
    fn file(&self, file: File, start: &[u8]) -> Result<Input> {
        match (Format::of(start), self.args.load_address) {
            (Format::Elf, _) => {
                self.only_elf()?;
                self.elf(self.path, file, BuildFacts::default())
            }
            (Format::Zip, _) => self.archive(file),
            (Format::IntelHex, None) => self.convert(file, |source, memory| {
                Ok(Said { format: "intel-hex", arch: None, entry: hex::read(source, memory)? })
            }),
            (Format::Uf2, None) => self.convert(file, |source, memory| {
                let family = uf2::read(source, memory)?;
                Ok(Said { format: "uf2", arch: convert::arch_of(family, self.args.arch)?, entry: None })
            }),
            (Format::Other, Some(address)) => self.convert(file, |source, memory| {
                raw::read(source, address, memory)?;
                Ok(Said { format: "binary", arch: None, entry: None })
            }),
            (Format::IntelHex, Some(address)) => Err(useless_load_address(address, "Intel HEX has addresses")),
            (Format::Uf2, Some(address)) => Err(useless_load_address(address, "UF2 has addresses")),
            (Format::Other, None) => Err(self.error(Fault::refused(format!(
                "it is neither an ELF nor Intel HEX, UF2 or a zip archive (it begins with {}); give the linked .elf, \
                 or say where a raw binary is loaded, with --load-address and --arch",
                first_bytes(start)
            )))),
        }
    }

    fn archive(&self, file: File) -> Result<Input> {
        let size = file.metadata().map_err(|source| self.error(Fault::Read(source)))?.len();
        let archive = Archive::open(FileReader::from(file), size).map_err(|fault| self.error(fault))?;
        self.built(&archive, |elf| {
            let mut copy = temporary()?;
            archive.copy(elf, MAX_FIRMWARE_SIZE, &mut copy)?;
            Ok(copy)
        })
    }

    fn directory(&self) -> Result<Input> {
        let directory = Directory(self.path.to_owned());
        self.built(&directory, |elf| Ok(File::open(directory.path(elf))?))
    }

    /// The firmware of a build, whose ELF `open` opens.
    fn built(&self, tree: &dyn Tree, open: impl FnOnce(&str) -> fault::Result<File>) -> Result<Input> {
        self.only_elf()?;
        let build = build::find(tree).map_err(|fault| self.error(fault))?;
        let path = self.path.join(&build.elf);
        let file = open(&build.elf).map_err(|fault| self.error(fault))?;
        self.elf(&path, file, build.facts)
    }

    /// An ELF, as it is or, if it needs no relocation, with its addresses fixed.
    fn elf(&self, path: &Path, file: File, facts: BuildFacts) -> Result<Input> {
        let headers = |file: &File| {
            ElfInfo::from_reader(file).map_err(|error| error.in_file(&path.display().to_string()))
        };
        let info = headers(&file)?;
        let mut notes: Vec<_> = facts.sentence().into_iter().collect();
        if info.kind != Kind::Dynamic || info.has_interpreter {
            return Ok(Input { file, info, facts, notes });
        }
        let copy = temporary().map_err(|fault| self.error(fault))?;
        let file = position::fixed(&file, &info, copy).map_err(|fault| self.error(fault))?;
        notes.push(
            "the ELF is position-independent (ET_DYN) and needs no relocation: it is packed with its addresses \
             fixed (ET_EXEC)"
                .to_owned(),
        );
        Ok(Input { info: headers(&file)?, file, facts, notes })
    }

    /// Makes an ELF of a file that `read` puts into memory.
    fn convert(
        &self,
        file: File,
        read: impl FnOnce(&mut Source, &mut Memory<File>) -> fault::Result<Said>,
    ) -> Result<Input> {
        let made = convert::convert(file, self.args, read).map_err(|fault| self.error(fault))?;
        let info = ElfInfo::from_reader(&made.file)
            .map_err(|error| error.in_file(&self.path.display().to_string()))?;
        Ok(Input { file: made.file, info, facts: BuildFacts::default(), notes: vec![made.note] })
    }

    /// Options that an ELF has no use for are wrong usage.
    fn only_elf(&self) -> Result<()> {
        let useless = |what, value| Error::Argument {
            what,
            value,
            reason: "an ELF says it itself; omit the option".to_owned(),
        };
        match *self.args {
            InputArgs { load_address: Some(address), .. } => {
                Err(useless_load_address(address, "an ELF has addresses"))
            }
            InputArgs { entry: Some(entry), .. } => Err(useless("entry", format!("{entry:#x}"))),
            InputArgs { arch: Some(arch), .. } => Err(useless("arch", arch.as_str().to_owned())),
            _ => Ok(()),
        }
    }

    /// The fault of this input.
    fn error(&self, fault: Fault) -> Error {
        match fault {
            Fault::Read(source) => Error::Read { path: self.path.to_owned(), source },
            Fault::Temporary(source) => Error::Write { path: env::temp_dir(), source },
            Fault::Refused(reason) => Error::Refused { path: self.path.to_owned(), reason },
        }
    }
}

fn useless_load_address(address: u64, reason: &str) -> Error {
    let reason = format!("{reason}; omit the option");
    Error::Argument { what: "load address", value: format!("{address:#x}"), reason }
}

/// A file without a name, which is gone with the process.
fn temporary() -> fault::Result<File> {
    tempfile::tempfile().map_err(Fault::Temporary)
}

fn first_bytes(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing: it is empty".to_owned();
    }
    let digits: Vec<_> = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

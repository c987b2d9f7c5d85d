//! The files that the loader maps for a program. The loader itself is asked.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use object::Endianness;
use object::read::ReadCache;
use object::read::elf::{FileHeader, ProgramHeader};

use super::files::{BESIDE_LIBC, LOADER_CACHE};
use crate::error::{file, is_there};
use crate::{Error, Result};

#[cfg(target_pointer_width = "64")]
type Header = object::elf::FileHeader64<Endianness>;
#[cfg(target_pointer_width = "32")]
type Header = object::elf::FileHeader32<Endianness>;

/// The loader and the libraries of `program`, and what the loader reads to find them. Blocks.
pub(super) fn of(program: &Path) -> Result<Vec<PathBuf>> {
    let Some(loader) = loader(program)? else { return Ok(Vec::new()) };
    let output = Command::new(&loader)
        .arg("--list")
        .arg(program)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .map_err(file("run", &loader))?;
    let wrong = |problem: String| Error::JailFiles { program: program.to_owned(), problem };
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(wrong(format!("its loader does not list its libraries: {words}")));
    }
    let mut files = parse(&String::from_utf8_lossy(&output.stdout)).map_err(wrong)?;
    let libc = files.iter().find(|path| path.file_name().is_some_and(|name| name == "libc.so.6"));
    let directory = libc.and_then(|path| path.parent()).map(Path::to_owned);
    let beside = directory.iter().flat_map(|dir| BESIDE_LIBC.iter().map(|name| dir.join(name)));
    let extra = beside.chain([PathBuf::from(LOADER_CACHE)]).filter(|path| is_there(path).unwrap_or(true));
    files.extend(extra.chain([loader]).collect::<Vec<_>>());
    files.sort();
    files.dedup();
    Ok(files)
}

/// The loader that `program` names; `None` if it needs none.
fn loader(program: &Path) -> Result<Option<PathBuf>> {
    let source = ReadCache::new(File::open(program).map_err(file("run", program))?);
    let find = || {
        let header = Header::parse(&source)?;
        let endian = header.endian()?;
        let mut segments = header.program_headers(endian, &source)?.iter();
        let found = segments.find_map(|it| it.interpreter(endian, &source).transpose()).transpose()?;
        Ok(found.map(|path| PathBuf::from(String::from_utf8_lossy(path).into_owned())))
    };
    find().map_err(|e: object::read::Error| Error::JailFiles {
        program: program.to_owned(),
        problem: format!("it is no program for this machine: {e}"),
    })
}

/// The paths in what `ld.so --list` says: a line each, `name => path (address)` or `path (address)`.
fn parse(list: &str) -> Result<Vec<PathBuf>, String> {
    let mut paths = Vec::new();
    for line in list.lines() {
        let (name, found) = line.split_once("=>").unwrap_or((line, line));
        let found = found.trim().rsplit_once(" (").map_or(found.trim(), |(path, _)| path);
        if found == "not found" {
            return Err(format!("its library {} is not installed", name.trim()));
        }
        // The rest is the kernel's vDSO, which is no file.
        if found.starts_with('/') {
            paths.push(PathBuf::from(found));
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn lists_of_both_libcs_are_read() {
        let glibc = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibz.so.1 => /lib/libz.so.1 (0x0000)\n\t/lib64/ld-linux-x86-64.so.2 (0x00)\n";
        assert_eq!(
            parse(glibc).unwrap(),
            [Path::new("/lib/libz.so.1"), Path::new("/lib64/ld-linux-x86-64.so.2")]
        );
        let musl = "\t/lib/ld-musl-aarch64.so.1 (0x7f)\n\tlibc.musl-aarch64.so.1 => /lib/ld-musl-aarch64.so.1 (0x7f)\n";
        assert_eq!(parse(musl).unwrap(), [Path::new("/lib/ld-musl-aarch64.so.1"); 2]);
        assert_eq!(
            parse("\tlibx.so.3 => not found\n").unwrap_err(),
            "its library libx.so.3 is not installed"
        );
    }

    #[test]
    fn what_this_program_maps_is_found() {
        let files = of(&std::env::current_exe().unwrap()).unwrap();
        assert!(files.iter().any(|path| path.to_string_lossy().contains("libc.")), "{files:?}");
    }

    #[test]
    fn a_script_is_refused() {
        let error = of(Path::new("/bin/ldd")).or_else(|_| of(Path::new("/usr/bin/ldd"))).unwrap_err();
        assert!(error.sentence().contains("it is no program for this machine"), "{}", error.sentence());
    }
}

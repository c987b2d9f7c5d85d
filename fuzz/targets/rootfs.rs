//! The rootfs of a firmware image, as an image makes it: links, pipes, directories, and paths that are looked for.
//!
//! Each line makes something: `d PATH`, `f PATH CONTENT`, `e PATH` (an ELF), `l PATH TARGET` (a symbolic link), `p PATH`
//! (a pipe), `c LINE` (of client.conf), `a KEY VALUE` (an annotation), `o PATH` (which is opened).
#![no_main]

mod scratch;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use micrun_firmware::rootfs::{self, RootFile};
use micrun_firmware::{Error, Firmware, is_firmware};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use scratch::Scratch;

const ELF: &[u8] = include_bytes!("../corpus/elf/0");
/// A small tree is enough.
const MOST_LINES: usize = 64;
const MOST_BYTES: u64 = 1 << 20;

/// The path below `root` if nothing that was made leads elsewhere.
fn place(root: &Path, path: &str) -> Option<PathBuf> {
    let mut place = root.to_owned();
    let names: Vec<_> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let (last, parents) = names.split_last()?;
    if names.contains(&"..") || path.contains('\0') {
        return None;
    }
    for name in parents {
        place.push(name);
        if place.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
            return None;
        }
        fs::create_dir_all(&place).ok()?;
    }
    place.push(last);
    place.symlink_metadata().is_err().then_some(place)
}

/// Makes what a line says.
fn make(root: &Path, kind: &str, rest: &str) -> Option<()> {
    let (path, argument) = rest.split_once(' ').unwrap_or((rest, ""));
    let place = place(root, path)?;
    match kind {
        "d" => fs::create_dir(place).ok(),
        "f" => fs::write(place, argument).ok(),
        "e" => fs::write(place, ELF).ok(),
        "l" => symlink(argument, place).ok(),
        "p" => mkfifo(&place, Mode::S_IRUSR).ok(),
        _ => None,
    }
}

/// What the kernel opens when it keeps to the root.
fn by_kernel(root: &Path, path: &str) -> nix::Result<File> {
    let root = open(root, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(root, path, how).map(File::from)
}

fn check(root: &Path, asked: Option<&str>, found: &RootFile) {
    let meta = found.file.metadata().expect("it is open");
    assert!(meta.is_file() && meta.len() == found.size && found.size <= MOST_BYTES);
    assert!(found.path.is_absolute());
    assert_eq!(found.host_path.canonicalize().expect("it is there"), found.host_path, "it is the real path");
    assert!(found.host_path.starts_with(root), "{:?} is outside", found.host_path);
    // Where a link climbs above the root, the kernel stays in it and we refuse; else both find the same file.
    if let Some(asked) = asked {
        let kernels = by_kernel(root, asked).map(|file| file.metadata().expect("it is open"));
        // A slash behind a file's name is an error to the kernel alone.
        if kernels.as_ref().err() != Some(&Errno::ENOTDIR) {
            assert_eq!(kernels.map(|it| (it.dev(), it.ino())), Ok((meta.dev(), meta.ino())), "{asked}");
        }
    }
}

fuzz_target!(|text: &str| {
    let scratch = Scratch::new();
    let root = scratch.root.canonicalize().expect("it is there");
    let (mut conf, mut annotations, mut wanted) = (String::new(), BTreeMap::new(), Vec::new());
    for line in text.lines().take(MOST_LINES) {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "c" => conf = format!("{conf}{rest}\n"),
            "a" => annotations.extend(rest.split_once(' ').map(|(key, value)| (key.into(), value.into()))),
            "o" => wanted.push(rest),
            _ => _ = make(&root, kind, rest),
        }
    }
    if !conf.is_empty() {
        let _ = make(&root, "f", &format!("client.conf {conf}"));
    }

    for path in wanted {
        match rootfs::open(&root, path, MOST_BYTES, "asked for") {
            Ok(found) => check(&root, Some(path), &found),
            Err(Error::NotFound { .. }) => {
                let found = by_kernel(&root, path);
                assert!(found.is_err(), "{path} is there");
            }
            Err(_) => {}
        }
    }
    let _ = is_firmware(&root, &annotations);
    match Firmware::resolve(&root, &annotations) {
        Ok(mut firmware) => {
            check(&root, None, &firmware.file);
            let mut bytes = Vec::new();
            firmware.file.file.read_to_end(&mut bytes).expect("it can be read");
            assert!(
                firmware.warnings.iter().all(|it| !it.contains('\u{1b}')),
                "a warning is fit for a terminal"
            );
        }
        Err(error) => assert!(!error.to_string().contains('\u{1b}'), "an error is fit for a terminal"),
    }
    scratch.check();
});

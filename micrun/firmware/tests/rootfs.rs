//! The firmware of a rootfs: where it is looked for, and that nothing outside is ever reached.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use micrun_firmware::{Error, is_firmware, rootfs};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use support::image::Image;
use support::{Elf, X86_64};

fn elf() -> Elf {
    Elf::default()
}

#[test]
fn markers_are_an_annotation_or_client_conf() {
    let is = |image: &Image| is_firmware(&image.rootfs(), &image.annotations);
    assert!(!is(&Image::new().elf("firmware.elf", &elf())));
    assert!(is(&Image::new().annotation("nonsense", "x")));
    assert!(is(&Image::new().file("client.conf", "")));
    // A malformed marker is one: the container must fail, and not start as another kind.
    assert!(is(&Image::new().link("client.conf", "/nowhere")));
    assert!(is(&Image::new().file("client.conf/file", "")));
    let mut foreign = Image::new();
    foreign.annotations.insert("org.openeuler.other".into(), "1".into());
    assert!(!is(&foreign));
}

#[test]
fn looks_in_upstreams_order() {
    let mut image = Image::new().elf("b.elf", &elf()).elf("a.elf", &elf()).file("0.elf/not-a-file", "");
    assert_eq!(image.found(), "/a.elf");
    image = image.elf("firmware.elf", &elf());
    assert_eq!(image.found(), "/firmware.elf");
    image = image.elf("dir/conf.elf", &elf()).file("client.conf", "[Mica]\nClientPath = /dir/conf.elf\n");
    assert_eq!(image.found(), "/dir/conf.elf");
    image = image.elf("micrun.elf", &elf()).file(
        "client.conf",
        "[Mica]\nClientPath = /dir/conf.elf\n[Micrun]\ncontainer.firmware_path = micrun.elf\n",
    );
    assert_eq!(image.found(), "/micrun.elf");
    image = image.annotation("container.firmware_path", "/b.elf");
    assert_eq!(image.found(), "/b.elf");
    let firmware = image.resolve().unwrap();
    assert_eq!(firmware.file.host_path, image.rootfs().join("b.elf"));
    assert_eq!(firmware.file.size, elf().bytes().len() as u64);
}

#[test]
fn what_is_named_is_not_replaced_by_a_default() {
    let image = Image::new().elf("firmware.elf", &elf());
    let error = image.annotation("container.firmware_path", "/other.elf").error();
    assert_eq!(
        error.to_string(),
        "firmware file not found: /other.elf (named by the annotation container.firmware_path)"
    );
    let image = Image::new().elf("firmware.elf", &elf()).file("client.conf", "[Mica]\nClientPath=x.elf\n");
    assert_eq!(
        image.error().to_string(),
        "firmware file not found: x.elf (named by ClientPath in client.conf)"
    );
    assert!(Image::new().error().to_string().starts_with("firmware file not found: firmware.elf (neither"));
}

#[test]
fn links_inside_are_followed_as_in_the_container() {
    let image = || Image::new().elf("lib/firmware/rtos.elf", &elf());
    for target in ["lib/firmware/rtos.elf", "/lib/firmware/rtos.elf", "./lib/../lib//firmware/rtos.elf"] {
        assert_eq!(image().link("firmware.elf", target).found(), "/lib/firmware/rtos.elf", "{target}");
    }
    let image = image()
        .link("usr/lib", "../lib")
        .link("a/b", "/usr/lib")
        .link("firmware.elf", "a/b/firmware/rtos.elf");
    assert_eq!(image.found(), "/lib/firmware/rtos.elf");
}

#[test]
fn paths_with_dots_are_refused() {
    for path in ["../outside.elf", "/../outside.elf", "dir/../../outside.elf", "dir/../firmware.elf", ".."] {
        let image = Image::new().elf("firmware.elf", &elf()).file("dir/x", "");
        let error = image.annotation("container.firmware_path", path).error();
        assert!(matches!(&error, Error::Escape { path: p, .. } if p == path), "{error}");
        assert!(error.to_string().contains("it contains \"..\""), "{error}");
    }
    let conf = Image::new().file("client.conf", "[Mica]\nClientPath = ../outside.elf\n").error();
    assert!(matches!(conf, Error::Escape { .. }), "{conf}");
}

#[test]
fn links_that_climb_out_are_refused() {
    for target in ["../outside.elf", "dir/../../outside.elf", "/../outside.elf", "dir/up/../outside.elf"] {
        let image = Image::new().file("dir/x", "").link("dir/up", "..").link("firmware.elf", target);
        let error = image.error();
        assert_eq!(
            error.to_string(),
            "path firmware.elf is refused: a symbolic link leads out of the rootfs; name a file inside the image",
            "{target}"
        );
    }
    let by_directory =
        Image::new().link("dir", "..").annotation("container.firmware_path", "dir/outside.elf");
    assert!(matches!(by_directory.error(), Error::Escape { .. }));
}

#[test]
fn absolute_links_begin_at_the_rootfs() {
    let image = Image::new();
    let outside = image.outside().join("outside.elf");
    let target = outside.to_str().unwrap();
    assert_eq!(
        image.link("firmware.elf", target).error().to_string(),
        format!(
            "firmware file not found: firmware.elf (the default; the symbolic link to {target:?} leads to nothing inside the image)"
        )
    );
}

#[test]
fn only_regular_files_are_read() {
    let refused = |image: &Image, expected: &str| {
        let error = image.error().to_string();
        assert!(error.starts_with("firmware.elf cannot be used: ") && error.contains(expected), "{error}");
    };
    // Nobody writes to the pipe: an open that waits would hang here.
    let image = Image::new();
    mkfifo(&image.rootfs().join("firmware.elf"), Mode::S_IRWXU).unwrap();
    refused(&image, "a pipe or a socket");
    let image = Image::new();
    let _listener = UnixListener::bind(image.rootfs().join("firmware.elf")).unwrap();
    refused(&image, "a pipe or a socket");
    refused(&Image::new().file("firmware.elf/x", ""), "it is a directory");
    refused(&Image::new().link("firmware.elf", "/"), "it is a directory");
    refused(&Image::new().file("a", "").link("firmware.elf", "a/b"), "a file is where a directory should be");
    refused(&Image::new().link("firmware.elf", "x").link("x", "firmware.elf"), "more than 40 symbolic links");
    let deep = "d/".repeat(65) + "f";
    refused(&Image::new().file(&deep, "").link("firmware.elf", &deep), "more than 64 directories deep");
    let image = Image::new();
    File::create(image.rootfs().join("firmware.elf")).unwrap().set_len((256 << 20) + 1).unwrap();
    refused(&image, "it has 268435457 bytes, more than the 268435456 allowed");
}

#[test]
fn client_conf_is_held_to_the_same() {
    let image = Image::new().elf("firmware.elf", &elf());
    mkfifo(&image.rootfs().join("client.conf"), Mode::S_IRWXU).unwrap();
    assert!(matches!(image.error(), Error::Unusable { .. }));
    let image = Image::new().elf("firmware.elf", &elf()).link("client.conf", "../client.conf");
    fs::write(image.outside().join("client.conf"), "").unwrap();
    assert!(matches!(image.error(), Error::Escape { .. }));
    let image = Image::new().elf("firmware.elf", &elf()).file("client.conf", b"[Mica]\nName = \xff\n");
    assert!(image.error().to_string().ends_with("it is not UTF-8 text from byte 14 on"));
    let image = Image::new().elf("firmware.elf", &elf()).file("client.conf", vec![b'#'; 70_000]);
    assert!(matches!(image.error(), Error::Unusable { .. }));
}

#[test]
fn bad_firmware_is_named() {
    let image =
        Image::new().elf("dir/x.elf", &Elf { machine: X86_64, ..elf() }).link("firmware.elf", "dir/x.elf");
    assert!(image.error().to_string().starts_with("/dir/x.elf: the ELF is for the machine x86-64"));
    let image = Image::new().file("firmware.elf", "no elf");
    assert!(image.error().to_string().starts_with("/firmware.elf: this is not an ELF file"));
}

#[test]
fn the_digest_is_compared() {
    let digest = micrun_firmware::Sha256Digest::of(&elf().bytes());
    let image = || Image::new().elf("firmware.elf", &elf());
    for text in [digest.hex(), digest.to_string(), digest.hex().to_uppercase()] {
        let firmware = image().annotation("container.firmware_hash", &text).resolve().unwrap();
        assert_eq!(firmware.sha256, Some(digest));
    }
    let other = "0".repeat(64);
    let error = image().annotation("container.firmware_hash", &other).error().to_string();
    assert!(error.starts_with("firmware sha256 mismatch for /firmware.elf: "), "{error}");
    assert!(error.contains(&digest.to_string()) && error.contains(&other), "{error}");
}

#[test]
fn a_copy_is_what_was_checked() {
    let image = Image::new().elf("firmware.elf", &elf());
    let path = image.rootfs().join("firmware.elf");
    let firmware = image.resolve().unwrap();
    // The path now leads elsewhere; the open file does not.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another").unwrap();
    let copy = tempfile::tempfile().unwrap();
    let digest = firmware.copy_to(&copy).unwrap();
    let mut bytes = Vec::new();
    (&copy).read_to_end(&mut bytes).unwrap();
    assert!(bytes == elf().bytes() && digest == micrun_firmware::Sha256Digest::of(&bytes));
    assert!(firmware.copy_to(&tempfile::tempfile().unwrap()).is_ok(), "from its beginning each time");
}

#[test]
fn a_change_between_check_and_copy_is_noticed() {
    let digest = micrun_firmware::Sha256Digest::of(&elf().bytes()).hex();
    let image = Image::new().elf("firmware.elf", &elf()).annotation("container.firmware_hash", &digest);
    let firmware = image.resolve().unwrap();
    let mut bytes = elf().bytes();
    bytes[200] ^= 1;
    fs::write(image.rootfs().join("firmware.elf"), bytes).unwrap();
    assert!(matches!(firmware.copy_to(&tempfile::tempfile().unwrap()), Err(Error::Changed { .. })));
    let image = Image::new().elf("firmware.elf", &elf());
    let firmware = image.resolve().unwrap();
    fs::write(image.rootfs().join("firmware.elf"), elf().bytes().repeat(2)).unwrap();
    assert!(matches!(firmware.copy_to(&tempfile::tempfile().unwrap()), Err(Error::Changed { .. })));
}

/// A directory and a link to the outside change places all the time: the walk ends inside, or in an error.
#[test]
fn a_race_never_leads_outside() {
    let image = Image::new().file("dir/f", "inside").link("link", "../outside");
    fs::create_dir(image.outside().join("outside")).unwrap();
    fs::write(image.outside().join("outside/f"), "outside").unwrap();
    let root = image.rootfs();
    let done = AtomicBool::new(false);
    let (mut inside, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (a, b) = (root.join("dir"), root.join("link"));
            while !done.load(Ordering::Relaxed) {
                renameat2(AT_FDCWD, &a, AT_FDCWD, &b, RenameFlags::RENAME_EXCHANGE).unwrap();
            }
        });
        for _ in 0..4_000 {
            match rootfs::open(&root, "dir/f", 100, "test") {
                Ok(mut found) => {
                    let mut text = String::new();
                    found.file.read_to_string(&mut text).unwrap();
                    assert_eq!(text, "inside");
                    inside += 1;
                }
                Err(_) => refused += 1,
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(inside > 0 && refused > 0, "{inside} inside, {refused} refused: there was no race");
}

#[test]
fn a_missing_rootfs_is_the_hosts_trouble() {
    let error = rootfs::open(Path::new("/nonexistent"), "x", 1, "test").unwrap_err();
    assert!(matches!(error, Error::Io { action: "open the rootfs", .. }));
}

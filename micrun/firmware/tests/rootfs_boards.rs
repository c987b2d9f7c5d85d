//! Images with a firmware for each of several boards: which one a host takes, and that it takes no other.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;

use micrun_firmware::host_conf::{HostConf, Locations};
use micrun_firmware::rootfs::boards;
use micrun_firmware::{Error, Firmware};
use support::Elf;
use support::image::Image;

/// An image for two boards, whose firmwares differ in their memory.
fn image() -> Image {
    let conf = |memory| format!("[Mica]\nClientPath = /firmware.elf\nMemory = {memory}\n");
    Image::new()
        .file("client.conf", boards::client_conf(&["qemu", "imx8mp"]))
        .elf(".micrun/boards/qemu/firmware.elf", &Elf::default())
        .file(".micrun/boards/qemu/client.conf", conf(32))
        .elf(".micrun/boards/imx8mp/firmware.elf", &Elf::default())
        .file(".micrun/boards/imx8mp/client.conf", conf(48))
}

/// A host with this environment, and nothing else that configures it.
fn host(environment: &[(&str, &str)]) -> HostConf {
    let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let none = Locations::from_env([
        ("MICRUN_CONF_FILE".to_owned(), "/nonexistent".to_owned()),
        ("MICRUN_CONF_DIR".to_owned(), "/nonexistent".to_owned()),
    ]);
    HostConf::load(&Locations { environment: environment.collect(), ..none }).unwrap()
}

fn on(host: &HostConf, image: &Image) -> Result<Firmware, Error> {
    Firmware::resolve_on(host, &image.rootfs(), &image.annotations)
}

#[test]
fn the_hosts_board_decides() {
    let image = image();
    for (board, memory) in [("qemu", 32), ("imx8mp", 48)] {
        let firmware = on(&host(&[("MICRUN_BOARD", board)]), &image).unwrap();
        assert_eq!((firmware.settings.memory_mb.value, firmware.board.as_deref()), (memory, Some(board)));
        assert_eq!(firmware.file.path.to_str().unwrap(), format!("/.micrun/boards/{board}/firmware.elf"));
        assert_eq!(firmware.command().to_str(), Some("/firmware.elf"));
        let known = Firmware::resolve_board(board, &image.rootfs(), &BTreeMap::new()).unwrap();
        assert_eq!(known.settings.memory_mb.value, memory);
    }
    assert_eq!(Firmware::boards(&image.rootfs()).unwrap(), ["qemu", "imx8mp"]);
    // Any host runs what QEMU runs, as long as nobody says what board it is.
    assert_eq!(on(&host(&[]), &image).unwrap().board.as_deref(), Some("qemu"));
}

#[test]
fn another_board_is_refused_with_all_that_there_are() {
    let error = on(&host(&[("MICRUN_BOARD", "imx93")]), &image()).unwrap_err();
    assert!(matches!(error, Error::OtherBoard { .. }));
    let said = error.to_string();
    for part in ["for qemu, imx8mp,", "the board is imx93, as board in $MICRUN_BOARD says", "board = NAME"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(image().error().to_string().contains("the boards qemu, imx8mp"));
}

/// A reader that does not know the list takes the root's `ClientPath`.
#[test]
fn a_reader_that_does_not_know_boards_finds_no_firmware() {
    let text = boards::client_conf(&["qemu"]);
    let old: Vec<_> = text.lines().filter(|line| !line.starts_with(boards::KEY)).collect();
    let error = image().file("client.conf", old.join("\n")).elf("other.elf", &Elf::default()).error();
    assert_eq!(
        error.to_string(),
        "firmware file not found: /.micrun/boards/BOARD/firmware.elf (named by ClientPath in client.conf)"
    );
}

#[test]
fn a_board_reaches_nothing_outside_the_image() {
    let qemu = host(&[("MICRUN_BOARD", "qemu")]);
    let conf = boards::client_conf(&["qemu"]);
    // The directory, a directory above it, and a file of it as links to the host's.
    for link in [".micrun/boards/qemu", ".micrun/boards", ".micrun"] {
        let image = Image::new().file("client.conf", &conf);
        let outside = image.outside().to_str().unwrap().to_owned();
        let error = on(&qemu, &image.link(link, &outside)).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{link}: {error}");
    }
    let climbing = Image::new()
        .file("client.conf", &conf)
        .link(".micrun/boards/qemu/firmware.elf", "../../../../outside.elf");
    assert!(matches!(on(&qemu, &climbing).unwrap_err(), Error::Escape { .. }));
    let named = "[Mica]\nClientPath = ../../../../outside.elf\n";
    let image = Image::new().file("client.conf", &conf).file(".micrun/boards/qemu/client.conf", named);
    assert!(matches!(on(&qemu, &image).unwrap_err(), Error::Escape { .. }));
    // Files that boards share may be links inside the image.
    let shared = Image::new()
        .file("client.conf", &conf)
        .elf("common/demo.elf", &Elf::default())
        .link(".micrun/boards/qemu/firmware.elf", "/common/demo.elf");
    assert_eq!(on(&qemu, &shared).unwrap().file.path.to_str(), Some("/common/demo.elf"));
}

#[test]
fn a_list_that_is_none_is_refused() {
    let with = |list: &str| Image::new().file("client.conf", format!("[Micrun]\n{} = {list}\n", boards::KEY));
    for list in ["../../etc", "a/b", ".hidden", "", &"x".repeat(65)] {
        let error = on(&host(&[("MICRUN_BOARD", "a")]), &with(list)).unwrap_err();
        assert!(matches!(error, Error::Unusable { .. }), "{list}: {error}");
    }
    let nested = image().file(".micrun/boards/qemu/client.conf", boards::client_conf(&["qemu"]));
    let error = on(&host(&[("MICRUN_BOARD", "qemu")]), &nested).unwrap_err();
    assert!(error.to_string().contains("boards of its own"), "{error}");
}

#[test]
fn the_hosts_key_is_the_name_of_a_board() {
    let wrong = Locations::from_env([
        ("MICRUN_CONF_FILE".to_owned(), "/nonexistent".to_owned()),
        ("MICRUN_CONF_DIR".to_owned(), "/nonexistent".to_owned()),
        ("MICRUN_BOARD".to_owned(), "../x".to_owned()),
    ]);
    let conf = HostConf::load(&wrong).unwrap();
    assert!(
        conf.warnings()[0].contains("$MICRUN_BOARD is ignored: board: \"../x\" is not the name of a board")
    );
}

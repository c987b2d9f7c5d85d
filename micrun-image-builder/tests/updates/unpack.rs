//! `unpack`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::foreign::{File, foreign, regular};
use crate::{bench, done};

#[test]
fn unpack_leaves_its_directory_alone() {
    let bench = bench();
    let outside = bench.path("outside");
    fs::create_dir(&outside).unwrap();
    let to = outside.to_str().unwrap();
    foreign(
        &bench,
        "others",
        &[
            &[
                ("bin/tool", File::Regular(b"#!", 0o6755)),
                ("up", File::Link("../outside")),
                ("gone", regular(b"x")),
            ],
            &[("away", File::Link(to)), ("away/file", regular(b"y")), (".wh.gone", regular(b""))],
        ],
    );
    done(bench.run(["unpack", "others", "into"]));
    assert!(!bench.path("into/gone").exists());
    assert_eq!(bench.path("into/bin/tool").metadata().unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::read_link(bench.path("into/up")).unwrap(), Path::new("../outside"));
    // Where the link leads inside the image, as containerd follows it.
    assert_eq!(bench.read(&format!("into{to}/file")), b"y");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "something was written outside");

    bench.write("outside/kept", "");
    assert_eq!(bench.run(["unpack", "others", "outside"]).status, 2);
    assert_eq!(bench.run(["unpack", "others", "outside/kept"]).status, 2);
    fs::remove_file(outside.join("kept")).unwrap();
    done(bench.run(["unpack", "images", "outside"]));
    assert!(bench.read("outside/firmware.elf") == bench.read("fw.elf"));
    assert!(bench.files().iter().all(|name| !name.starts_with(".micrun")), "{:?}", bench.files());
}

//! Firmware that is changed while it runs, by an Update of its container.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

use micrun_host_tests::console::Console;
use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::firmware::{self, PROMPT, builder, patched_demo};
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::micad::mica;
use micrun_host_tests::{Host, isolation, shim};

const KEY: &str = "org.openeuler.micrun.patch";
/// The two demos' answers to `uname`, and to a status that neither takes.
const MESSAGES: [&str; 2] = ["micrun-demo", "patched-one"];
const LIMITS: [&str; 2] = ["give a number from 0 to 255", "give a number from 0 to  99"];

/// A host that allows patches out of a directory, in which there is the patched demo; and that directory.
fn host() -> (Host, PathBuf) {
    let dir = isolation::state_dir().join("patches");
    fs::create_dir_all(&dir).unwrap();
    fs::copy(patched_demo(), dir.join("new.elf")).unwrap();
    let conf = format!("[Policy]\npatch_directory = {}\nallow_restore = true\n", dir.display());
    (Host::configured(&conf, ""), dir)
}

fn run(image: &str) -> Console {
    let mut console = ctr_piped(&["run", "--runtime", MICA, image, "rtos"]);
    console.expect(PROMPT);
    console
}

/// Whether the firmware is the one of the image, or the patched one.
fn assert_is(console: &mut Console, which: usize) {
    console.send("uname\r");
    console.expect(MESSAGES[which]);
    console.send("exit none\r");
    console.expect(LIMITS[which]);
    console.expect(PROMPT);
}

/// How often the clock of the firmware has ticked.
fn ticks(console: &mut Console) -> u64 {
    console.send("uptime\r");
    console.expect(" ticks");
    let output = console.output();
    let (before, _) = output.rsplit_once(" ticks").unwrap();
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

fn patch(value: &str) -> Result<(), String> {
    shim::update("rtos", KEY, value)
}

#[test]
fn an_update_changes_a_message_and_a_limit_while_firmware_runs() {
    let (host, _) = host();
    let mut console = run(DEMO);
    assert_is(&mut console, 0);
    let before = ticks(&mut console);
    patch("new.elf").unwrap();
    assert_is(&mut console, 1);
    assert!(ticks(&mut console) >= before, "it did not start anew");
    let list = mica(&["list", "--json"]).success();
    assert!(list.contains("\"patched\": \"sha256:"), "{list}");

    // A checkpoint goes on patched, and says so.
    let name = "localhost/micrun/checkpoint:1";
    ctr(&["containers", "checkpoint", "--image", "--rw", "--task", "rtos", name]).success();
    console.send("exit 4\r");
    assert_eq!(console.wait(), 4);
    // What the container is, is its image.
    host.delete_container("rtos");
    let mut console = run(DEMO);
    assert_is(&mut console, 0);
    console.send("exit 0\r");
    assert_eq!(console.wait(), 0);
    host.delete_container("rtos");
    ctr(&["containers", "restore", "--live", "rtos", name]).success();
    let mut console = ctr_piped(&["tasks", "attach", "rtos"]);
    assert_is(&mut console, 1);
    assert!(host.containerd.log().contains("is of firmware that was patched to"));
    // The daemon knows it too, and so does whoever asks.
    let list = mica(&["list", "--json"]).success();
    assert!(list.contains("\"patched\": \"sha256:"), "{list}");
    console.send("exit 5\r");
    assert_eq!(console.wait(), 5);
    host.delete_container("rtos");
}

#[test]
fn what_is_refused_changes_nothing() {
    let (host, dir) = host();
    fs::copy(firmware::hello(), dir.join("other.elf")).unwrap();
    fs::write(dir.join("no.elf"), "no firmware").unwrap();
    let mut bytes = fs::read(patched_demo()).unwrap();
    bytes[0x1000..0x868c].iter_mut().for_each(|byte| *byte ^= 0xff);
    fs::write(dir.join("code.elf"), bytes).unwrap();
    let mut console = run(DEMO);
    for (value, reason) in [
        (
            "other.elf",
            "the firmware was not patched and runs as before: the firmwares do not load the same segments",
        ),
        ("no.elf", "not an ELF"),
        ("../patches/new.elf", "it contains"),
        ("missing.elf", "missing.elf"),
    ] {
        let said = patch(value).unwrap_err();
        assert!(said.contains(reason), "{said}");
        assert_is(&mut console, 0);
    }
    console.send("spin\r");
    console.expect("spinning with interrupts masked");
    let said = patch("code.elf").unwrap_err();
    assert!(said.contains("is executing at 0x"), "{said}");
    host.kill("rtos", "SIGKILL");
    assert_eq!(console.wait(), 137);
    host.delete_container("rtos");
    host.assert_clean();
}

#[test]
fn a_host_that_names_no_directory_allows_none() {
    let host = Host::configured("", "");
    let mut console = run(DEMO);
    let said = patch("new.elf").unwrap_err();
    assert!(said.contains("a patch of firmware that runs is not allowed on this host"), "{said}");
    assert!(said.contains("patch_directory"), "{said}");
    assert_is(&mut console, 0);
    console.send("exit 0\r");
    assert_eq!(console.wait(), 0);
    host.delete_container("rtos");
}

/// An image with one more layer, mounted below the directory.
fn mount_update(host: &Host, dir: &Path, base: &Path, name: &str, options: &[&str]) {
    let archive = isolation::state_dir().join("update.tar");
    let (firmware, base) = (patched_demo(), base.to_str().unwrap());
    let (firmware, output) = (firmware.to_str().unwrap(), archive.to_str().unwrap());
    let args =
        [&["append", base, "--firmware", firmware, "--tag", name, "--output", output], options].concat();
    builder(&args).success();
    host.import(&archive);
    fs::create_dir(dir).unwrap();
    ctr(&["images", "mount", name, dir.to_str().unwrap()]).success();
}

#[test]
fn an_image_is_a_patch_of_the_firmware_below_it() {
    let (host, dir) = host();
    let base = firmware::pack(&firmware::demo(), DEMO, &["--updatable"]);
    let (whole, delta) = ("localhost/micrun/whole:2", "localhost/micrun/delta:2");
    mount_update(&host, &dir.join("whole"), &base, whole, &[]);
    mount_update(&host, &dir.join("delta"), &base, delta, &["--delta"]);
    for update in ["whole", "delta"] {
        let mut console = run(DEMO);
        patch(update).unwrap();
        assert_is(&mut console, 1);
        // It was made for what the container was started with.
        let said = patch(update).unwrap_err();
        assert!(said.contains("the patch was made for the firmware sha256:"), "{said}");
        assert_is(&mut console, 1);
        console.send("exit 0\r");
        assert_eq!(console.wait(), 0);
        host.delete_container("rtos");
    }
    for mounted in ["whole", "delta"] {
        ctr(&["images", "unmount", dir.join(mounted).to_str().unwrap()]).success();
    }
}

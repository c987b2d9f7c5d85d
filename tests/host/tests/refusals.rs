//! What cannot be done is refused with a clear word, and leaves nothing behind.

use micrun_host_tests::Host;
use micrun_host_tests::archive::{self, Image};
use micrun_host_tests::containerd::ctr;
use micrun_host_tests::firmware;
use micrun_host_tests::host::{DEMO, MICA};

const BAD: &str = "localhost/bad:1";

/// Runs an image that Create must refuse with all of these words; nothing may be left but the container's record.
fn assert_refused(image: Image, options: &[&str], words: &[&str]) {
    let host = Host::start();
    host.import_image(image);
    host.assert_refused(BAD, options, words);
}

fn bad_image(conf: &str) -> Image {
    Image::new(BAD, &["/firmware.elf"]).file("client.conf", conf.as_bytes())
}

const CONF: &str = "[Mica]\nName=bad\nClientPath=firmware.elf\nPedestal=qemu\n";

#[test]
fn an_image_without_a_firmware() {
    assert_refused(bad_image(CONF), &[], &["firmware.elf"]);
}

#[test]
fn a_firmware_that_is_no_elf() {
    let image = bad_image(CONF).file("firmware.elf", b"#!/bin/sh\necho no firmware\n");
    assert_refused(image, &[], &["firmware.elf", "ELF"]);
}

#[test]
fn a_firmware_cut_short() {
    let elf = firmware::demo_bytes();
    assert_refused(bad_image(CONF).file("firmware.elf", &elf[..elf.len() / 8]), &[], &["firmware.elf"]);
}

#[test]
fn a_firmware_for_a_machine_that_runs_no_rtos_here() {
    let image = bad_image(CONF).file("firmware.elf", &archive::busybox());
    assert_refused(image, &[], &["firmware.elf", "machine"]);
}

#[test]
fn a_firmware_whose_sha256_is_another() {
    let host = Host::start();
    let hash = format!("org.openeuler.micrun.container.firmware_hash={}", "0".repeat(64));
    host.assert_refused(DEMO, &["--annotation", &hash], &["sha256 mismatch", &"0".repeat(64)]);
}

#[test]
fn a_hash_that_is_none() {
    let host = Host::start();
    let hash = "org.openeuler.micrun.container.firmware_hash=sha256:xyz";
    host.assert_refused(DEMO, &["--annotation", hash], &["firmware_hash"]);
}

#[test]
fn a_path_that_climbs_out_of_the_image() {
    let conf = CONF.replace("firmware.elf", "../../../../../../../../etc/passwd");
    assert_refused(bad_image(&conf).file("firmware.elf", &firmware::demo_bytes()), &[], &["../etc/passwd"]);
}

#[test]
fn an_annotated_path_that_climbs_out_of_the_image() {
    let host = Host::start();
    let path = "org.openeuler.micrun.container.firmware_path=../../../../../../../../etc/passwd";
    host.assert_refused(DEMO, &["--annotation", path], &["../etc/passwd"]);
}

#[test]
fn a_symbolic_link_that_leads_out_of_the_image() {
    // A good firmware lies where the link leads: where it leads must be the reason.
    let climb = format!("../../../../../../../../../..{}", firmware::demo().display());
    assert_refused(bad_image(CONF).symlink("firmware.elf", &climb), &[], &["firmware.elf"]);
}

#[test]
fn an_absolute_symbolic_link_to_a_file_of_the_host() {
    let target = firmware::demo();
    let target = target.to_str().expect("UTF-8");
    assert_refused(bad_image(CONF).symlink("firmware.elf", target), &[], &["firmware.elf"]);
}

#[test]
fn a_client_conf_that_is_none() {
    let image = bad_image("[Mica\nName\n").file("firmware.elf", &firmware::demo_bytes());
    assert_refused(image, &[], &["client.conf"]);
}

/// A malformed marker is an error, never a silent fallback to a Linux container (urunc#876).
#[test]
fn urunc_876_an_annotation_that_is_none() {
    let host = Host::start();
    let annotation = "org.openeuler.micrun.container.os=plan 9";
    host.assert_refused(DEMO, &["--annotation", annotation], &["plan 9"]);
}

#[test]
fn without_micad_the_error_names_it() {
    let mut host = Host::start();
    let micad = host.micad.take().expect("micad runs");
    drop(micad);
    let refusal = ctr(&["run", "--detach", "--runtime", MICA, DEMO, "rtos"]).failure();
    assert!(refusal.contains("mica daemon is not running"), "{refusal}");
}

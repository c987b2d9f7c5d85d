//! Firmware that is no ELF when it is packed: what objcopy makes of the demo boots as the demo does.

use std::process::Command;

use micrun_host_tests::Host;
use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::firmware::{self, BANNER, PROMPT};
use micrun_host_tests::host::MICA;
use micrun_host_tests::{isolation, process};

/// Where the demo is linked (tests/firmware/common/virt.ld).
const BASE: &str = "0x40100000";

/// Converts the demo, packs the result and runs it.
fn boots(host: &Host, format: &str, options: &[&str]) {
    let path = isolation::state_dir().join(format!("demo.{format}"));
    let mut objcopy = Command::new("aarch64-linux-gnu-objcopy");
    process::run(objcopy.args(["-O", format]).arg(firmware::demo()).arg(&path)).success();
    let image = format!("localhost/micrun/{format}:1");
    host.import(&firmware::pack(
        &path,
        &image,
        &[options, &["--arch", "aarch64", "--os", "freertos"]].concat(),
    ));
    let mut console = ctr_piped(&["run", "--rm", "--runtime", MICA, &image, "rtos"]);
    console.expect(PROMPT);
    assert!(console.output().starts_with(BANNER), "{format}: {}", console.output());
    console.send("exit 7\r");
    assert_eq!(console.wait(), 0, "the note that tells of the exit record is not in these formats");
    host.assert_clean();
}

#[test]
fn intel_hex_and_a_raw_binary_boot() {
    let host = Host::start();
    boots(&host, "ihex", &[]);
    boots(&host, "binary", &["--load-address", BASE]);
}

/// Signatures, SBOMs and provenance beside an image are none of containerd's business, nor of the shim's.
#[test]
fn an_image_with_artifacts_beside_it_boots() {
    let host = Host::start();
    let image = "localhost/micrun/vouched:1";
    let archive = firmware::pack(&firmware::demo(), image, &["--sbom", "--provenance"]);
    host.import(&archive);
    let listed = ctr(&["images", "ls", "-q"]).success();
    assert!(listed.contains(image) && listed.lines().count() == 2, "the demo and this one: {listed}");
    let mut console = ctr_piped(&["run", "--rm", "--runtime", MICA, image, "rtos"]);
    console.expect(PROMPT);
    console.send("exit 7\r");
    console.wait();
    host.assert_clean();
}

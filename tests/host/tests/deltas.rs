//! Updates that have only what changes of a firmware: `append --delta`, run by the real containerd.

use std::fs;
use std::io::Read;

use micrun_host_tests::Host;
use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::ctr_piped;
use micrun_host_tests::firmware::{self, PROMPT, builder};
use micrun_host_tests::host::MICA;
use micrun_host_tests::isolation;
use serde_json::{Value, json};

const BAD: &str = "localhost/bad:1";
const CONF: &str = "client.conf";
const FIRMWARE: &str = "firmware.elf";
const BASE: &str = ".micrun/deltas/0000.base";

/// A path in the test's folder.
fn path(name: &str) -> String {
    isolation::state_dir().join(name).to_str().expect("UTF-8").to_owned()
}

/// Appends a firmware as a delta to an image of the layout `images`; answers the layer's digest.
fn append(base: &str, firmware: &str, name: &str, output: &str) -> String {
    let layout = path("images");
    let args = ["append", &layout, "--image", base, "--firmware", firmware, "--delta", "-t", name];
    let options = ["-o", output, "--compression", "none", "--json"];
    let report = builder(&[&args[..], &options].concat()).success();
    let report: Value = serde_json::from_str(&report).expect("JSON");
    report["image"]["layer"]["digest"].as_str().expect("a layer").to_owned()
}

/// The layout `images` with the demo, ready for deltas.
fn pack_demo() {
    let demo = firmware::demo();
    let demo = demo.to_str().expect("UTF-8");
    builder(&["pack", demo, "--updatable", "-t", "localhost/demo:1", "-o", &path("images")]).success();
}

fn patched_demo() -> String {
    firmware::patched_demo().to_str().expect("UTF-8").to_owned()
}

/// Runs an image until its demo says who it is.
fn says(host: &Host, image: &str, words: &str) {
    let mut console = ctr_piped(&["run", "--rm", "--runtime", MICA, image, "rtos"]);
    console.expect(PROMPT);
    console.send("uname\r");
    console.expect(words);
    console.send("exit 7\r");
    assert_eq!(console.wait(), 7);
    host.assert_clean();
}

#[test]
fn what_runs_is_the_base_with_what_its_deltas_change() {
    let host = Host::start();
    pack_demo();
    append("localhost/demo:1", &patched_demo(), "localhost/demo:2", &path("images"));
    append("localhost/demo:2", firmware::demo().to_str().expect("UTF-8"), "localhost/demo:3", &path("3.tar"));
    host.import(path("3.tar").as_ref());
    append("localhost/demo:1", &patched_demo(), "localhost/demo:2", &path("2.tar"));
    host.import(path("2.tar").as_ref());
    says(&host, "localhost/demo:2", "patched-one");
    says(&host, "localhost/demo:3", "micrun-demo");
}

/// The firmware's symbols and memory tell what the update changes.
#[test]
fn diff_names_what_changes_in_a_real_firmware() {
    isolation::require();
    fs::create_dir_all(isolation::state_dir()).expect("/run is writable");
    pack_demo();
    append("localhost/demo:1", &patched_demo(), "localhost/demo:2", &path("images"));
    let layout = path("images");
    let args = ["diff", &layout, "--from", "localhost/demo:1", "--to", "localhost/demo:2", "--json"];
    let diff: Value = serde_json::from_str(&builder(&args).success()).expect("JSON");
    let symbols = &diff["firmwares"][0]["symbols"];
    assert!(symbols["changed"].as_array().is_some_and(|it| !it.is_empty()), "{diff}");
    assert_eq!((&symbols["added"], &symbols["removed"]), (&json!([]), &json!([])), "{diff}");
    assert!(diff["firmwares"][0]["ranges"].as_array().is_some_and(|it| !it.is_empty()), "{diff}");
    let [update, whole] = ["bytes", "whole"].map(|it| diff["update"][it].as_u64().expect("a number"));
    assert!(update * 2 < whole, "{update} of {whole}");
}

/// The files of the layer with the delta.
struct Parts {
    conf: Vec<u8>,
    delta: Vec<u8>,
}

impl Parts {
    fn make() -> Self {
        pack_demo();
        let layer = append("localhost/demo:1", &patched_demo(), "localhost/demo:2", &path("images"));
        let blob = path(&format!("images/blobs/{}", layer.replace(':', "/")));
        let mut archive = tar::Archive::new(fs::File::open(blob).expect("the layer is there"));
        let (mut conf, mut delta) = (Vec::new(), Vec::new());
        for entry in archive.entries().expect("a tar") {
            let mut entry = entry.expect("an entry");
            let name = entry.path().expect("UTF-8").display().to_string();
            let into = match name.as_str() {
                CONF => &mut conf,
                ".micrun/deltas/0001.delta" => &mut delta,
                _ => continue,
            };
            entry.read_to_end(into).expect("readable");
        }
        Self { conf, delta }
    }

    /// The image as one layer, upon this base.
    fn image(&self, base: Option<&[u8]>) -> Image {
        let image = Image::new(BAD, &["/firmware.elf"]).file(CONF, &self.conf).file(FIRMWARE, &self.delta);
        match base {
            Some(base) => image.file(BASE, base),
            None => image,
        }
    }
}

#[test]
fn a_delta_or_a_base_that_is_not_what_it_was_runs_nothing() {
    let host = Host::start();
    let good = Parts::make();
    let demo = firmware::demo_bytes();
    let refused = |image: Image, options: &[&str], words: &[&str]| {
        host.import_image(image);
        host.assert_refused(BAD, options, words);
    };
    host.import_image(good.image(Some(&demo)));
    says(&host, BAD, "patched-one");

    let mut other = demo.clone();
    let last = other.len() - 1;
    other[last] ^= 1;
    refused(good.image(Some(&other)), &[], &["delta cannot be used", BASE, "it was made for sha256:"]);
    refused(good.image(None), &[], &[BASE, "the base of a delta"]);

    let with = |delta: Vec<u8>| Parts { delta, conf: good.conf.clone() }.image(Some(&demo));
    let mut corrupted = good.delta.clone();
    *corrupted.last_mut().expect("it has bytes of its own") ^= 1;
    refused(with(corrupted), &[], &["delta cannot be used", "it gives sha256:", "instead of sha256:"]);
    refused(with(good.delta[..good.delta.len() - 1].to_vec()), &[], &["delta cannot be used"]);

    // The base itself is no firmware of this image.
    let named = format!("org.openeuler.micrun.container.firmware_path=/{BASE}");
    refused(good.image(Some(&demo)), &["--annotation", &named], &["sha256 mismatch", BASE]);
}

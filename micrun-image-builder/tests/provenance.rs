//! SBOMs and provenance: made, attached, the same every time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::process::Command;

use common::elf::Elf;
use common::{Bench, blob, json};
use serde_json::Value;

const NAME: &str = "example.org/team/demo:1";
const SPDX: &str = "application/spdx+json";

fn bench() -> Bench {
    Bench::with_firmware(&Elf::aarch64(20_000).to_bytes())
}

/// The artifacts of a layout with this type: their manifests and the content of their first file.
fn attached(bench: &Bench, layout: &str, artifact_type: &str) -> Vec<(Value, Vec<u8>)> {
    let layout = bench.path(layout);
    let index = json(layout.join("index.json"));
    let entries =
        index["manifests"].as_array().unwrap().iter().filter(|it| it["artifactType"] == artifact_type);
    let manifests = entries.map(|it| json(blob(&layout, it["digest"].as_str().unwrap())));
    let content = |it: &Value| fs::read(blob(&layout, it["layers"][0]["digest"].as_str().unwrap())).unwrap();
    manifests.map(|it| (content(&it), it)).map(|(content, it)| (it, content)).collect()
}

fn document(content: &[u8]) -> Value {
    serde_json::from_slice(content).unwrap()
}

fn package<'a>(document: &'a Value, id: &str) -> &'a Value {
    let packages = document["packages"].as_array().unwrap();
    packages.iter().find(|it| it["SPDXID"] == id).unwrap_or_else(|| panic!("no {id}: {document:#}"))
}

/// What is attached changes nothing of the image, and is the same each time.
#[test]
fn an_sbom_is_attached_beside_the_image() {
    let bench = bench();
    let plain = bench.pack(&["-t", NAME, "-o", "plain", "--os", "zephyr"]);
    let digest = bench.pack(&["-t", NAME, "-o", "layout", "--os", "zephyr", "--sbom", "--provenance"]);
    assert_eq!(digest, plain);
    bench.pack(&["-t", NAME, "-o", "again", "--os", "zephyr", "--sbom", "--provenance"]);
    let index = |layout: &str| bench.read(&format!("{layout}/index.json"));
    assert_eq!(index("layout"), index("again"));

    let [(manifest, content)] = &attached(&bench, "layout", SPDX)[..] else { panic!("one SBOM") };
    assert_eq!(manifest["subject"]["digest"], digest.as_str());
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
    let spdx = document(content);
    assert_eq!((&spdx["spdxVersion"], &spdx["dataLicense"]), (&"SPDX-2.3".into(), &"CC0-1.0".into()));
    let sum = Command::new("sha256sum").arg(bench.path("fw.elf")).output().unwrap().stdout;
    let firmware = package(&spdx, "SPDXRef-Firmware");
    assert_eq!(firmware["checksums"][0]["checksumValue"], String::from_utf8_lossy(&sum[..64]).as_ref());
    assert_eq!(package(&spdx, "SPDXRef-OperatingSystem")["name"], "zephyr");
    // Each package is in another one, and all of them in the document.
    let relations = spdx["relationships"].as_array().unwrap();
    assert_eq!(relations.len(), spdx["packages"].as_array().unwrap().len());

    // inspect shows one image, and what is beside it.
    let report = bench.inspect("layout");
    assert_eq!(report["images"].as_array().unwrap().len(), 1);
    let what: Vec<_> =
        report["images"][0]["attached"].as_array().unwrap().iter().map(|it| it["what"].clone()).collect();
    assert_eq!(what, ["SBOM", "provenance"]);

    // The verb makes the same document of the image.
    let ran = bench.run(["sbom", "plain"]);
    assert_eq!((ran.status, ran.stdout.trim_end()), (0, str::from_utf8(content).unwrap()), "{}", ran.stderr);
    let ran = bench.run(["sbom", "plain", "--attach"]);
    assert_eq!((ran.status, ran.stdout.trim_end()), (0, plain.as_str()), "{}", ran.stderr);
    assert_eq!(attached(&bench, "plain", SPDX)[0].1, *content);
}

/// What a build and a file say goes into the SBOM, and Zephyr's own documents stand beside it.
#[test]
fn a_build_and_a_file_say_more() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("build/zephyr")).unwrap();
    fs::create_dir_all(bench.path("build/spdx")).unwrap();
    bench.write("build/zephyr/zephyr.elf", Elf::aarch64(9_000).to_bytes());
    bench.write("build/zephyr/.config", "CONFIG_BOARD=\"qemu_cortex_a53\"\n");
    bench.write("build/build_info.yml", "cmake:\n  zephyr:\n    version: 4.1.0\n");
    bench.write("build/spdx/zephyr.spdx", "SPDXVersion: SPDX-2.3\nDocumentName: zephyr-sources\n");
    let image = format!(
        "version: 1\nimages:\n  - tag: {NAME}\n    firmware: build\n    output: layout\n    packages:\n      \
         - {{ name: mbedtls, version: 3.6.2, license: Apache-2.0 OR GPL-2.0-or-later, \
         purl: 'pkg:github/Mbed-TLS/mbedtls@v3.6.2' }}\n      - {{ name: app, supplier: Example }}\n"
    );
    bench.write("micrun.yaml", &image);
    let ran = bench.run(["pack"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let spdx = document(&attached(&bench, "layout", SPDX)[0].1);
    let os = package(&spdx, "SPDXRef-OperatingSystem");
    assert_eq!(os["versionInfo"], "4.1.0");
    let cpe = "cpe:2.3:o:zephyrproject:zephyr:4.1.0:*:*:*:*:*:*:*";
    assert_eq!(os["externalRefs"][0]["referenceLocator"], cpe);
    let first = package(&spdx, "SPDXRef-Package-1");
    assert_eq!(first["licenseDeclared"], "Apache-2.0 OR GPL-2.0-or-later");
    assert_eq!(first["externalRefs"][0]["referenceLocator"], "pkg:github/Mbed-TLS/mbedtls@v3.6.2");
    assert_eq!(package(&spdx, "SPDXRef-Package-2")["supplier"], "Organization: Example");
    let [(manifest, text)] = &attached(&bench, "layout", "text/spdx")[..] else { panic!("one") };
    assert_eq!(text, &bench.read("build/spdx/zephyr.spdx"));
    assert_eq!(manifest["layers"][0]["annotations"]["org.opencontainers.image.title"], "zephyr.spdx");

    bench.write("micrun.yaml", image.replace("Apache-2.0 OR", "Apache-2.0 \\"));
    let ran = bench.run(["pack"]);
    assert_eq!(ran.status, 2);
    assert!(
        ran.stderr.contains("micrun.yaml:7:") && ran.stderr.contains("SPDX expression"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_file_of_somebody_else_is_taken_as_it_is() {
    let bench = bench();
    bench.write("cyclonedx.json", r#"{ "bomFormat": "CycloneDX", "specVersion": "1.6" }"#);
    bench.write("tags.spdx", "SPDXVersion: SPDX-2.2\n");
    bench.write("none.json", "{}");
    bench.pack(&["-t", NAME, "-o", "layout", "--sbom=cyclonedx.json"]);
    let found = attached(&bench, "layout", "application/vnd.cyclonedx+json");
    assert_eq!(found[0].1, bench.read("cyclonedx.json"));
    let ran = bench.run(["sbom", "layout", "--file", "tags.spdx", "-o", "copy.tar.gz"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let what = bench.inspect("copy.tar.gz")["images"][0]["attached"].as_array().unwrap().clone();
    assert_eq!(what.len(), 2);
    let ran = bench.run(["pack", "fw.elf", "-o", "other", "--sbom=none.json"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("none.json") && ran.stderr.contains("SPDX"), "{}", ran.stderr);
    assert!(!bench.path("other").exists());
}

/// The provenance names what went in by its digest, and nothing of the machine. With a key it is signed.
#[test]
fn provenance_says_what_was_packed_and_how() {
    let bench = bench();
    bench.write("my.conf", "[Mica]\nName = mine\nClientPath = /firmware.elf\nPedestal = qemu\n");
    let options = [
        "-t",
        NAME,
        "-o",
        "layout",
        "--client-conf",
        "my.conf",
        "--memory",
        "32",
        "--provenance=https://ci.example/7",
    ];
    let digest = bench.pack(&options);
    let [(manifest, content)] = &attached(&bench, "layout", "application/vnd.in-toto+json")[..] else {
        panic!("one statement")
    };
    let predicate = "https://slsa.dev/provenance/v1";
    assert_eq!(manifest["annotations"]["in-toto.io/predicate-type"], predicate);
    let statement = document(content);
    assert_eq!(statement["predicateType"], predicate);
    assert_eq!(format!("sha256:{}", statement["subject"][0]["digest"]["sha256"].as_str().unwrap()), digest);
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["memory"], 32);
    let materials = definition["resolvedDependencies"].as_array().unwrap();
    for (material, file) in materials.iter().zip(["fw.elf", "my.conf"]) {
        let sum = Command::new("sha256sum").arg(bench.path(file)).output().unwrap().stdout;
        assert_eq!(material["digest"]["sha256"], String::from_utf8_lossy(&sum[..64]).as_ref(), "{file}");
    }
    assert_eq!(statement["predicate"]["runDetails"]["builder"]["id"], "https://ci.example/7");
    let here = bench.path("").display().to_string();
    assert!(!String::from_utf8_lossy(content).contains(here.trim_end_matches('/')));

    for args in [
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "team.key"][..],
        &["pkey", "-in", "team.key", "-pubout", "-out", "team.pub"],
    ] {
        assert!(Command::new("openssl").args(args).current_dir(bench.path(".")).status().unwrap().success());
    }
    bench.pack(&["-t", NAME, "-o", "signed", "--sign-key", "team.key", "--provenance"]);
    let ran = bench.run(["sign", "signed", "--key", "team.key"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let ran = bench.run(["verify", "signed", "--key", "team.pub", "--json"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let what: Vec<_> = document(ran.stdout.as_bytes())["images"][0]["verified"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["what"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(what, [predicate, "signature", "signature"]);
}

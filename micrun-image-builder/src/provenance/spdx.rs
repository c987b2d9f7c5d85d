//! The SBOM of a firmware image: SPDX 2.3 as JSON (<https://spdx.github.io/spdx-spec/v2.3/>).
//!
//! The same image gives the same document. SPDX wants a SHA-1 of each file, so the files of an image are packages here,
//! with a SHA-256.

use micrun_firmware::Sha256Digest;
use micrun_firmware::elf::ElfInfo;
use serde_json::{Value, json};

use super::options::Package;
use crate::digest::Measured;
use crate::json;
use crate::timestamp::Timestamp;

/// What a document in JSON is called.
pub(super) const JSON: &str = "application/spdx+json";
/// What one of tags and values is called.
pub(super) const TAGS: &str = "text/spdx";

/// Names by which the CVE list knows operating systems.
const CPE: [(&str, &str); 5] = [
    ("zephyr", "o:zephyrproject:zephyr"),
    ("freertos", "o:amazon:freertos"),
    ("nuttx", "o:apache:nuttx"),
    ("rt-thread", "o:rt-thread:rt-thread"),
    ("riot", "o:riot-os:riot"),
];

/// What is known of an image.
pub(crate) struct Facts<'a> {
    /// The image's full name.
    pub(crate) name: &'a str,
    /// `sha256:...` of what the name stands for.
    pub(crate) digest: &'a str,
    /// One for each board, if there are several.
    pub(crate) firmware: Vec<FirmwareFacts<'a>>,
    /// What the firmware is made of, as somebody says.
    pub(crate) packages: &'a [Package],
    pub(crate) created: Timestamp,
}

/// What is known of a firmware.
pub(crate) struct FirmwareFacts<'a> {
    /// What it is called.
    pub(crate) title: String,
    pub(crate) digest: Sha256Digest,
    pub(crate) elf: &'a ElfInfo,
    /// The linker's build id, in hexadecimal digits.
    pub(crate) build_id: Option<String>,
    /// What the ELF was made of: a format and a digest.
    pub(crate) made_from: Option<String>,
    pub(crate) os: Option<String>,
    pub(crate) os_version: Option<String>,
    /// What the pedestal reads beside the firmware: its path and its digest.
    pub(crate) beside: Option<(String, Sha256Digest)>,
}

/// A document under construction.
struct Document {
    packages: Vec<Value>,
    relationships: Vec<Value>,
}

impl Document {
    /// Adds a package that another one contains.
    fn add(&mut self, id: &str, within: &str, mut package: Value) {
        package["SPDXID"] = id.into();
        for key in ["copyrightText", "downloadLocation", "licenseConcluded"] {
            package[key] = "NOASSERTION".into();
        }
        if package["licenseDeclared"].is_null() {
            package["licenseDeclared"] = "NOASSERTION".into();
        }
        package["filesAnalyzed"] = false.into();
        self.packages.push(package);
        let kind = if within == "SPDXRef-DOCUMENT" { "DESCRIBES" } else { "CONTAINS" };
        self.relationships
            .push(json!({ "spdxElementId": within, "relationshipType": kind, "relatedSpdxElement": id }));
    }
}

/// The document.
pub(crate) fn document(facts: &Facts<'_>) -> Vec<u8> {
    let mut document = Document { packages: Vec::new(), relationships: Vec::new() };
    document.add(
        "SPDXRef-Image",
        "SPDXRef-DOCUMENT",
        json!({
            "name": facts.name,
            "primaryPackagePurpose": "CONTAINER",
            "checksums": checksums(facts.digest),
        }),
    );
    for (number, facts) in facts.firmware.iter().enumerate() {
        let number = if number == 0 { String::new() } else { format!("-{}", number + 1) };
        let id = format!("SPDXRef-Firmware{number}");
        document.add(&id, "SPDXRef-Image", firmware(facts));
        if let Some((path, digest)) = &facts.beside {
            let package = json!({
                "name": path.trim_start_matches('/'),
                "packageFileName": path,
                "primaryPackagePurpose": "FIRMWARE",
                "checksums": checksums(&digest.to_string()),
            });
            document.add(&format!("SPDXRef-Beside{number}"), "SPDXRef-Image", package);
        }
        if let Some(os) = &facts.os {
            document.add(&format!("SPDXRef-OperatingSystem{number}"), &id, operating_system(os, facts));
        }
    }
    for (number, package) in facts.packages.iter().enumerate() {
        document.add(&format!("SPDXRef-Package-{}", number + 1), "SPDXRef-Firmware", listed(package));
    }
    let Document { packages, relationships } = document;
    let mut document = json!({
        "SPDXID": "SPDXRef-DOCUMENT",
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "name": facts.name,
        "creationInfo": {
            "created": facts.created.rfc3339(),
            "creators": [format!("Tool: {}-{}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships,
    });
    // A document of its own has a namespace of its own: that of its content.
    let content = Measured::of(&json::canonical(&document));
    document["documentNamespace"] =
        format!("https://openeuler.org/micrun/spdx/{}", content.digest.digest()).into();
    json::canonical(&document)
}

fn firmware(facts: &FirmwareFacts<'_>) -> Value {
    let elf = facts.elf;
    let processor = elf.processor.as_ref().map_or_else(|| elf.machine.to_string(), ToString::to_string);
    let made_from = facts.made_from.iter().map(|it| format!("; made from {it}"));
    let comment: String =
        [format!("{} {} for {processor}", elf.class, elf.endian)].into_iter().chain(made_from).collect();
    let mut package = json!({
        "name": facts.title,
        "packageFileName": "/firmware.elf",
        "primaryPackagePurpose": "FIRMWARE",
        "checksums": checksums(&facts.digest.to_string()),
        "comment": comment,
    });
    if let Some(id) = &facts.build_id {
        package["externalRefs"] = json!([reference("OTHER", "gnu-build-id", id)]);
    }
    package
}

fn operating_system(os: &str, facts: &FirmwareFacts<'_>) -> Value {
    let mut package = json!({ "name": os, "primaryPackagePurpose": "OPERATING_SYSTEM" });
    if let Some(version) = &facts.os_version {
        package["versionInfo"] = version.as_str().into();
        // A CPE has no other characters unquoted.
        let plain = version.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
        if let Some((_, name)) = CPE.iter().find(|(known, _)| *known == os).filter(|_| plain) {
            let cpe = format!("cpe:2.3:{name}:{version}:*:*:*:*:*:*:*");
            package["externalRefs"] = json!([reference("SECURITY", "cpe23Type", &cpe)]);
        }
    }
    package
}

fn listed(listed: &Package) -> Value {
    let mut package = json!({ "name": listed.name, "primaryPackagePurpose": "LIBRARY" });
    if let Some(version) = &listed.version {
        package["versionInfo"] = version.as_str().into();
    }
    if let Some(license) = &listed.license {
        package["licenseDeclared"] = license.0.as_str().into();
    }
    if let Some(supplier) = &listed.supplier {
        package["supplier"] = format!("Organization: {supplier}").into();
    }
    let purl = listed.purl.iter().map(|it| reference("PACKAGE-MANAGER", "purl", it));
    let cpe = listed.cpe.iter().map(|it| reference("SECURITY", "cpe23Type", it));
    let references: Vec<_> = purl.chain(cpe).collect();
    if !references.is_empty() {
        package["externalRefs"] = references.into();
    }
    package
}

fn reference(category: &str, kind: &str, locator: &str) -> Value {
    json!({ "referenceCategory": category, "referenceType": kind, "referenceLocator": locator })
}

fn checksums(digest: &str) -> Value {
    json!([{ "algorithm": "SHA256", "checksumValue": digest.trim_start_matches("sha256:") }])
}

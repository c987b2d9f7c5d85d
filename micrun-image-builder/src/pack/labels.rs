//! What an image says of itself outside its rootfs: labels for people and CRI, annotations for registries.

use std::collections::BTreeMap;

use micrun_firmware::annotations::PREFIX;
use oci_spec::image::ANNOTATION_VERSION;

use super::part::Part;
use crate::cli::PackArgs;

/// The labels of the config: facts about the firmware, the micrun annotations, and the caller's labels.
pub(super) fn labels(args: &PackArgs, facts: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let micrun = args.annotations.iter().filter(|(key, _)| key.starts_with(PREFIX));
    let mut labels = facts.clone();
    labels.extend(micrun.chain(&args.labels).cloned());
    labels
}

/// The annotations of the manifests and their index: the same facts, and the caller's annotations.
pub(super) fn annotations(args: &PackArgs, facts: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut annotations = facts.clone();
    annotations.extend(args.annotations.iter().cloned());
    annotations
}

/// What is so about a firmware.
pub(super) fn facts(part: &Part) -> BTreeMap<String, String> {
    let Part { conf, firmware, .. } = part;
    let os = conf.annotations.os.as_ref().map(|os| ("container.os", os.to_string()));
    let facts = [
        ("container.firmware_hash", firmware.digest.to_string()),
        ("image.machine", firmware.info.machine.to_string()),
        ("ped.pedestal", conf.settings.pedestal.value.to_string()),
    ];
    let board = firmware.facts.board.clone().map(|board| ("image.board", board));
    let ours = facts.into_iter().chain(os).chain(board).map(|(key, value)| (format!("{PREFIX}{key}"), value));
    let version = firmware.facts.os_version.clone().map(|version| (ANNOTATION_VERSION.to_owned(), version));
    ours.chain(version).collect()
}

//! ESP-IDF: recognised so that it can be refused by name.

use serde::Deserialize;

use super::super::fault::{Fault, Result};
use super::super::tree::Tree;
use super::Build;

const DESCRIPTION: &str = "project_description.json";

/// What `project_description.json` says.
#[derive(Deserialize)]
struct Project {
    target: String,
    #[serde(rename = "idf_path")]
    _idf_path: String,
}

pub(super) fn find(tree: &dyn Tree) -> Result<Option<Build>> {
    let Ok(project) = serde_json::from_str::<Project>(&tree.text(DESCRIPTION)?) else { return Ok(None) };
    let core = match project.target.as_str() {
        "esp32" | "esp32s2" | "esp32s3" => ", an Xtensa processor",
        _ => "",
    };
    Err(Fault::refused(format!(
        "it is a build of ESP-IDF for {:?}{core}: no pedestal has that chip; build the firmware for another board",
        project.target
    )))
}

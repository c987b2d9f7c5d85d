//! Builds of known operating systems: where in one the ELF is, and what stands beside it.

mod esp_idf;
mod nuttx;
mod rt_thread;
mod uniproton;
mod zephyr;

use super::facts::BuildFacts;
use super::fault::{Fault, Result};
use super::tree::Tree;

/// A firmware in a tree of files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Build {
    /// The path of its ELF.
    pub(crate) elf: String,
    /// What the build says about it.
    pub(crate) facts: BuildFacts,
}

/// Looks for a build in one of the known systems.
type Finder = fn(&dyn Tree) -> Result<Option<Build>>;

const SYSTEMS: [Finder; 5] = [esp_idf::find, zephyr::find, nuttx::find, rt_thread::find, uniproton::find];

/// Finds the firmware of a tree: that of a known build, else the only `*.elf`.
pub(crate) fn find(tree: &dyn Tree) -> Result<Build> {
    for find in SYSTEMS {
        if let Some(build) = find(tree)? {
            return Ok(build);
        }
    }
    let mut elves = tree.elves("")?;
    match elves.len() {
        0 => Err(Fault::refused(
            "it has no *.elf, and is no build directory of Zephyr, NuttX, RT-Thread or UniProton; give the ELF itself",
        )),
        1 => Ok(Build { elf: elves.remove(0), facts: BuildFacts::default() }),
        _ => {
            let list: Vec<_> = elves.iter().take(5).map(|name| format!("{name:?}")).collect();
            Err(Fault::refused(format!(
                "it has {} *.elf ({}{}); give one of them itself",
                elves.len(),
                list.join(", "),
                if elves.len() > list.len() { ", ..." } else { "" }
            )))
        }
    }
}

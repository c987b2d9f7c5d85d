//! A shim that is put to the test, and how to make it run something.

use std::any::Any;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What a container runs. Both are told alike, whatever the shim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Reads lines from stdin: `echo TEXT`, `exit STATUS`, `flood LINES`.
    Shell,
    /// Prints a line that begins with `hello` (in any case) and ends with status 0.
    Hello,
    /// Nothing that can be run: Create or Start fails.
    Broken,
}

/// A shim.
pub trait Subject: Sync {
    /// Its name in the table.
    fn name(&self) -> &'static str;

    /// Its binary.
    fn shim(&self) -> PathBuf;

    /// Starts what the shim needs beside itself; it ends when the result is dropped.
    fn daemons(&self) -> Box<dyn Any>;

    /// Fills a root file system; answers what `config.json` says beside `root` and `annotations`.
    fn fill(&self, rootfs: &Path, program: Program) -> Value;

    /// The device that is the terminal of a container on one, once it has said something.
    fn terminal(&self, id: &str, pid: u32) -> PathBuf;

    /// What ends a typed line.
    fn enter(&self) -> &'static str;

    /// Whether refusals have the code that the README and containerd's error types give them. A shim that wraps
    /// an OCI runtime answers `UNKNOWN` to what only the runtime refuses.
    fn exact_codes(&self) -> bool;
}

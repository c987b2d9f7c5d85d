//! Our shim, with the oracle's ordinary container.

use std::any::Any;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Subject;
use crate::subject::Program;
use crate::subjects::{LINUX, Mica, Runc};

/// `containerd-shim-mica-v2` with crun: no micad is there.
pub struct Linux;

impl Subject for Linux {
    fn name(&self) -> &'static str {
        LINUX
    }

    fn shim(&self) -> PathBuf {
        Mica.shim()
    }

    fn daemons(&self) -> Box<dyn Any> {
        Box::new(())
    }

    fn fill(&self, rootfs: &Path, program: Program) -> Value {
        Runc.fill(rootfs, program)
    }

    fn terminal(&self, id: &str, pid: u32) -> PathBuf {
        Runc.terminal(id, pid)
    }

    fn enter(&self) -> &'static str {
        Runc.enter()
    }

    fn exact_codes(&self) -> bool {
        true
    }
}

//! File systems in user space, which their helper programs mount: `fuse3.fuse-overlayfs` is `mount.fuse3` with the type
//! `fuse-overlayfs`, as in containerd's mount library.

use std::path::Path;
use std::process::{Command, Stdio};

use containerd_shim_protos::types::mount::Mount;

use crate::error::{Error, Result};
use crate::os::children;

/// The helpers, by the beginning of the type.
const HELPERS: [(&str, &str); 2] = [("fuse.", "mount.fuse"), ("fuse3.", "mount.fuse3")];

/// A helper program and the type that it mounts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Helper<'a> {
    program: &'static str,
    kind: &'a str,
}

impl<'a> Helper<'a> {
    /// That of a type, if it has one.
    pub(super) fn of(kind: &'a str) -> Option<Self> {
        HELPERS.iter().find_map(|(prefix, program)| Some(Self { program, kind: kind.strip_prefix(prefix)? }))
    }

    /// Mounts on `target`. The options are the helper's to read, all of them.
    pub(super) fn mount(&self, entry: &Mount, target: &Path) -> Result<()> {
        // Until it is waited for here, nobody else may reap it.
        let _hold = children::hold();
        let mut command = Command::new(self.program);
        command.arg(&entry.source).arg(target).stdin(Stdio::null());
        for option in &entry.options {
            command.args(["-o", option]);
        }
        command.args(["-t", self.kind]);
        let output = command.output().map_err(Error::io("start", self.program))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let reason =
            std::io::Error::other(format!("{} failed ({}): {}", self.program, output.status, said.trim()));
        Err(Error::Mount { kind: entry.type_.clone(), target: target.to_owned(), source: reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_names_the_helper() {
        let helper = |program, kind| Some(Helper { program, kind });
        assert_eq!(Helper::of("fuse3.fuse-overlayfs"), helper("mount.fuse3", "fuse-overlayfs"));
        assert_eq!(Helper::of("fuse.sshfs"), helper("mount.fuse", "sshfs"));
        assert_eq!(Helper::of("overlay"), None);
        assert_eq!(Helper::of("fuse"), None);
    }
}

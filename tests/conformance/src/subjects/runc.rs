//! containerd's own shim, with an ordinary container: the oracle.

use std::any::Any;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use micrun_host_tests::archive;
use serde_json::{Value, json};

use crate::Subject;
use crate::subject::Program;
use crate::subjects::RUNC;

/// The commands that the demo firmware knows, as a shell script. Process 1 gets only signals that it handles.
const SHELL: &str = r#"
trap 'exit 143' TERM
trap 'exit 130' INT
flood() {
    /bin/busybox awk -v n="$1" 'BEGIN {
        for (i = 1; i <= n; i++) printf "flood %010d the quick brown fox jumps over the lazy dog\n", i }'
}
while IFS= read -r line; do eval "$line"; done
"#;

/// `containerd-shim-runc-v2` with Debian's busybox.
pub struct Runc;

impl Subject for Runc {
    fn name(&self) -> &'static str {
        RUNC
    }

    fn shim(&self) -> PathBuf {
        PathBuf::from("/usr/bin/containerd-shim-runc-v2")
    }

    fn daemons(&self) -> Box<dyn Any> {
        Box::new(())
    }

    fn fill(&self, rootfs: &Path, program: Program) -> Value {
        for dir in ["bin", "proc", "dev"] {
            fs::create_dir_all(rootfs.join(dir)).expect("the rootfs can be made");
        }
        let busybox = rootfs.join("bin/busybox");
        fs::write(&busybox, archive::busybox()).expect("the rootfs can be written");
        fs::set_permissions(&busybox, fs::Permissions::from_mode(0o755)).expect("it can be made executable");
        let args = match program {
            Program::Shell => json!(["/bin/busybox", "sh", "-c", SHELL]),
            Program::Hello => json!(["/bin/busybox", "echo", "hello"]),
            Program::Broken => json!(["/bin/absent"]),
        };
        json!({
            "ociVersion": "1.0.2",
            "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "args": args},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                 "options": ["newinstance", "ptmxmode=0666"]},
            ],
            "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}]},
        })
    }

    fn terminal(&self, _: &str, pid: u32) -> PathBuf {
        format!("/proc/{pid}/fd/0").into()
    }

    fn enter(&self) -> &'static str {
        "\n"
    }

    fn exact_codes(&self) -> bool {
        false
    }
}

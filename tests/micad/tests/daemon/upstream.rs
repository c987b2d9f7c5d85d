//! Upstream's `mica` command, as its behaviour is documented, in front of our daemon.

use std::path::Path;
use std::process::Command;

use crate::harness::Daemon;
use crate::tiny_elf;

#[tokio::test]
async fn upstreams_command_drives_the_daemon() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upstream_client.py");
    let daemon = Daemon::start_with(&["--default-pedestal", "qemu"]);
    let echo = tiny_elf::echo(daemon.dir());
    let run = Command::new("python3").arg(script).arg(daemon.run_dir()).arg(&echo).output();
    let Ok(output) = run else {
        eprintln!("skipped: no python3 on this machine");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

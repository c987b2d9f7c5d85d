//! The two kinds of containers that a fault may hit.

use std::fs;

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::system::Process;
use micrun_host_tests::{Host, wait};

const IMAGE: &str = "localhost/busybox:1";
/// The shim's program.
pub(crate) const SHIM: &str = "containerd-shim-mica-v2";

/// Who runs a container.
#[derive(Clone, Copy)]
pub(crate) enum Engine {
    /// micad, a firmware.
    Rtos,
    /// crun, a shell.
    Linux,
}

/// A host with an image for each.
pub(crate) fn host() -> Host {
    let host = Host::start();
    host.import_image(Image::busybox(IMAGE, &["/bin/busybox", "sleep", "1000"]));
    host
}

impl Engine {
    pub(crate) const BOTH: [Self; 2] = [Self::Rtos, Self::Linux];

    /// The image of a container that stays.
    pub(crate) fn image(self) -> &'static str {
        match self {
            Self::Rtos => DEMO,
            Self::Linux => IMAGE,
        }
    }

    /// The processes of all its containers.
    pub(crate) fn processes(self) -> Vec<Process> {
        Process::running(match self {
            Self::Rtos => "qemu-system-aarch64",
            Self::Linux => "busybox",
        })
    }

    /// Starts a detached container.
    pub(crate) fn run(self, id: &str, options: &[&str]) {
        ctr(&[&["run", "--detach", "--runtime", MICA], options, &[self.image(), id]].concat()).success();
    }

    /// Asserts that a detached container answers.
    #[track_caller]
    pub(crate) fn assert_answers(self, id: &str) {
        match self {
            Self::Rtos => {
                let mut console = ctr_piped(&["tasks", "attach", id]);
                console.send("echo still here\r");
                console.expect("\nstill here\r\n");
            }
            Self::Linux => {
                let command = ["tasks", "exec", "--exec-id", "x", id, "/bin/busybox", "echo", "still here"];
                assert_eq!(ctr(&command).success(), "still here\n");
            }
        }
    }

    /// Waits until so many processes are left.
    #[track_caller]
    pub(crate) fn await_processes(self, count: usize) {
        wait::until(&format!("{count} processes are left"), || {
            (self.processes().len() == count).then_some(())
        });
    }
}

/// Kills and removes a container.
#[track_caller]
pub(crate) fn end(host: &Host, id: &str) {
    host.kill(id, "SIGKILL");
    remove(host, id, 137);
}

/// Removes a container that ends with this status.
#[track_caller]
pub(crate) fn remove(host: &Host, id: &str, status: i32) {
    host.await_task_state(id, "STOPPED");
    assert_eq!(host.delete_task(id), status, "{id}");
    host.delete_container(id);
}

/// Removes the FIFOs that ctr leaves behind when a container ends otherwise than by its shim's word, whichever shim.
pub(crate) fn remove_fifos(id: &str) {
    for folder in fs::read_dir("/run/containerd/fifo").into_iter().flatten().flatten() {
        if folder.path().join(format!("{id}-stdout")).exists() {
            fs::remove_dir_all(folder.path()).unwrap();
        }
    }
}

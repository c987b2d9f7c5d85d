//! A Create that takes its time holds nobody else in the pod up, and one that fails leaves nothing behind.

use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use containerd_shim_protos::api::{CreateTaskRequest, StateRequest, Status};
use containerd_shim_protos::shim_async::Task;
use containerd_shim_protos::ttrpc::{self, Code};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::task::JoinHandle;

use super::execs::checkpoint;
use super::fixture::{Fixture, Script, code, context, write_bundle};
use crate::oci::bundle::Spec;
use crate::os::blocking;

/// A firmware whose copy takes a while, in bytes.
const LARGE: u64 = 8 << 20;

/// A pod with one running container, `c`, in which another is about to be created.
async fn pod() -> Fixture {
    let mut f = Fixture::new(Script::default());
    f.create().await.unwrap();
    f.start().await.unwrap();
    f
}

impl Fixture {
    /// A bundle for a further container.
    fn bundle(&self, id: &str) -> PathBuf {
        let bundle = self.dir.path().join(id);
        write_bundle(&bundle, &self.spec);
        bundle
    }

    /// Sends Create for it, without waiting for the answer.
    fn create_beside(&self, id: &str) -> JoinHandle<ttrpc::Result<()>> {
        let mut request = CreateTaskRequest::new();
        request.id = id.into();
        request.bundle = self.dir.path().join(id).display().to_string();
        let service = self.service.clone();
        tokio::spawn(async move { service.create(&context(), request).await.map(drop) })
    }

    /// A container of the pod says a word, and one asks how it is.
    async fn assert_c_is_served(&mut self) {
        self.daemon.print("alive");
        assert_eq!(self.read_output(5).await, "alive");
        let mut request = StateRequest::new();
        request.id = "c".into();
        let state = self.service.state(&context(), request).await.unwrap();
        assert_eq!(state.status.enum_value(), Ok(Status::RUNNING));
    }

    /// Whether the directory of a container has been claimed.
    fn has_begun(&self, id: &str) -> bool {
        self.dir.path().join("state").join(id).join("state.json").exists()
    }
}

fn make_fifo(path: &Path) {
    let _ = std::fs::remove_file(path);
    mkfifo(path, Mode::S_IRWXU).unwrap();
}

/// Opens a FIFO for writing, once somebody opens it for reading.
async fn writer(path: PathBuf) -> File {
    tokio::task::spawn_blocking(move || File::create(path)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_bundle_that_is_read_slowly_holds_nobody_up() {
    let mut f = pod().await;
    let config = f.bundle("slow").join("config.json");
    make_fifo(&config);
    let create = f.create_beside("slow");
    // From here on Create waits for the specification.
    let file = writer(config).await;
    f.assert_c_is_served().await;
    assert!(!create.is_finished());
    serde_json::to_writer(file, &f.spec).unwrap();
    create.await.unwrap().unwrap();
    assert_eq!(f.daemon.count("create"), 2);
}

#[tokio::test]
async fn a_state_directory_that_is_read_slowly_holds_nobody_up() {
    let mut f = pod().await;
    f.bundle("slow");
    let left_over = f.dir.path().join("state/slow");
    std::fs::create_dir(&left_over).unwrap();
    let owner = left_over.join("state.json");
    make_fifo(&owner);
    let create = f.create_beside("slow");
    // From here on Create waits for the name of the owner, in the step that copies the firmware as well.
    let file = writer(owner).await;
    f.assert_c_is_served().await;
    assert!(!create.is_finished());
    drop(file);
    create.await.unwrap().unwrap();
    assert_eq!((f.leftovers(), f.daemon.count("create")), (2, 2));
}

/// A Create that is refused leaves no directory behind.
#[tokio::test]
async fn a_configuration_that_is_no_file_is_refused() {
    let mut f = pod().await;
    f.bundle("refused");
    make_fifo(&f.dir.path().join("micrun.conf"));
    let create = f.create_beside("refused");
    assert_eq!(code(create.await.unwrap()), Code::FAILED_PRECONDITION);
    f.assert_c_is_served().await;
    assert_eq!((f.leftovers(), f.daemon.count("create")), (1, 1), "there is only `c`");
}

/// On a machine that stalls, the copy may be over before anybody looks, so it may be tried again. A copy on the one
/// thread is always over.
#[tokio::test]
async fn a_large_firmware_holds_nobody_up() {
    let mut f = pod().await;
    for id in ["d", "e", "f", "g"] {
        let firmware = f.bundle(id).join("rootfs/firmware.elf");
        // It is read-only, for all but root.
        std::fs::set_permissions(&firmware, PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::OpenOptions::new().append(true).open(firmware).unwrap().set_len(LARGE).unwrap();
        let create = f.create_beside(id);
        f.until(|f| f.has_begun(id)).await;
        f.assert_c_is_served().await;
        let served_first = !create.is_finished();
        create.await.unwrap().unwrap();
        if served_first {
            return;
        }
    }
    panic!("no console byte and no rpc was served before Create was over");
}

/// The threads that may wait have small stacks.
#[test]
fn the_deepest_specification_is_read() {
    let depth = 120;
    let deep = format!("{}0{}", "[".repeat(depth), "]".repeat(depth));
    let text = format!(r#"{{"annotations":{{"a":"b"}},"hooks":{deep},"linux":{{"seccomp":{deep}}}}}"#);
    let bundle = tempfile::tempdir().unwrap();
    std::fs::write(bundle.path().join("config.json"), text).unwrap();
    let path = bundle.path().to_owned();
    let runtime = blocking::runtime().unwrap();
    let spec = runtime.block_on(blocking::run(move || Spec::read(&path))).unwrap();
    assert_eq!(spec.annotations["a"], "b");
}

/// Whoever hands over a checkpoint can put anything there.
#[tokio::test]
async fn a_checkpoint_that_is_no_file_is_refused() {
    let mut f = pod().await;
    let dir = f.dir.path().join("checkpoint");
    let path = dir.display().to_string();
    checkpoint(&f, &path, true).await.unwrap();
    f.wait().await;
    f.delete().await.unwrap();
    f.checkpoint = path;
    f.configure("allow_restore = true\n");

    let (label, state) = (dir.join("micrun.json"), dir.join("machine.state"));
    let good = std::fs::read(&label).unwrap();
    make_fifo(&state);
    assert_refused(&mut f).await;
    std::fs::remove_file(&state).unwrap();
    symlink("/proc/self/../../etc/passwd", &state).unwrap();
    assert_refused(&mut f).await;
    make_fifo(&label);
    assert_refused(&mut f).await;
    std::fs::remove_file(&label).unwrap();
    symlink("/dev/zero", &label).unwrap();
    assert_refused(&mut f).await;

    std::fs::remove_file(&label).unwrap();
    std::fs::write(&label, good).unwrap();
    std::fs::remove_file(&state).unwrap();
    std::fs::write(&state, "the state").unwrap();
    f.create().await.unwrap();
}

async fn assert_refused(f: &mut Fixture) {
    assert_eq!(code(f.create().await), Code::INVALID_ARGUMENT);
    assert_eq!(f.leftovers(), 0);
}

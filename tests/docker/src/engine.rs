//! Docker's daemon with what it needs: containerd, micad, and images.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use micrun_host_tests::containerd::{self, Containerd};
use micrun_host_tests::daemon::Daemon;
use micrun_host_tests::firmware;
use micrun_host_tests::host::DEMO;
use micrun_host_tests::leftovers::Inventory;
use micrun_host_tests::micad::Micad;
use micrun_host_tests::{archive, isolation, process, wait};
use nix::sys::signal::Signal;

use crate::LINUX;
use crate::docker::docker;

/// A `daemon.json` by which Docker has its images in containerd. Debian's Docker does not by default.
pub const IMAGE_STORE: &str = r#"{"features": {"containerd-snapshotter": true}, "storage-driver": "native"}"#;

/// A running Docker.
pub struct Engine {
    dockerd: Daemon,
    /// Its containerd.
    pub containerd: Containerd,
    /// micad.
    pub micad: Micad,
    start: Inventory,
}

impl Engine {
    /// Starts it without a configuration, and loads the demo's image and one for Linux.
    pub fn start() -> Self {
        Self::configured("{}")
    }

    /// The same with this text as `daemon.json`.
    pub fn configured(json: &str) -> Self {
        let mut engine = Self::empty(json);
        let demo = firmware::pack(&firmware::demo(), DEMO, &[]);
        docker(&["load", "--input", demo.to_str().expect("UTF-8")]).success();
        import_busybox();
        engine.start = Inventory::take();
        engine
    }

    /// The same without images.
    pub fn empty(json: &str) -> Self {
        isolation::require();
        fs::create_dir_all(isolation::state_dir()).expect("/run is private and writable");
        fs::write(config(), json).expect("/run is writable");
        write_client();
        let micad = Micad::start();
        let containerd = Containerd::start();
        let dockerd = spawn();
        Self { dockerd, containerd, micad, start: Inventory::take() }
    }

    /// Ends Docker's daemon with a signal and starts it again.
    pub fn restart_by(&mut self, signal: Signal, meanwhile: impl FnOnce()) {
        self.dockerd.end(signal);
        meanwhile();
        // What a SIGKILL leaves, which a later process may have the number of.
        let _ = fs::remove_file("/run/docker.pid");
        self.dockerd = spawn();
    }

    /// Waits until no process, mount, file, task, container or client is there that was not before.
    #[track_caller]
    pub fn assert_clean(&self) {
        self.start.assert_restored();
    }
}

/// The folder of the Docker under test.
fn root() -> PathBuf {
    let suite = env::var("MICRUN_DOCKER_SUITE").unwrap_or_else(|_| "forky".to_owned());
    let folder = isolation::workspace().join(".cache/dockers").join(suite);
    assert!(folder.join("complete").exists(), "{} is not there: run tests/docker/matrix", folder.display());
    folder
}

/// A program of Docker's packages.
pub fn program(path: &str) -> PathBuf {
    root().join("usr").join(path)
}

fn config() -> PathBuf {
    isolation::state_dir().join("daemon.json")
}

/// The command `docker` in the test's folder: the one under test, with its plugins and without anything of the user's.
fn write_client() {
    let home = isolation::state_dir().join("client");
    let plugins = home.join("cli-plugins");
    fs::create_dir_all(&plugins).expect("/run is writable");
    std::os::unix::fs::symlink(
        program("libexec/docker/cli-plugins/docker-compose"),
        plugins.join("docker-compose"),
    )
    .expect("/run is writable");
    let text =
        format!("DOCKER_CONFIG='{}' exec '{}' \"$@\"\n", home.display(), program("bin/docker").display());
    process::script("docker", &text);
}

fn spawn() -> Daemon {
    let namespace = isolation::containerd_namespace();
    let data = isolation::state_dir().join("docker-data");
    let mut command = Command::new(program("sbin/dockerd"));
    command.arg("--config-file").arg(config()).arg("--data-root").arg(data);
    command.args(["--containerd", containerd::SOCKET, "--containerd-namespace", &namespace]);
    // The wrapper removes cgroups by the namespace's name.
    command.args(["--cgroup-parent", &format!("/{namespace}"), "--bip", "10.201.0.1/24"]);
    command.args(["--iptables=false", "--ip6tables=false", "--userland-proxy=false"]);
    let json = fs::read_to_string(config()).expect("it was written");
    if !json.contains("storage-driver") {
        command.args(["--storage-driver", "vfs"]);
    }
    command.env("PATH", isolation::path_variable());
    let mut daemon = Daemon::spawn("dockerd", &mut command);
    wait::until("Docker answers", || {
        assert!(daemon.is_running(), "dockerd ended: {}", daemon.log());
        (docker(&["version"]).status == 0).then_some(())
    });
    daemon
}

fn import_busybox() {
    let root = isolation::state_dir().join("busybox");
    fs::create_dir_all(root.join("bin")).expect("/run is writable");
    let program = root.join("bin/busybox");
    fs::write(&program, archive::busybox()).expect("/run is writable");
    executable(&program);
    std::os::unix::fs::symlink("busybox", root.join("bin/sh")).expect("/run is writable");
    let tar = isolation::state_dir().join("busybox.tar");
    process::run(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&root).arg(".")).success();
    let tar = tar.to_str().expect("UTF-8");
    docker(&["import", "--change", r#"CMD ["/bin/sh"]"#, tar, LINUX]).success();
}

fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

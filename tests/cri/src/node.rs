//! What the kubelet finds on a machine: a containerd that speaks CRI, a network, a mica daemon, images.

use std::fs;
use std::path::Path;
use std::process::Command;

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::Containerd;
use micrun_host_tests::host::DEMO;
use micrun_host_tests::leftovers::Inventory;
use micrun_host_tests::micad::Micad;
use micrun_host_tests::system::Process;
use micrun_host_tests::{firmware, isolation, process, wait};
use nix::mount::{MsFlags, mount};

use crate::cri::Cri;

/// An ordinary image: busybox.
pub const LINUX: &str = "localhost/busybox:1";
/// The sandbox's image, as `containerd.toml` names it.
const PAUSE: &str = "localhost/pause:1";
/// The machine's address in the pods' network, as `network.json` has it.
pub const GATEWAY: &str = "10.88.0.1";
const SHIM: &str = "containerd-shim-mica-v2";
/// CRI's namespace in containerd.
pub const NAMESPACE: &str = "k8s.io";

/// The machine.
pub struct Node {
    /// containerd.
    pub containerd: Containerd,
    /// Its CRI.
    pub cri: Cri,
    /// micad.
    pub micad: Micad,
    start: Inventory,
}

impl Node {
    /// Brings everything up. A first pod has come and gone, so that what stays after the next is a leftover.
    pub fn start() -> Self {
        Self::with(Micad::start, Vec::new())
    }

    /// The same with traces of all three to a collector at this endpoint.
    pub fn traced(endpoint: &str) -> Self {
        let micad = || Micad::configured(&format!("[Micad]\nTraceEndpoint = {endpoint}\n"));
        let soon = ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned());
        Self::with(micad, vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned()), soon])
    }

    fn with(micad: impl FnOnce() -> Micad, environment: Vec<(&'static str, String)>) -> Self {
        isolation::require();
        let state = isolation::state_dir();
        fs::create_dir_all(state.join("cni")).expect("/run is private and writable");
        private_var_lib(state);
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs::copy(here.join("network.json"), state.join("cni/10-test.conflist")).expect("it can be copied");
        let micad = micad();
        let containerd = Containerd::with_environment(&here.join(configuration()), environment);
        for image in
            [Image::busybox(PAUSE, &["/bin/busybox", "sleep", "1000000"]), Image::busybox(LINUX, &[])]
        {
            import(&image.write(state));
        }
        import(&firmware::pack(&firmware::demo(), DEMO, &[]));
        let cri = Cri::connect();
        wait::until("CRI has its network", || cri.is_ready().then_some(()));
        let first = cri.run_pod("first");
        cri.start(&first, "first", LINUX, &["/bin/busybox", "sleep", "1000"], None);
        cri.remove_pod(&first);
        // containerd does not wait for a sandbox's shim to end.
        wait::until("the first pod's shim is gone", || Process::running(SHIM).is_empty().then_some(()));
        Self { containerd, cri, micad, start: Inventory::take() }
    }

    /// Packs a firmware with more options of the builder, for the pods to come: before the first of them, as its files are no
    /// leftovers.
    pub fn import_firmware(&mut self, name: &str, elf: &Path, options: &[&str]) {
        import(&firmware::pack(elf, name, options));
        self.start = Inventory::take();
    }

    /// Restarts containerd as `systemctl restart` would.
    pub fn restart_containerd(&mut self) {
        self.containerd.restart();
        self.cri = Cri::connect();
        wait::until("CRI has its network", || self.cri.is_ready().then_some(()));
    }

    /// What is there that was not before, and the other way round.
    pub fn leftovers(&self) -> Vec<String> {
        self.start.difference()
    }

    /// Waits until no process, mount or file is there that was not before.
    #[track_caller]
    pub fn assert_clean(&self) {
        self.start.assert_restored();
    }
}

/// The configuration for the containerd under test: 2.x writes its own version of it, and 1.x does not read that.
fn configuration() -> &'static str {
    if version().starts_with("1.") { "containerd.toml" } else { "containerd-v3.toml" }
}

/// containerd's version, without `v`.
pub fn version() -> String {
    let mut command = Command::new(isolation::containerd_program("containerd"));
    let said = process::run(command.arg("--version")).success();
    let version = said.split_whitespace().nth(2).expect("`containerd --version` names it third");
    version.trim_start_matches('v').to_owned()
}

/// libcni caches its results below `/var/lib/cni`: what is written there goes to the private `/run`.
fn private_var_lib(state: &Path) {
    let (upper, work) = (state.join("var-lib"), state.join("var-lib.work"));
    for folder in [&upper, &work] {
        fs::create_dir_all(folder).expect("/run is private and writable");
    }
    let data = format!("lowerdir=/var/lib,upperdir={},workdir={}", upper.display(), work.display());
    mount(Some("overlay"), "/var/lib", Some("overlay"), MsFlags::empty(), Some(data.as_str()))
        .expect("the mounts are private");
}

fn import(archive: &Path) {
    let mut ctr = Command::new(isolation::containerd_program("ctr"));
    ctr.args(["--namespace", NAMESPACE, "images", "import"]).arg(archive);
    process::run(&mut ctr).success();
}

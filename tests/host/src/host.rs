//! The whole system under test.

use std::fs;
use std::path::Path;

use crate::archive::Image;
use crate::console::Console;
use crate::containerd::{self, Containerd, ctr};
use crate::leftovers::Inventory;
use crate::micad::Micad;
use crate::{firmware, isolation, wait};

/// The runtime under test.
pub const MICA: &str = "io.containerd.mica.v2";
/// The name of the demo's image.
pub const DEMO: &str = "localhost/micrun/freertos-demo:1";

/// A running containerd and, unless only ordinary containers are wanted, a running micad.
pub struct Host {
    /// containerd.
    pub containerd: Containerd,
    /// micad.
    pub micad: Option<Micad>,
    start: Inventory,
}

impl Host {
    /// containerd and micad, and the demo's image imported.
    pub fn start() -> Self {
        let host = Self::with(true);
        host.import(&firmware::pack(&firmware::demo(), DEMO, &[]));
        host
    }

    /// The same on a host with these texts as micrun.conf and micad.conf.
    pub fn configured(micrun_conf: &str, micad_conf: &str) -> Self {
        isolation::require();
        fs::create_dir_all(isolation::state_dir()).expect("/run is private and writable");
        let micad = Some(Micad::configured(micad_conf));
        let host =
            Self { containerd: Containerd::with_micrun_conf(micrun_conf), micad, start: Inventory::take() };
        host.import(&firmware::pack(&firmware::demo(), DEMO, &[]));
        host
    }

    /// As [`Self::start`], with traces of all three to a collector at this endpoint.
    pub fn traced(endpoint: &str, more: &[(&'static str, &str)]) -> Self {
        isolation::require();
        fs::create_dir_all(isolation::state_dir()).expect("/run is private and writable");
        let micad =
            Some(Micad::configured(&format!("[Micad]\nTraceEndpoint = {endpoint}\nLogFormat = logfmt\n")));
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let environment =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned())].into_iter().chain(more).collect();
        let containerd = Containerd::with_environment(&containerd::config(), environment);
        let host = Self { containerd, micad, start: Inventory::take() };
        host.import(&firmware::pack(&firmware::demo(), DEMO, &[]));
        host
    }

    /// containerd alone.
    pub fn ordinary() -> Self {
        Self::with(false)
    }

    /// containerd and micad; containerd's images and snapshots are in `root`.
    pub fn rooted_at(root: &Path) -> Self {
        isolation::require();
        fs::create_dir_all(isolation::state_dir()).expect("/run is private and writable");
        let micad = Some(Micad::start());
        Self { containerd: Containerd::rooted_at(root), micad, start: Inventory::take() }
    }

    fn with(micad: bool) -> Self {
        isolation::require();
        fs::create_dir_all(isolation::state_dir()).expect("/run is private and writable");
        let micad = micad.then(Micad::start);
        let containerd = Containerd::start();
        Self { containerd, micad, start: Inventory::take() }
    }

    /// Imports an archive.
    pub fn import(&self, archive: &Path) {
        ctr(&["images", "import", archive.to_str().expect("UTF-8")]).success();
    }

    /// Writes and imports an image of the test's own making.
    pub fn import_image(&self, image: Image) {
        self.import(&image.write(isolation::state_dir()));
    }

    /// Starts the demo in the foreground, with pipes.
    pub fn run_demo(&self, id: &str) -> Console {
        containerd::ctr_piped(&["run", "--runtime", MICA, DEMO, id])
    }

    /// Starts the demo detached.
    pub fn run_demo_detached(&self, id: &str) {
        ctr(&["run", "--detach", "--runtime", MICA, DEMO, id]).success();
    }

    /// The state of a task as `ctr tasks ls` shows it (`RUNNING`, `STOPPED` ...), if there is such a task.
    pub fn task_state(&self, id: &str) -> Option<String> {
        let tasks = ctr(&["tasks", "ls"]).success();
        let mut lines = tasks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines
            .find(|columns| columns.first() == Some(&id))
            .and_then(|columns| Some((*columns.get(2)?).to_owned()))
    }

    /// Waits for a state.
    pub fn await_task_state(&self, id: &str, state: &str) {
        wait::until(&format!("task {id} is {state}"), || {
            (self.task_state(id).as_deref() == Some(state)).then_some(())
        });
    }

    /// Signals a task.
    pub fn kill(&self, id: &str, signal: &str) {
        ctr(&["tasks", "kill", "--signal", signal, id]).success();
    }

    /// Deletes a stopped task; answers the exit status it had.
    #[track_caller]
    pub fn delete_task(&self, id: &str) -> i32 {
        let output = ctr(&["tasks", "delete", id]);
        // containerd 1.6 warns: `level=warning msg="task one exit with non-zero exit code 143"`.
        let said = output.stderr.split_once("exit with non-zero exit code ").map(|(_, rest)| rest);
        let status = said.and_then(|rest| rest.split('"').next()?.parse().ok());
        status.unwrap_or_else(|| {
            output.success();
            0
        })
    }

    /// Deletes a container whose task is gone.
    pub fn delete_container(&self, id: &str) {
        ctr(&["containers", "delete", id]).success();
    }

    /// Ends a task by force, and deletes it with its container.
    #[track_caller]
    pub fn remove(&self, id: &str) {
        self.kill(id, "SIGKILL");
        self.await_task_state(id, "STOPPED");
        self.delete_task(id);
        self.delete_container(id);
    }

    /// Runs an image that must be refused with all of these words; nothing may be left but the container's record.
    #[track_caller]
    pub fn assert_refused(&self, image: &str, options: &[&str], words: &[&str]) {
        let args = [&["run", "--detach", "--runtime", MICA], options, &[image, "bad"]].concat();
        let refusal = ctr(&args).failure();
        for word in words {
            assert!(refusal.contains(word), "{word:?} is missing in: {refusal}");
        }
        // ctr run cleans its container up or leaves it to the user, by version.
        ctr(&["containers", "delete", "bad"]);
        self.assert_clean();
    }

    /// What is there that was not before, and the other way round.
    pub fn leftovers(&self) -> Vec<String> {
        self.start.difference()
    }

    /// Waits until no process, mount, file, task, container or client is there that was not before.
    #[track_caller]
    pub fn assert_clean(&self) {
        self.start.assert_restored();
    }
}

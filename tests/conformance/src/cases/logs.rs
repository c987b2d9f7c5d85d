//! The shim's own log.

use crate::case::both;
use crate::container::Container;
use crate::fifo;
use crate::shim::Invocation;
use crate::task::Task;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] =
    &[both!(readme_shim_logs_to_the_fifo_in_the_bundle), both!(containerd_stopped_so_nobody_reads_the_log)];

/// README, "Shim Logging": the FIFO `log` in the bundle.
fn readme_shim_logs_to_the_fifo_in_the_bundle(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let shim = stage.launch_as(&bundle, &Invocation { flags: vec!["-debug"], ..Default::default() });
    let container = Container::new(stage, bundle, shim);
    container.create();
    container.shim.log.expect("level=");
}

/// containerd is stopped: nobody reads the log any more, and the containers must not mind.
fn containerd_stopped_so_nobody_reads_the_log(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let reader = fifo::open_nonblocking(&bundle.path.join("log"));
    let output = stage.start(&bundle, &Invocation { flags: vec!["-debug"], ..Default::default() });
    let task = Task::connect_to(std::str::from_utf8(&output.stdout).unwrap());
    task.create(&bundle.request()).unwrap();
    drop(reader);
    // Each of these may log; a pipe holds 64 KiB.
    for _ in 0..1000 {
        assert!(task.state("nobody").is_err());
        assert!(task.start("nobody").is_err());
    }
    task.kill("one", 9).unwrap();
    task.wait("one").unwrap();
    task.delete("one").unwrap();
}

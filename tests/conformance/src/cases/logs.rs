//! The shim's own log.

use crate::case::both;
use crate::container::Container;
use crate::shim::Invocation;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(readme_shim_logs_to_the_fifo_in_the_bundle),
    both!(readme_a_log_that_nobody_reads_blocks_nothing),
];

/// README, "Shim Logging": the FIFO `log` in the bundle.
fn readme_shim_logs_to_the_fifo_in_the_bundle(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let shim = stage.launch_as(&bundle, &Invocation { flags: vec!["-debug"], ..Default::default() });
    let container = Container::new(stage, bundle, shim);
    container.create();
    container.shim.log.expect("level=");
}

/// containerd is away: nobody reads the log, and the containers must not mind.
fn readme_a_log_that_nobody_reads_blocks_nothing(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let invocation = Invocation { flags: vec!["-debug"], ..Default::default() };
    let output = stage.start(&bundle, &invocation);
    let address = String::from_utf8(output.stdout).unwrap();
    let task = crate::task::Task::connect_to(&address);
    task.create(&bundle.request()).unwrap();
    // Each of these may log; a pipe holds 64 KiB.
    for _ in 0..2000 {
        let _ = task.state("nobody");
        let _ = task.resume("one");
    }
    task.kill("one", 9).unwrap();
    task.wait("one").unwrap();
    task.delete("one").unwrap();
}

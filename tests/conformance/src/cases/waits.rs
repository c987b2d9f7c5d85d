//! Wait.

use std::thread;
use std::time::Duration;

use crate::case::both;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(readme_wait_answers_every_waiter),
    both!(readme_wait_after_the_end_answers_at_once),
    both!(readme_wait_of_a_created_task_lasts_until_its_end),
    both!(ttrpc_deadline_of_a_wait_ends_that_wait_only),
    both!(ttrpc_client_that_hangs_up_while_it_waits),
];

/// containerd, the CRI plugin and each `ctr tasks wait` wait at the same time.
fn readme_wait_answers_every_waiter(stage: &mut Stage) {
    let container = stage.run("one");
    let waiters: Vec<_> = (0..20)
        .map(|_| {
            let task = container.shim.connect();
            thread::spawn(move || task.wait("one").unwrap())
        })
        .collect();
    container.say("exit 5");
    let first = container.task.wait("one").unwrap();
    assert_eq!(first.exit_status, 5);
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), first);
    }
}

/// A Wait that comes late, as after a restart of containerd.
fn readme_wait_after_the_end_answers_at_once(stage: &mut Stage) {
    let container = stage.run("one");
    container.say("exit 5");
    let first = container.task.wait("one").unwrap();
    for _ in 0..3 {
        assert_eq!(container.shim.connect().wait("one").unwrap(), first);
    }
}

/// `ctr run` waits before it starts.
fn readme_wait_of_a_created_task_lasts_until_its_end(stage: &mut Stage) {
    let container = stage.create("one");
    let waiter = {
        let task = container.shim.connect();
        thread::spawn(move || task.wait("one").unwrap().exit_status)
    };
    container.start();
    container.say("exit 9");
    assert_eq!(waiter.join().unwrap(), 9);
}

/// A caller that gives up disturbs nobody.
fn ttrpc_deadline_of_a_wait_ends_that_wait_only(stage: &mut Stage) {
    let container = stage.run("one");
    assert_eq!(container.ends_within(Duration::from_millis(300)), None);
    container.assert_answers("alive");
    container.say("exit 4");
    assert_eq!(container.wait(), 4);
}

/// containerd is restarted while it waits.
fn ttrpc_client_that_hangs_up_while_it_waits(stage: &mut Stage) {
    let container = stage.run("one");
    for _ in 0..5 {
        let short = container.shim.connect().within(Duration::from_millis(50));
        assert!(short.wait("one").is_err());
    }
    container.assert_answers("alive");
    container.say("exit 6");
    assert_eq!(container.wait(), 6);
}

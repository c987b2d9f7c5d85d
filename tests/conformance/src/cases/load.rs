//! Many things at once.

use std::thread;
use std::time::Duration;

use containerd_shim_protos::ttrpc::Code;
use micrun_host_tests::{Fault, wait};

use crate::case::both;
use crate::container::Container;
use crate::stage::GROUP;
use crate::subject::Program;
use crate::task::code_of;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(containerd_12344_fifty_creates_at_once),
    both!(runwasi_418_kill_during_create),
    both!(containerd_9828_delete_during_start),
    both!(containerd_12344_lives_side_by_side),
];

/// How long fifty may take on a loaded machine: runc starts two processes for each.
const PATIENCE: Duration = Duration::from_secs(100);

/// containerd#12344, pod churn: fifty Creates in one shim at once, each told once, all deleted.
fn containerd_12344_fifty_creates_at_once(stage: &mut Stage) {
    let pod = [(GROUP, "pod")];
    let first = stage.bundle_of("c-0", Program::Shell, &pod);
    let shim = stage.launch(&first);
    let bundles: Vec<_> = std::iter::once(first)
        .chain((1..50).map(|n| stage.bundle_of(&format!("c-{n}"), Program::Shell, &pod)))
        .collect();
    let creates: Vec<_> = bundles
        .iter()
        .map(|bundle| {
            let (task, request) = (shim.connect().within(PATIENCE), bundle.request());
            thread::spawn(move || task.create(&request).map(drop))
        })
        .collect();
    let mut creates = creates.into_iter();
    Fault::try_times("Create, 50 at once", 50, |_| creates.next().unwrap().join().unwrap().unwrap());
    let task = shim.connect();
    for bundle in &bundles {
        task.delete(&bundle.id).unwrap();
        assert_eq!(code_of(&task.state(&bundle.id)), Code::NOT_FOUND);
    }
}

/// A pod is torn down while its container is being made: the Kill finds it or does not, and Delete ends it.
fn runwasi_418_kill_during_create(stage: &mut Stage) {
    Fault::try_times("Kill during Create", 10, |n| {
        let bundle = stage.bundle(&format!("c-{n}"));
        let shim = stage.launch(&bundle);
        let container = Container::new(stage, bundle, shim);
        let create = {
            let (task, request) = (container.shim.connect(), container.request());
            thread::spawn(move || task.create(&request).is_ok())
        };
        wait::until("the Kill is accepted", || container.task.kill(container.id(), 9).ok());
        assert!(create.join().unwrap());
        assert_eq!(container.wait(), 137);
        container.delete();
        container.assert_unknown();
    });
}

/// Delete while Start is under way: one of them is refused, and the task can be ended.
fn containerd_9828_delete_during_start(stage: &mut Stage) {
    Fault::try_times("Delete during Start", 10, |n| {
        let container = stage.create(&format!("c-{n}"));
        let (other, id) = (container.shim.connect(), container.id().to_owned());
        let delete = thread::spawn(move || other.delete(&id).is_ok());
        // What Delete has to do in a shim before it is too late for Start takes some hundred microseconds.
        thread::sleep(Duration::from_micros(40 * u64::try_from(n).unwrap()));
        let started = container.task.start(container.id()).is_ok();
        let deleted = delete.join().unwrap();
        assert!(started != deleted, "Start: {started}, Delete: {deleted}");
        if started {
            container.end();
        }
        container.assert_unknown();
    });
}

/// Eight containers, each with a shim of its own, live and die side by side.
fn containerd_12344_lives_side_by_side(stage: &mut Stage) {
    let containers: Vec<_> =
        (0..8).map(|n| stage.create_of(&format!("c-{n}"), Program::Hello, &[])).collect();
    let lives: Vec<_> = containers
        .iter()
        .map(|container| {
            let (task, id) = (container.shim.connect(), container.id().to_owned());
            thread::spawn(move || {
                task.start(&id).unwrap();
                task.wait(&id).unwrap();
                task.delete(&id).unwrap().exit_status
            })
        })
        .collect();
    for life in lives {
        assert_eq!(life.join().unwrap(), 0);
    }
    for container in &containers {
        stage.events.expect_life(container.id());
    }
}

//! Events: README, "Events", the table of what MUST be sent and in which order.

use containerd_shim_protos::events::task::{TaskCreate, TaskDelete, TaskExit, TaskStart};
use micrun_host_tests::wait;

use crate::case::both;
use crate::events::{LIFE, topic};
use crate::subject::Program;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(readme_must_task_create_before_task_start),
    both!(readme_must_task_exit_before_task_delete),
    both!(readme_must_events_carry_what_the_rpcs_answer),
    both!(readme_events_come_in_envelopes),
    both!(containerd_3177_exit_event_is_not_lost),
    both!(containerd_9719_start_event_precedes_a_quick_exit),
    both!(containerd_4784_deleted_created_task_exits_at_most_once),
    both!(containerd_events_wait_for_an_absent_server),
    both!(containerd_events_that_are_stuck_block_no_rpc),
];

/// "`TaskCreate` MUST precede `TaskStart`": by the time that Start has answered, both are on their way.
fn readme_must_task_create_before_task_start(stage: &mut Stage) {
    let container = stage.create("one");
    stage.events.expect("one", topic::CREATE);
    assert_eq!(stage.events.topics_of("one"), [topic::CREATE], "no event comes before its rpc");
    container.start();
    stage.events.expect("one", topic::START);
    assert_eq!(stage.events.topics_of("one"), [topic::CREATE, topic::START]);
}

/// "`TaskExit` MUST follow `TaskStart`, `TaskDelete` MUST follow `TaskExit`."
fn readme_must_task_exit_before_task_delete(stage: &mut Stage) {
    let container = stage.run("one");
    container.say("exit 2");
    container.wait();
    stage.events.expect("one", topic::EXIT);
    assert_eq!(stage.events.topics_of("one"), LIFE[..3]);
    container.delete();
    stage.events.expect_life("one");
}

/// Process id, status and time are the same in the events and in the answers.
fn readme_must_events_carry_what_the_rpcs_answer(stage: &mut Stage) {
    let container = stage.create("one");
    let pid = container.start();
    container.say("exit 7");
    let end = container.task.wait("one").unwrap();
    container.delete();
    stage.events.expect_life("one");

    let create: TaskCreate = stage.events.expect("one", topic::CREATE).decode();
    assert_eq!(create.bundle, container.bundle.path.display().to_string());
    assert_eq!(create.io.stdout, container.stream("stdout"));
    let start: TaskStart = stage.events.expect("one", topic::START).decode();
    let exit: TaskExit = stage.events.expect("one", topic::EXIT).decode();
    let delete: TaskDelete = stage.events.expect("one", topic::DELETE).decode();
    assert_eq!([create.pid, start.pid, exit.pid, delete.pid], [pid; 4]);
    assert_eq!((exit.id.as_str(), exit.exit_status), ("one", 7));
    assert_eq!(delete.exit_status, 7);
    assert_eq!(exit.exited_at, end.exited_at);
    assert_eq!(delete.exited_at, end.exited_at);
}

/// `Envelope`: time, namespace, topic, and a type URL that containerd's `typeurl` resolves, with no host before it.
fn readme_events_come_in_envelopes(stage: &mut Stage) {
    stage.run("one").end();
    stage.events.expect_life("one");
    let types = ["TaskCreate", "TaskStart", "TaskExit", "TaskDelete"];
    let mut last = 0;
    for (event, name) in stage.events.of("one").iter().zip(types) {
        let envelope = &event.envelope;
        assert_eq!(envelope.namespace, stage.namespace);
        assert_eq!(envelope.event.type_url, format!("containerd.events.{name}"));
        assert!(envelope.timestamp.seconds >= last && last >= 0, "{envelope}");
        last = envelope.timestamp.seconds;
    }
    assert!(last > 0);
}

/// containerd#3177: pods that never end because an exit event was lost. Many short lives, each told whole.
fn containerd_3177_exit_event_is_not_lost(stage: &mut Stage) {
    for life in 0..10 {
        let id = format!("life-{life}");
        let container = stage.create_of(&id, Program::Hello, &[]);
        container.start();
        container.wait();
        container.delete();
        stage.events.expect_life(&id);
    }
}

/// containerd#9719: the exit of a program that ends at once is told after its start.
fn containerd_9719_start_event_precedes_a_quick_exit(stage: &mut Stage) {
    let container = stage.create_of("one", Program::Hello, &[]);
    container.start();
    stage.events.expect("one", topic::EXIT);
    assert_eq!(stage.events.topics_of("one"), LIFE[..3]);
}

/// containerd#4784: an exit event for what never ran, once at most.
fn containerd_4784_deleted_created_task_exits_at_most_once(stage: &mut Stage) {
    let container = stage.create("one");
    container.delete();
    stage.events.expect("one", topic::DELETE);
    let topics = stage.events.topics_of("one");
    assert!(!topics.contains(&topic::START.to_owned()), "{topics:?}");
    assert!(topics.iter().filter(|name| *name == topic::EXIT).count() <= 1, "{topics:?}");
}

/// containerd is restarted under running containers: what happens meanwhile arrives later, in order, once.
fn containerd_events_wait_for_an_absent_server(stage: &mut Stage) {
    stage.create("one").start();
    stage.events.expect("one", topic::START);
    stage.events.vanish();
    let task = crate::task::Task::connect_to(&address(stage, "one"));
    task.kill("one", 9).unwrap();
    task.wait("one").unwrap();
    stage.events.come_back();
    stage.events.expect("one", topic::EXIT);
    task.delete("one").unwrap();
    stage.events.expect_life("one");
}

fn address(stage: &Stage, id: &str) -> String {
    let bundles = "/run/containerd/io.containerd.runtime.v2.task";
    std::fs::read_to_string(format!("{bundles}/{}/{id}/address", stage.namespace)).unwrap()
}

/// A containerd that takes an event and does not answer must not stop the containers.
fn containerd_events_that_are_stuck_block_no_rpc(stage: &mut Stage) {
    let container = stage.create("one");
    stage.events.expect("one", topic::CREATE);
    stage.events.set_stuck(true);
    container.start();
    container.assert_answers("alive");
    container.kill(nix::libc::SIGKILL);
    assert_eq!(container.wait(), 137);
    stage.events.set_stuck(false);
    container.delete();
    // What was stuck may have been sent again, for its answer never came; the order of the first ones is kept.
    stage.events.expect("one", topic::DELETE);
    let mut topics = stage.events.topics_of("one");
    topics.dedup();
    assert_eq!(topics, LIFE);
    wait::until("the shim answers", || container.task.connect("one").ok());
}

//! containerd's events of a firmware: the right ones, in order, once.

use micrun_host_tests::Host;
use micrun_host_tests::containerd::ctr;
use micrun_host_tests::events::Events;
use micrun_host_tests::firmware::{self, PROMPT};
use micrun_host_tests::host::MICA;
use micrun_host_tests::system::Process;
use micrun_host_tests::wait;

/// containerd#4769, #4784: exits were published twice.
#[test]
fn containerd_4769_single_task_exit() {
    let host = Host::start();
    let mut events = Events::listen();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    console.send("exit 7\r");
    assert_eq!(console.wait(), 7);
    let seen = events.of_container("rtos", "/tasks/delete");
    let topics: Vec<_> = seen.iter().map(|event| event.topic.as_str()).collect();
    assert_eq!(topics, ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
    assert_eq!(seen[2].fields["exit_status"], 7);
    assert_eq!(seen[2].fields["id"], "rtos");
    assert!(seen[1].fields["pid"].as_u64().is_some_and(|pid| pid > 0), "{seen:?}");
    // Deleting everything, and containerd's clean-up after the shim, publish no second exit.
    host.delete_container("rtos");
    wait::until("the shim is gone", || Process::running("containerd-shim-mica-v2").is_empty().then_some(()));
    events.settle();
    assert_eq!(events.of_container("rtos", "/tasks/delete").len(), 4);
    drop(events);
    host.assert_clean();
}

/// containerd#3177: a firmware that ends by itself must be seen to end by those who only listen.
#[test]
fn containerd_3177_the_exit_of_a_detached_firmware_is_published() {
    let host = Host::start();
    let mut events = Events::listen();
    host.run_demo_detached("rtos");
    host.kill("rtos", "SIGKILL");
    let seen = events.of_container("rtos", "/tasks/exit");
    assert_eq!(seen.last().expect("there are events").fields["exit_status"], 137);
    host.await_task_state("rtos", "STOPPED");
    assert_eq!(host.delete_task("rtos"), 137);
}

/// containerd#9719, #9828: an exit right after the start was published before it, or lost.
#[test]
fn containerd_9719_exit_right_after_the_start() {
    let host = Host::start();
    host.import(&firmware::pack(&firmware::hello(), "localhost/micrun/hello:1", &[]));
    let mut events = Events::listen();
    let output = ctr(&["run", "--runtime", MICA, "localhost/micrun/hello:1", "brief"]);
    assert_eq!(output.success(), "hello from bare metal\r\n");
    let topics: Vec<_> =
        events.of_container("brief", "/tasks/delete").into_iter().map(|event| event.topic).collect();
    assert_eq!(topics, ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
}

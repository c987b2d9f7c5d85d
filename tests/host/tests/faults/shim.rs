//! The shim dies.

use micrun_host_tests::containerd::ctr;
use micrun_host_tests::leftovers::Inventory;
use micrun_host_tests::system::Process;
use micrun_host_tests::{Fault, wait};

use crate::engine::{Engine, SHIM, end, host, remove_fifos};

fn shim_of(id: &str) -> Process {
    let option = format!("-id {id} ");
    let mut shims = Process::running(SHIM).into_iter();
    shims.find(|shim| shim.command.contains(&option)).expect("the container has a shim")
}

fn killed(what: &'static str, engine: Engine) {
    let host = host();
    engine.run("other", &[]);
    let before = Inventory::take();
    let processes = engine.processes().len();
    Fault::try_times(what, 10, |_| {
        engine.run("victim", &[]);
        shim_of("victim").kill();
        engine.await_processes(processes);
        wait::until("its end is known", || {
            (host.task_state("victim").as_deref() != Some("RUNNING")).then_some(())
        });
        // containerd may have deleted the task with the shim.
        ctr(&["tasks", "delete", "victim"]);
        host.delete_container("victim");
        remove_fifos("victim");
        before.assert_restored();
        engine.assert_answers("other");
    });
    end(&host, "other");
    host.assert_clean();
}

#[test]
fn the_shim_of_a_firmware_is_killed() {
    killed("shim killed under a firmware, another beside it", Engine::Rtos);
}

#[test]
fn the_shim_of_a_linux_container_is_killed() {
    killed("shim killed under a Linux container, another beside it", Engine::Linux);
}

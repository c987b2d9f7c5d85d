//! The daemons die, or are restarted, under running containers.

use micrun_host_tests::Fault;
use micrun_host_tests::firmware::PROMPT;
use nix::sys::signal::Signal;

use crate::engine::{Engine, end, host, remove};

/// As a service manager ends it, and as the kernel does, in turns.
fn signal(round: usize) -> Signal {
    if round.is_multiple_of(2) { Signal::SIGTERM } else { Signal::SIGKILL }
}

#[test]
fn containerd_is_restarted_under_running_containers() {
    let mut host = host();
    for (engine, id) in Engine::BOTH.into_iter().zip(["rtos", "linux"]) {
        engine.run(id, &[]);
    }
    Fault::try_times("containerd ended and started again under running containers", 20, |round| {
        host.containerd.restart_by(signal(round), || ());
        for (engine, id) in Engine::BOTH.into_iter().zip(["rtos", "linux"]) {
            assert_eq!(host.task_state(id).as_deref(), Some("RUNNING"));
            engine.assert_answers(id);
        }
    });
    end(&host, "rtos");
    end(&host, "linux");
    host.assert_clean();
}

#[test]
fn containers_end_while_containerd_is_away() {
    const TIMES: usize = 10;
    let mut host = host();
    Fault::try_times("containers end while containerd is away", TIMES, |round| {
        Engine::Rtos.run("rtos", &[]);
        Engine::Linux.run("linux", &[]);
        host.containerd.restart_by(signal(round), || {
            for engine in Engine::BOTH {
                engine.processes().iter().for_each(micrun_host_tests::system::Process::kill);
                engine.await_processes(0);
            }
        });
        remove(&host, "rtos", 137);
        remove(&host, "linux", 137);
    });
    host.assert_clean();
    // Late, but once.
    let log = host.containerd.log();
    let told = |line: &&str| line.contains("event forwarded") && line.contains("topic=/tasks/exit");
    assert_eq!(log.lines().filter(told).count(), 2 * TIMES);
}

#[test]
fn micad_is_killed_under_a_running_firmware() {
    let mut host = host();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    Fault::try_times("micad killed and started again under a running firmware", 10, |round| {
        let micad = host.micad.as_mut().unwrap();
        // What is typed while it is away arrives, too.
        micad.restart_by(Signal::SIGKILL, || console.send(&format!("echo meanwhile {round}\r")));
        console.expect(&format!("\nmeanwhile {round}\r\n"));
        console.send(&format!("echo after {round}\r"));
        console.expect(&format!("\nafter {round}\r\n"));
    });
    console.send("exit 7\r");
    assert_eq!(console.wait(), 7);
    host.delete_container("rtos");
    host.assert_clean();
}

#[test]
fn a_firmware_ends_while_micad_is_away() {
    let mut host = host();
    Fault::try_times("firmware ends while micad is away", 10, |_| {
        let mut console = host.run_demo("rtos");
        console.expect(PROMPT);
        host.micad.as_mut().unwrap().restart_by(Signal::SIGKILL, || console.send("exit 7\r"));
        assert_eq!(console.wait(), 7);
        host.delete_container("rtos");
        host.assert_clean();
    });
}

/// A QEMU that has no time to answer the new micad is asked again.
#[test]
fn the_emulator_does_not_answer_while_micad_starts() {
    let mut host = host();
    Fault::try_times("QEMU does not answer while micad starts", 3, |_| {
        let mut console = host.run_demo("rtos");
        console.expect(PROMPT);
        let emulator = Engine::Rtos.processes().remove(0);
        emulator.signal(Signal::SIGSTOP);
        host.micad.as_mut().unwrap().restart_by(Signal::SIGKILL, || ());
        emulator.signal(Signal::SIGCONT);
        console.send("exit 7\r");
        assert_eq!(console.wait(), 7);
        host.delete_container("rtos");
        host.assert_clean();
    });
}

#[test]
fn the_emulator_is_killed() {
    let host = host();
    Fault::try_times("QEMU killed", 10, |_| {
        let mut console = host.run_demo("rtos");
        console.expect(PROMPT);
        Engine::Rtos.processes()[0].kill();
        assert_eq!(console.wait(), 137);
        host.delete_container("rtos");
        host.assert_clean();
    });
}

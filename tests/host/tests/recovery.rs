//! Parts that die or restart under a running firmware.

use std::fs;

use micrun_host_tests::Host;
use micrun_host_tests::containerd::ctr_piped;
use micrun_host_tests::firmware::PROMPT;
use micrun_host_tests::system::Process;
use micrun_host_tests::wait;

const SHIM: &str = "containerd-shim-mica-v2";
const EMULATOR: &str = "qemu-system-aarch64";

/// On restart containerd asks for Connect and Pids, and kills what answers with an error or no process.
#[test]
fn a_restarted_containerd_finds_the_firmware_running() {
    let mut host = Host::start();
    host.run_demo_detached("rtos");
    let shim = Process::running(SHIM);
    assert_eq!(shim.len(), 1);
    host.containerd.restart();
    assert_eq!(host.task_state("rtos").as_deref(), Some("RUNNING"));
    assert_eq!(Process::running(SHIM), shim);
    let mut console = ctr_piped(&["tasks", "attach", "rtos"]);
    console.send("echo after the restart\r");
    console.expect("\nafter the restart\r\n");
    console.send("exit 7\r");
    assert_eq!(console.wait(), 7);
    host.delete_container("rtos");
    host.assert_clean();
}

/// containerd#10437: a stopped task is found, too, with its status.
#[test]
fn containerd_10437_a_restarted_containerd_finds_the_stopped_task() {
    let mut host = Host::start();
    host.run_demo_detached("rtos");
    host.kill("rtos", "SIGTERM");
    host.await_task_state("rtos", "STOPPED");
    host.containerd.restart();
    assert_eq!(host.task_state("rtos").as_deref(), Some("STOPPED"));
    assert_eq!(host.delete_task("rtos"), 143);
    host.delete_container("rtos");
    host.assert_clean();
}

#[test]
fn an_exit_while_containerd_is_away_is_not_lost() {
    let mut host = Host::start();
    host.run_demo_detached("rtos");
    host.containerd.restart_after(|| {
        Process::running(EMULATOR)[0].kill();
        wait::until("the firmware is gone", || Process::running(EMULATOR).is_empty().then_some(()));
    });
    host.await_task_state("rtos", "STOPPED");
    assert_eq!(host.delete_task("rtos"), 137);
    host.delete_container("rtos");
    host.assert_clean();
}

#[test]
fn a_restarted_micad_takes_the_firmware_over() {
    let mut host = Host::start();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    host.micad.as_mut().expect("micad runs").restart();
    console.send("exit 7\r");
    assert_eq!(console.wait(), 7);
    host.delete_container("rtos");
    host.assert_clean();
}

/// With its shim gone, a firmware is of no use: containerd calls `delete`, which must end it and clean up.
#[test]
fn a_killed_shim_takes_its_firmware_along() {
    let host = Host::start();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    assert_eq!(Process::running(EMULATOR).len(), 1);
    Process::running(SHIM)[0].kill();
    wait::until("the firmware is gone", || Process::running(EMULATOR).is_empty().then_some(()));
    assert_ne!(console.wait(), 0);
    host.delete_container("rtos");
    // ctr leaves its own FIFOs behind when a shim dies, whichever shim.
    fs::remove_dir_all("/run/containerd/fifo").expect("ctr made FIFOs");
    host.assert_clean();
}

/// The emulator dying is the firmware dying: noticed, and told as what it was.
#[test]
fn a_killed_emulator_ends_the_container() {
    let host = Host::start();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    let emulators = Process::running(EMULATOR);
    assert_eq!(emulators.len(), 1);
    emulators[0].kill();
    assert_eq!(console.wait(), 137);
    host.delete_container("rtos");
    host.assert_clean();
}

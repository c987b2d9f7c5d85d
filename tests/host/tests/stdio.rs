//! The firmware's console is the container's stdio, byte for byte.

use micrun_host_tests::Host;
use micrun_host_tests::containerd::{ctr_piped, ctr_terminal};
use micrun_host_tests::firmware::{BANNER, PROMPT};
use micrun_host_tests::host::{DEMO, MICA};

#[test]
fn the_banner_comes_from_its_first_byte() {
    let host = Host::start();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    assert!(console.output().starts_with(BANNER), "{:?}", console.output());
}

#[test]
fn a_dialogue_with_the_shell() {
    let host = Host::start();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    console.send("echo hello firmware\r");
    console.expect("\nhello firmware\r\n");
    console.expect(PROMPT);
    console.send("help\r");
    let help = console.expect(PROMPT);
    for command in ["help", "uname", "uptime", "echo", "ps", "exit", "crash", "spin", "flood"] {
        assert!(help.contains(command), "{command} is missing in {help:?}");
    }
    console.send("no-such-command\r");
    console.expect("no-such-command");
    console.expect(PROMPT);
    console.send("exit\r");
    assert_eq!(console.wait(), 0);
}

#[test]
fn attach_to_a_detached_container() {
    let host = Host::start();
    host.run_demo_detached("rtos");
    let mut console = ctr_piped(&["tasks", "attach", "rtos"]);
    console.send("echo attached\r");
    console.expect("\nattached\r\n");
    console.send("exit 9\r");
    assert_eq!(console.wait(), 9);
}

#[test]
fn attach_a_second_time_after_the_first_has_gone() {
    let host = Host::start();
    host.run_demo_detached("rtos");
    for round in ["one", "two"] {
        let mut console = ctr_piped(&["tasks", "attach", "rtos"]);
        console.send(&format!("echo round {round}\r"));
        console.expect(&format!("\nround {round}\r\n"));
    }
    assert_eq!(host.task_state("rtos").as_deref(), Some("RUNNING"));
}

#[test]
fn a_terminal() {
    let host = Host::start();
    let mut console = ctr_terminal(&["run", "--rm", "--tty", "--runtime", MICA, DEMO, "rtos"]);
    console.expect(PROMPT);
    assert!(console.output().starts_with(BANNER), "{:?}", console.output());
    console.send("echo on a terminal\r");
    // Echoed once, by the firmware: neither the shim nor a terminal on the way adds a copy.
    let echoed = console.expect("\non a terminal\r\n");
    assert_eq!(echoed.matches("on a terminal").count(), 2, "{echoed:?}");
    console.send("exit 5\r");
    assert_eq!(console.wait(), 5);
    host.assert_clean();
}

/// Upstream's shim stops the container on this byte; to a firmware it is input like any other.
#[test]
fn control_c_on_a_terminal_reaches_the_firmware() {
    let host = Host::start();
    let mut console = ctr_terminal(&["run", "--rm", "--tty", "--runtime", MICA, DEMO, "rtos"]);
    console.expect(PROMPT);
    console.send("\u{3}");
    console.send("\recho alive\r");
    console.expect("\nalive\r\n");
    assert_eq!(host.task_state("rtos").as_deref(), Some("RUNNING"));
}

#[test]
fn the_end_of_input_does_not_end_the_firmware() {
    let host = Host::start();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    console.send("echo last words\r");
    console.close_input();
    console.expect("\nlast words\r\n");
    assert_eq!(host.task_state("rtos").as_deref(), Some("RUNNING"));
    host.kill("rtos", "SIGTERM");
    assert_eq!(console.wait(), 143);
}

/// Input that is there before the firmware runs is not lost, and its last command counts.
#[test]
fn commands_piped_in_before_the_start() {
    let host = Host::start();
    let mut console = host.run_demo("rtos");
    console.send("echo first\recho second\rexit 6\r");
    console.close_input();
    assert_eq!(console.wait(), 6);
    assert!(console.output().starts_with(BANNER), "{:?}", console.output());
    let (first, second) = (console.output().find("\nfirst\r\n"), console.output().find("\nsecond\r\n"));
    assert!(first.is_some() && first < second, "{:?}", console.output());
}

/// nerdctl#5137: with another shim, output stopped after 72 KiB.
#[test]
fn nerdctl_5137_a_flood_is_complete_and_in_order() {
    const LINES: usize = 4000;
    let host = Host::start();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    console.send(&format!("flood {LINES}\r"));
    console.expect("\n");
    let flood = console.expect(PROMPT);
    let lines: Vec<&str> = flood.lines().filter(|line| line.starts_with("flood ")).collect();
    assert_eq!(lines.len(), LINES);
    for (at, line) in lines.iter().enumerate() {
        let number = line.split_whitespace().nth(1).and_then(|number| number.parse().ok());
        assert!(number == Some(at) || number == Some(at + 1), "line {at} is {line:?}");
    }
}

/// The last bytes before the end must not be lost to the end.
#[test]
fn output_right_before_the_exit_arrives() {
    let host = Host::start();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    console.send("flood 500\rexit 3\r");
    assert_eq!(console.wait(), 3);
    let lines = console.output().lines().filter(|line| line.starts_with("flood ")).count();
    assert_eq!(lines, 500, "{:?}", console.output());
}

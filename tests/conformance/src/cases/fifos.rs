//! Standard streams through FIFOs.

use std::fs::File;
use std::io::Read;

use containerd_shim_protos::api::Status;
use micrun_host_tests::wait;

use crate::case::{both, linux};
use crate::container::Container;
use crate::fifo;
use crate::subject::Program;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(readme_stdout_is_whole_and_ends_with_the_task),
    both!(readme_streams_end_when_the_task_has_ended),
    both!(nerdctl_5137_stdout_over_72k),
    both!(readme_no_streams_at_all),
    both!(readme_close_io_is_no_error_and_may_be_repeated),
    linux!(readme_close_io_ends_stdin, "an RTOS console has no end of file"),
    both!(runc_fifo_outlives_its_reader),
    both!(kata_a_reader_that_does_not_read_blocks_no_rpc),
    both!(containerd_missing_fifo_is_an_error_or_made),
    both!(containerd_a_terminal_has_no_stderr),
];

/// The first byte to the last.
fn readme_stdout_is_whole_and_ends_with_the_task(stage: &mut Stage) {
    let container = stage.create_of("one", Program::Hello, &[]);
    container.start();
    container.wait();
    let text = container.stdout().to_end();
    assert!(text.to_lowercase().starts_with("hello") && text.ends_with('\n'), "{text:?}");
}

/// Who reads to the end of stdout and stderr, as `ctr run` does, is not left waiting.
fn readme_streams_end_when_the_task_has_ended(stage: &mut Stage) {
    let container = stage.run("one");
    container.assert_answers("ready");
    assert!(!container.stdout().ended() && !container.stderr().ended());
    container.say("exit 0");
    container.wait();
    container.stdout().to_end();
    container.stderr().to_end();
}

/// nerdctl#5137: output stopped after 72 KiB.
fn nerdctl_5137_stdout_over_72k(stage: &mut Stage) {
    const LINES: usize = 4000;
    let container = stage.run("one");
    container.say(&format!("flood {LINES}"));
    container.say("exit 0");
    container.wait();
    let text = container.stdout().to_end();
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("flood 0")).collect();
    assert_eq!(lines.len(), LINES);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(*line, format!("flood {:010} the quick brown fox jumps over the lazy dog", index + 1));
    }
}

/// `ctr run --null-io`, and every log driver that reads elsewhere.
fn readme_no_streams_at_all(stage: &mut Stage) {
    let bundle = stage.bundle_of("one", Program::Hello, &[]);
    let shim = stage.launch(&bundle);
    let task = shim.connect();
    task.create(&bundle.request()).unwrap();
    task.start("one").unwrap();
    assert_eq!(task.wait("one").unwrap().exit_status, 0);
    task.delete("one").unwrap();
}

/// containerd sends `CloseIO` when the client's stdin has ended, and the client may do so again.
fn readme_close_io_is_no_error_and_may_be_repeated(stage: &mut Stage) {
    let container = stage.run("one");
    container.assert_answers("ready");
    container.say("exit 8");
    container.close_stdin();
    container.task.close_stdin("one").unwrap();
    // The task may be gone by now.
    let again = container.task.close_stdin("one");
    assert!(again.is_ok() || container.status() == Status::STOPPED, "{again:?}");
    assert_eq!(container.wait(), 8, "what was typed before the end is read");
}

/// `CloseIO` and no writer left: the program reads the end of its input.
fn readme_close_io_ends_stdin(stage: &mut Stage) {
    let container = stage.run("one");
    container.assert_answers("ready");
    container.close_stdin();
    container.task.close_stdin("one").unwrap();
    assert_eq!(container.wait(), 0);
}

/// runc's shim holds both ends of each FIFO (`process/io.go`): a containerd that is restarted, and reads on
/// later, loses nothing that comes then, and the program gets no SIGPIPE.
fn runc_fifo_outlives_its_reader(stage: &mut Stage) {
    let (container, first) = run_on_own_fifo(stage);
    container.say("echo first");
    read_until(&first, "first");
    drop(first);
    container.say("echo meanwhile");
    let second = fifo::open_nonblocking(OWN.as_ref());
    container.say("echo second");
    read_until(&second, "second");
    assert_eq!(container.status(), Status::RUNNING);
}

const OWN: &str = "/run/containerd/fifo/own";

/// A container that prints into [`OWN`], and a reader of that which does not block: the shim opens its end during
/// Create.
fn run_on_own_fifo(stage: &Stage) -> (Container<'_>, File) {
    let bundle = stage.bundle("one");
    let shim = stage.launch(&bundle);
    let container = Container::new(stage, bundle, shim);
    fifo::make(OWN.as_ref());
    let mut request = container.request();
    OWN.clone_into(&mut request.stdout);
    let reader = fifo::open_nonblocking(OWN.as_ref());
    container.task.create(&request).unwrap();
    container.start();
    (container, reader)
}

fn read_until(mut file: &File, line: &str) {
    let mut seen = String::new();
    wait::until(&format!("{line:?} comes"), || {
        let mut buffer = [0; 4096];
        // Nothing there is an error of a file that does not block.
        let count = file.read(&mut buffer).unwrap_or(0);
        seen += &String::from_utf8_lossy(&buffer[..count]).replace('\r', "");
        seen.lines().any(|found| found == line).then_some(())
    });
}

/// Back pressure stops the writer, not the shim.
fn kata_a_reader_that_does_not_read_blocks_no_rpc(stage: &mut Stage) {
    let (container, mut reader) = run_on_own_fifo(stage);
    container.say("flood 5000");
    wait::until("output comes", || (reader.read(&mut [0; 1]).unwrap_or(0) > 0).then_some(()));
    for _ in 0..20 {
        assert_eq!(container.status(), Status::RUNNING);
        assert!(!container.task.pids("one").unwrap().processes.is_empty());
    }
    container.kill(nix::libc::SIGKILL);
    drop(reader);
    assert_eq!(container.wait(), 137);
    container.delete();
}

/// A path where no FIFO is: refused with the path in the text, or made; never a task that hangs.
fn containerd_missing_fifo_is_an_error_or_made(stage: &mut Stage) {
    let bundle = stage.bundle_of("one", Program::Hello, &[]);
    let shim = stage.launch(&bundle);
    let mut request = bundle.request();
    request.stdout = "/run/containerd/fifo/absent/stdout".into();
    match shim.connect().create(&request) {
        Ok(_) => assert!(shim.connect().start("one").is_ok()),
        Err(error) => assert!(error.to_string().contains("absent/stdout"), "{error}"),
    }
}

/// containerd's client suite names three streams, whatever the task is on.
fn containerd_a_terminal_has_no_stderr(stage: &mut Stage) {
    let bundle = stage.bundle("one").on_a_terminal();
    let shim = stage.launch(&bundle);
    let container = Container::new(stage, bundle, shim);
    let mut request = container.request();
    request.terminal = true;
    request.stderr = "/run/no/such/stderr".into();
    container.task.create(&request).unwrap();
    container.start();
    container.assert_answers("there");
}

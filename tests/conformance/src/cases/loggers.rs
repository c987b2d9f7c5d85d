//! Log drivers: `binary://`, `binary-v2://` and `file://` (containerd's `core/runtime/v2/README.md`, "Logging").

use std::fs;
use std::path::Path;

use containerd_shim_protos::ttrpc;
use micrun_host_tests::{isolation, wait};

use crate::bundle::Bundle;
use crate::case::{both, mica};
use crate::shim::Shim;
use crate::subject::Program;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(kata_4391_binary_logger_gets_the_output),
    both!(readme_binary_logger_gets_id_namespace_and_arguments),
    both!(nerdctl_run_dt_binary_logger_gets_the_terminal_s_output),
    both!(runwasi_630_binary_logger_sees_the_end_of_the_output),
    both!(kata_13334_missing_binary_logger_is_an_error),
    both!(readme_binary_logger_that_dies_early_is_an_error),
    mica!(containerd_2_2_binary_v2_logger_reports_by_a_byte, "the oracle is of containerd 1.6"),
    both!(readme_file_logger_appends),
];

/// What the logger of this suite writes.
const RECORD: &str = "/run/tmp/record";

fn logger(scheme: &str, mode: &str) -> String {
    let path = isolation::workspace().join("tests/conformance/logger");
    format!("{scheme}://{}?mode={mode}&record={RECORD}", path.display())
}

fn create_logging_to(stage: &Stage, uri: &str) -> (Bundle, Shim, ttrpc::Result<()>) {
    let bundle = stage.bundle_of("one", Program::Hello, &[]);
    let shim = stage.launch(&bundle);
    let mut request = bundle.request();
    uri.clone_into(&mut request.stdout);
    uri.clone_into(&mut request.stderr);
    let created = shim.connect().create(&request).map(drop);
    (bundle, shim, created)
}

fn run_logging_to(stage: &Stage, uri: &str) {
    let (_, shim, created) = create_logging_to(stage, uri);
    created.unwrap();
    let task = shim.connect();
    task.start("one").unwrap();
    assert_eq!(task.wait("one").unwrap().exit_status, 0);
    task.delete("one").unwrap();
}

fn recorded(name: &str, text: &str) -> String {
    let path = format!("{RECORD}.{name}");
    wait::until(&format!("{path} has {text:?}"), || {
        fs::read_to_string(&path).ok().filter(|found| found.to_lowercase().contains(text))
    })
}

/// kata#4391: `nerdctl run -d` needs it. The output comes on descriptor 3.
fn kata_4391_binary_logger_gets_the_output(stage: &mut Stage) {
    run_logging_to(stage, &logger("binary", "close"));
    let text = recorded("stdout", "hello");
    assert!(text.ends_with('\n'), "{text:?}");
}

/// `nerdctl run -dt`: containerd's `cio.TerminalBinaryIO`, a terminal whose output a logger gets.
fn nerdctl_run_dt_binary_logger_gets_the_terminal_s_output(stage: &mut Stage) {
    let bundle = stage.bundle_of("one", Program::Hello, &[]).on_a_terminal();
    let shim = stage.launch(&bundle);
    let mut request = bundle.request();
    request.terminal = true;
    request.stdout = logger("binary", "close");
    let task = shim.connect();
    task.create(&request).unwrap();
    task.start("one").unwrap();
    assert_eq!(task.wait("one").unwrap().exit_status, 0);
    task.delete("one").unwrap();
    recorded("stdout", "hello");
}

/// `CONTAINER_ID` and `CONTAINER_NAMESPACE` in the environment, the query as arguments.
fn readme_binary_logger_gets_id_namespace_and_arguments(stage: &mut Stage) {
    run_logging_to(stage, &logger("binary", "close"));
    let found = recorded("start", "container_id=one");
    assert!(found.contains(&format!("CONTAINER_NAMESPACE={}\n", stage.namespace)), "{found}");
    assert!(found.contains(&format!("record {RECORD}\n")) && found.contains("mode close\n"), "{found}");
}

/// runwasi#630: the logger ends by itself once the last byte is there.
fn runwasi_630_binary_logger_sees_the_end_of_the_output(stage: &mut Stage) {
    run_logging_to(stage, &logger("binary", "close"));
    recorded("end", "stdout and stderr ended");
}

/// kata#13334: the task must not stay "created" without a word.
fn kata_13334_missing_binary_logger_is_an_error(stage: &mut Stage) {
    let (_, shim, created) = create_logging_to(stage, "binary:///run/absent/logger");
    let error = created.expect_err("there is no such logger").to_string();
    assert!(error.contains("/run/absent/logger"), "{error}");
    assert!(shim.connect().state("one").is_err());
}

/// A logger that ends without having said that it is ready.
fn readme_binary_logger_that_dies_early_is_an_error(stage: &mut Stage) {
    let (_, shim, created) = create_logging_to(stage, &logger("binary", "die"));
    // Its end closes descriptor 5 as well, so version 1 cannot tell; what matters is that nothing hangs.
    if created.is_ok() {
        let task = shim.connect();
        task.start("one").unwrap();
        // A program may die of writing to nobody.
        task.wait("one").unwrap();
        task.delete("one").unwrap();
    }
}

/// containerd 2.2: ready is one byte on descriptor 5, so a logger that dies can be told from one that is ready.
fn containerd_2_2_binary_v2_logger_reports_by_a_byte(stage: &mut Stage) {
    let (bundle, _, refused) = create_logging_to(stage, &logger("binary-v2", "die"));
    assert!(refused.is_err(), "a logger that dies is no logger");
    fs::remove_dir_all(bundle.path).unwrap();
    run_logging_to(stage, &logger("binary-v2", "byte"));
    recorded("stdout", "hello");
}

/// `file://`: made if need be, appended to.
fn readme_file_logger_appends(stage: &mut Stage) {
    let path = "/run/tmp/container.log";
    fs::write(path, "before\n").unwrap();
    run_logging_to(stage, &format!("file://{path}"));
    let text = fs::read_to_string(path).unwrap();
    assert!(text.starts_with("before\n") && text.to_lowercase().contains("hello"), "{text:?}");
    assert!(Path::new(path).is_file());
}

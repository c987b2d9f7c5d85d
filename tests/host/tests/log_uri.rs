//! `ctr run --log-uri`: output to programs and files.

use std::fs;
use std::path::Path;

use micrun_host_tests::Host;
use micrun_host_tests::containerd::ctr;
use micrun_host_tests::firmware::{self, BANNER, PROMPT};
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::{isolation, process, wait};

const HELLO: &str = "localhost/micrun/hello:1";
const GREETING: &str = "hello from bare metal\r\n";

fn host_with_hello() -> Host {
    let host = Host::start();
    host.import(&firmware::pack(&firmware::hello(), HELLO, &[]));
    host
}

/// A logging program: what it gets on stdout goes to the file that the query names.
fn logger(ready: &str) -> String {
    let script = format!("{ready}exec 5>&-\necho \"$CONTAINER_ID\" >\"$2\"\ncat <&3 >>\"$2\"\n");
    process::script("logger", &script).display().to_string()
}

fn run(uri: &str) {
    ctr(&["run", "--rm", "--log-uri", uri, "--runtime", MICA, HELLO, "brief"]).success();
}

/// kata#4391, #13334, runwasi#630: what `nerdctl run -d` uses.
#[test]
fn kata_4391_binary_uri() {
    let host = host_with_hello();
    for (scheme, ready) in [("binary", ""), ("binary-v2", "printf x >&5\n")] {
        let (program, out) = (logger(ready), isolation::state_dir().join(scheme));
        run(&format!("{scheme}://{program}?out={}", out.display()));
        // The task is deleted when the program has ended.
        assert_eq!(fs::read_to_string(&out).expect("it was written"), format!("brief\n{GREETING}"));
    }
    host.assert_clean();
}

#[test]
fn a_file_is_appended_to_by_each_run() {
    let host = host_with_hello();
    let out = isolation::state_dir().join("new/folder/log");
    for _ in 0..2 {
        run(&format!("file://{}", out.display()));
    }
    assert_eq!(fs::read_to_string(&out).expect("it was written"), GREETING.repeat(2));
    host.assert_clean();
}

#[test]
fn a_detached_firmware_logs_into_a_file_from_its_first_byte() {
    let host = Host::start();
    let out = isolation::state_dir().join("log");
    let uri = format!("file://{}", out.display());
    ctr(&["run", "--detach", "--log-uri", &uri, "--runtime", MICA, DEMO, "rtos"]).success();
    let text = wait::until("the prompt is logged", || {
        fs::read_to_string(Path::new(&out)).ok().filter(|text| text.contains(PROMPT))
    });
    assert!(text.starts_with(BANNER), "{text:?}");
    host.remove("rtos");
    host.assert_clean();
}

#[test]
fn a_scheme_that_is_none_is_named_and_nothing_is_left() {
    let host = host_with_hello();
    let uri = "npipe:///run/pipe";
    let refusal = ctr(&["run", "--detach", "--log-uri", uri, "--runtime", MICA, HELLO, "brief"]).failure();
    assert!(refusal.contains("`npipe` is not fifo, file, binary or binary-v2"), "{refusal}");
    ctr(&["containers", "delete", "brief"]);
    host.assert_clean();
}

#[test]
fn a_program_that_is_not_there_is_named_and_nothing_is_left() {
    let host = host_with_hello();
    let uri = "binary:///no/such/logger";
    let refusal = ctr(&["run", "--detach", "--log-uri", uri, "--runtime", MICA, HELLO, "brief"]).failure();
    assert!(refusal.contains("/no/such/logger"), "{refusal}");
    ctr(&["containers", "delete", "brief"]);
    host.assert_clean();
}

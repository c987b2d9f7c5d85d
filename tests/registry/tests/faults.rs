//! Faults of networks and registries, each at a request that the test chooses.
#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;

use micrun_host_tests::process;
use micrun_registry_tests::bench::{Bench, LARGE};
use micrun_registry_tests::message::Message;
use micrun_registry_tests::proxy::{Fault, Proxy};
use micrun_registry_tests::registry::{Kind, Registry};

/// Less than what is sent in one piece.
const SMALL: usize = 300_000;

struct Stage {
    bench: Bench,
    proxy: Proxy,
    _registry: Registry,
    digest: String,
    name: String,
}

impl Stage {
    fn new(size: usize) -> Self {
        let registry = Registry::start(Kind::Open);
        let proxy = Proxy::before(&registry.host());
        let bench = Bench::default();
        let name = format!("{}/team/demo:1", proxy.host());
        let digest = bench.pack(&name, "image.tar", size);
        Self { bench, proxy, _registry: registry, digest, name }
    }

    #[track_caller]
    fn push(&self) -> String {
        let output =
            self.bench.run(&["push", "image.tar", "--plain-http", "--chunk", "1", "--parallel", "1"]);
        let stderr = output.stderr.clone();
        assert_eq!(output.success().trim_end(), self.digest);
        stderr
    }

    #[track_caller]
    fn pull(&self, output: &str) -> String {
        let result = self.bench.run(&["pull", &self.name, "--plain-http", "-o", output, "--parallel", "1"]);
        let stderr = result.stderr.clone();
        assert_eq!(result.success().trim_end(), self.digest);
        // Checks every blob and record.
        self.bench.run(&["inspect", output]).success();
        stderr
    }
}

#[test]
fn a_token_that_dies_during_a_push_is_replaced() {
    let stage = Stage::new(LARGE);
    stage.proxy.want_tokens(3);
    let said = stage.bench.run(&["push", "image.tar", "--plain-http", "--chunk", "1", "--parallel", "1"]);
    assert_eq!(said.success().trim_end(), stage.digest);
    let (given, reused) = stage.proxy.tokens();
    assert!(given > 2, "{given} tokens");
    assert_eq!(reused, 0, "a token that was refused came again");
    // containerd#10065: a token that ends between two chunks.
    let patches = stage.proxy.requests("PATCH", "/uploads/").len();
    assert!(patches >= 3, "{patches} chunks");
    stage.proxy.forget();
    stage.pull("layout");
    assert_eq!(stage.proxy.tokens().1, 0);
}

#[test]
fn a_token_that_dies_between_two_halves_of_a_pull_is_replaced() {
    let stage = Stage::new(SMALL);
    stage.proxy.want_tokens(1);
    stage.push();
    stage.proxy.fault("GET", "/blobs/", 1, 2, Fault::CutAnswer(1000));
    stage.pull("layout");
    assert_eq!(stage.proxy.tokens().1, 0);
}

#[test]
fn a_pull_that_is_cut_off_goes_on_there() {
    let stage = Stage::new(SMALL);
    stage.push();
    stage.proxy.fault("GET", "/blobs/", 0, 3, Fault::CutAnswer(500));
    stage.pull("layout");
    let ranges: Vec<_> = stage
        .proxy
        .requests("GET", "/blobs/")
        .iter()
        .filter_map(|it| it.header("range").map(str::to_owned))
        .collect();
    assert!(ranges.iter().any(|it| it == "bytes=500-"), "{ranges:?}");
}

#[test]
fn a_registry_without_ranges_begins_anew() {
    let stage = Stage::new(SMALL);
    stage.push();
    stage.proxy.fault("GET", "/blobs/", 0, 1, Fault::CutAnswer(500));
    stage.proxy.ignore_ranges();
    stage.pull("layout");
}

#[test]
fn a_chunk_that_is_cut_off_goes_on_there() {
    let stage = Stage::new(LARGE);
    stage.proxy.fault("PATCH", "/uploads/", 1, 1, Fault::TakePart(1000));
    stage.push();
    let range = |it: &Message| it.header("content-range").expect("a chunk says where it goes").to_owned();
    let ranges: Vec<_> = stage.proxy.requests("PATCH", "/uploads/").iter().map(range).collect();
    assert_eq!(ranges[..3], ["0-1048575", "1048576-2097151", "1049576-2097151"]);
    assert_eq!(ranges.len(), 4, "{ranges:?}");
    stage.pull("layout");
}

#[test]
fn a_chunk_that_did_not_arrive_is_sent_again() {
    let stage = Stage::new(LARGE);
    stage.proxy.fault("PATCH", "/uploads/", 1, 2, Fault::Hang);
    stage.push();
    assert_eq!(stage.proxy.requests("PATCH", "/uploads/").len(), 5);
    assert_eq!(stage.proxy.requests("POST", "/uploads/").len(), 2, "an upload was begun anew");
    stage.pull("layout");
}

/// docker-registry signs how far an upload is into its address. Without the answer nobody has that address.
#[test]
fn an_upload_that_cannot_go_on_begins_anew() {
    for fault in [Fault::CutRequest(5000), Fault::LoseAnswer] {
        let stage = Stage::new(LARGE);
        stage.proxy.fault("PATCH", "/uploads/", 1, 1, fault);
        stage.push();
        stage.pull("layout");
    }
}

#[test]
fn an_upload_that_the_registry_has_lost_begins_anew() {
    let stage = Stage::new(LARGE);
    stage.proxy.fault("PATCH", "/uploads/", 1, 1, Fault::Hang);
    stage.proxy.fault("GET", "/uploads/", 0, 1, Fault::Answer(Message::answer("404 Not Found", &[], "{}")));
    let said = stage.push();
    assert!(said.contains("has lost the upload"), "{said}");
}

#[test]
fn a_blob_whose_last_answer_is_lost_is_there() {
    let stage = Stage::new(SMALL);
    stage.proxy.fault("PUT", "/uploads/", 0, 2, Fault::LoseAnswer);
    stage.push();
    assert_eq!(stage.proxy.requests("PUT", "/uploads/").len(), 2);
}

#[test]
fn what_passes_is_waited_for() {
    let stage = Stage::new(SMALL);
    for (method, part) in
        [("HEAD", "/blobs/"), ("POST", "/uploads/"), ("PUT", "/uploads/"), ("PUT", "/manifests/")]
    {
        for status in ["500 Internal Server Error", "503 Service Unavailable"] {
            stage.proxy.fault(method, part, 0, 1, Fault::Answer(Message::answer(status, &[], "{}")));
        }
        stage.proxy.fault(method, part, 0, 1, Fault::Hang);
    }
    stage.push();
    for status in ["408 Request Timeout", "502 Bad Gateway", "504 Gateway Timeout"] {
        stage.proxy.fault("GET", "/blobs/", 0, 1, Fault::Answer(Message::answer(status, &[], "{}")));
        stage.proxy.fault("GET", "/manifests/", 0, 1, Fault::Answer(Message::answer(status, &[], "{}")));
    }
    stage.pull("layout");
}

#[test]
fn a_registry_says_how_long_it_wants_to_be_left_alone() {
    let stage = Stage::new(SMALL);
    let busy = Message::answer(
        "429 Too Many Requests",
        &[("retry-after", "1")],
        r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#,
    );
    stage.proxy.fault("PUT", "/manifests/", 0, 1, Fault::Answer(busy));
    let said = stage.push();
    assert!(said.contains("429 Too Many Requests: slow down: trying again in 1.0 s"), "{said}");
    // Nobody waits for an hour.
    let busy = Message::answer("429 Too Many Requests", &[("retry-after", "3600")], "{}");
    stage.proxy.fault("GET", "/manifests/", 0, 1, Fault::Answer(busy));
    let output = stage.bench.run(&["pull", &stage.name, "--plain-http"]);
    assert_eq!(output.status, 5, "{output}");
}

#[test]
fn attempts_end() {
    let stage = Stage::new(SMALL);
    stage.proxy.fault(
        "HEAD",
        "/blobs/",
        0,
        99,
        Fault::Answer(Message::answer("503 Service Unavailable", &[], "")),
    );
    let output = stage.bench.run(&[
        "push",
        "image.tar",
        "--plain-http",
        "--chunk",
        "1",
        "--retries",
        "2",
        "--parallel",
        "1",
    ]);
    assert_eq!(output.status, 1, "{output}");
    assert_eq!(stage.proxy.requests("HEAD", "/blobs/").len(), 3);
}

#[test]
fn what_does_not_pass_is_not_repeated() {
    let stage = Stage::new(SMALL);
    let no = r#"{"errors":[{"code":"NAME_INVALID","message":"no such name here"}]}"#;
    stage.proxy.fault("POST", "/uploads/", 0, 99, Fault::Answer(Message::answer("400 Bad Request", &[], no)));
    let output = stage.bench.run(&["push", "image.tar", "--plain-http", "--chunk", "1", "--parallel", "1"]);
    assert_eq!(output.status, 5, "{output}");
    assert!(output.stderr.contains("no such name here"), "{output}");
    assert_eq!(stage.proxy.requests("POST", "/uploads/").len(), 1);
}

#[test]
fn other_bytes_are_refused_and_leave_nothing() {
    let stage = Stage::new(SMALL);
    stage.push();
    for part in ["/blobs/", "/manifests/sha256"] {
        stage.proxy.fault("GET", part, 0, 1, Fault::Corrupt);
        let name = format!("{}@{}", stage.name, stage.digest);
        let output = stage.bench.run(&["pull", &name, "--plain-http", "-o", "layout"]);
        assert_eq!(output.status, 4, "{output}");
        assert!(!stage.bench.path("layout").exists());
    }
    let left = fs::read_dir(stage.bench.path(".")).expect("readable").count();
    assert_eq!(left, 2, "the firmware and the archive");
}

/// An upload that goes on at another server must not take our password there.
#[test]
fn another_server_gets_no_credentials() {
    let stage = Stage::new(SMALL);
    let other = Proxy::before(&stage.proxy.host());
    stage.proxy.want_tokens(100);
    let elsewhere = format!("http://{}/elsewhere", other.host());
    let moved = Message::answer("202 Accepted", &[("location", &elsewhere)], "");
    stage.proxy.fault("POST", "/uploads/", 0, 99, Fault::Answer(moved));
    let done = Fault::Answer(Message::answer("201 Created", &[], ""));
    other.fault("PUT", "/elsewhere", 0, 99, done);
    stage.bench.run(&["push", "image.tar", "--plain-http", "--chunk", "1", "--parallel", "1"]).failure();
    let requests = other.requests("PUT", "/elsewhere");
    assert!(!requests.is_empty());
    assert!(requests.iter().all(|it| it.header("authorization").is_none()));
}

#[test]
fn what_a_registry_says_does_not_command_the_terminal() {
    let stage = Stage::new(SMALL);
    let tags = Message::answer("200 OK", &[], r#"{"tags":["1","\u001b[2J"]}"#);
    stage.proxy.fault("GET", "/tags/list", 0, 1, Fault::Answer(tags));
    let said = stage.bench.run(&["tags", &stage.name, "--plain-http"]).success();
    assert_eq!(said, "1\n\\u{1b}[2J\n");
    let no = r#"{"errors":[{"code":"UNKNOWN","message":"\u001b[2Jno"}]}"#;
    for status in ["400 Bad Request", "500 Internal Server Error"] {
        stage.proxy.fault("GET", "/tags/list", 0, 2, Fault::Answer(Message::answer(status, &[], no)));
        let said = stage.bench.run(&["tags", &stage.name, "--plain-http", "--retries", "1"]);
        assert!(said.stderr.contains("\\u{1b}[2Jno") && !said.stderr.contains('\u{1b}'), "{said}");
    }
}

#[test]
fn the_proxy_of_the_environment_is_used() {
    let stage = Stage::new(SMALL);
    stage.push();
    stage.proxy.forget();
    let args = ["resolve", "registry.invalid/team/demo:1", "--plain-http"];
    let proxy = format!("http://{}", stage.proxy.host());
    let output = process::run(stage.bench.command(&args).env("http_proxy", proxy).env_remove("no_proxy"));
    assert_eq!(output.success().trim_end(), stage.digest);
    assert_eq!(stage.proxy.requests("GET", "http://registry.invalid/v2/team/demo/manifests/1").len(), 1);
}

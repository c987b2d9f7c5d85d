//! What Debian's Prometheus makes of the metrics, of the alert rules and of the dashboard.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use micrun_host_tests::isolation;
use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::harness::{Daemon, PATIENCE, eventually};
use crate::scrapers::{address, serving};
use crate::tiny_elf;

fn program(name: &str) -> PathBuf {
    let path = isolation::workspace().join(".cache/prometheus/bin").join(name);
    assert!(path.exists(), "{} is not there: run tests/host/prometheus", path.display());
    path
}

fn rules() -> PathBuf {
    isolation::workspace().join("micrun/micad/prometheus/rules.yml")
}

fn dashboard() -> Value {
    let file = isolation::workspace().join("micrun/micad/grafana/micad.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// Runs promtool with `input`, and asserts that it finds nothing to complain about.
fn promtool(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program("promtool"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that takes no input closes its end.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap()).concat();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// A daemon's Prometheus, which scrapes it all the time.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    async fn start(daemon: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n  \
             - {{job_name: micad, static_configs: [{{targets: ['{daemon}']}}]}}\n",
            rules().display()
        );
        fs::write(&config, text).unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new(program("prometheus"));
        command.arg("--config.file").arg(&config).arg("--storage.tsdb.path").arg(dir.path().join("data"));
        command.arg("--web.listen-address=127.0.0.1:0").stderr(File::create(&log).unwrap());
        let child = command.spawn().unwrap();
        let mut prometheus = Self { child, address: ([127, 0, 0, 1], 0).into(), _dir: dir };
        prometheus.address = listening(&log).await;
        eventually("Prometheus is ready", || prometheus.get("/-/ready").0.contains(" 200 ")).await;
        prometheus
    }

    /// Head and body of what it answers.
    fn get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        (head.to_owned(), body.to_owned())
    }

    /// The data of its answer, which must be a success.
    fn api(&self, path: &str) -> Value {
        let (_, body) = self.get(path);
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["status"], "success", "{path}: {body}");
        answer["data"].clone()
    }

    fn query(&self, expression: &str) -> Value {
        let digit = |half: u8| char::from_digit(half.into(), 16).unwrap();
        let encoded: String =
            expression.bytes().flat_map(|byte| ['%', digit(byte >> 4), digit(byte & 15)]).collect();
        self.api(&format!("/api/v1/query?query={encoded}"))["result"].clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Where it says that it listens.
async fn listening(log: &Path) -> SocketAddr {
    let mut found = None;
    eventually("Prometheus listens", || {
        let text = fs::read_to_string(log).unwrap();
        let line = text.lines().find(|line| line.contains("\"Listening on\""));
        let word = line.and_then(|line| line.split_once("address=")?.1.split_whitespace().next());
        found = word.map(|word| word.parse().unwrap());
        found.is_some()
    })
    .await;
    found.unwrap()
}

/// Names by its conventions, units, helps and suffixes.
#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_metrics() {
    let daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::echo(daemon.dir())).await;
    daemon.create("odd\"name\\", &tiny_elf::echo(daemon.dir())).await;
    assert_eq!(promtool(&["check", "metrics"], &client.metrics(true).await.unwrap()), "");
}

#[test]
fn every_alert_fires_when_it_should_and_on_no_quiet_machine() {
    let rules = rules();
    promtool(&["check", "rules", rules.to_str().unwrap()], "");
    let tests = isolation::workspace().join("tests/micad/prometheus/rules-test.yml");
    promtool(&["test", "rules", tests.to_str().unwrap()], "");
    let (rules, tests) = (fs::read_to_string(rules).unwrap(), fs::read_to_string(tests).unwrap());
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    for alert in alerts {
        assert!(tests.contains(&format!("alertname: {alert}}}")), "{alert} has no test that it stays silent");
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} has no test that it fires");
    }
}

/// The scraped daemon, the rules and each query of the dashboard, in a server that runs.
#[tokio::test]
async fn prometheus_scrapes_the_daemon_and_knows_all_that_rules_and_dashboard_name() {
    let daemon = serving();
    let client = daemon.boot("x", &tiny_elf::echo(daemon.dir())).await;
    let prometheus = Prometheus::start(address(&daemon)).await;
    let count = |it: &Value| it.as_array().unwrap().len();
    eventually("it has scraped", || {
        count(&prometheus.query("mica_client_uptime_seconds{client=\"x\"}")) == 1
    })
    .await;
    assert_eq!(prometheus.query("mica_clients{state=\"Running\"}")[0]["value"][1], "1");
    let target = prometheus.api("/api/v1/targets")["activeTargets"][0].clone();
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");

    // The OpenMetrics parser has read every family, with its type and help.
    let families = prometheus.api("/api/v1/metadata");
    let text = client.metrics(false).await.unwrap();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    for (family, kind) in types {
        assert_eq!(families[family][0]["type"], kind, "{family}");
        assert_ne!(families[family][0]["help"], "", "{family}");
    }

    let groups = prometheus.api("/api/v1/rules")["groups"].clone();
    let rules = groups[0]["rules"].as_array().unwrap().clone();
    assert!(rules.len() >= 12 && rules.iter().all(|rule| rule["lastError"].is_null()), "{groups}");

    let queries = dashboard_queries();
    for query in &queries {
        prometheus.query(query);
    }
    // A name that no family has is a mistake that Prometheus takes for silence.
    let known = prometheus.api("/api/v1/label/__name__/values");
    let known: BTreeSet<&str> = known.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let said =
        queries.iter().map(String::as_str).chain(rules.iter().filter_map(|rule| rule["query"].as_str()));
    let named: BTreeSet<&str> = said.flat_map(names).collect();
    assert!(named.len() > 15, "{named:?}");
    assert_eq!(named.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new());
    panels_are_drawn(&prometheus);
}

/// The picture of docs/METRICS.md is made so.
fn panels_are_drawn(prometheus: &Prometheus) {
    let mut panels = Command::new(isolation::workspace().join("tools/panels"));
    let output = panels.args([&format!("http://{}", prometheus.address), "1"]).output().unwrap();
    let drawn = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for words in [
        ">Clients by state</text>",
        ">Running</text>",
        ">Uptime of clients</text>",
        ">x</text>",
        "<polyline ",
    ] {
        assert!(drawn.contains(words), "not {words:?} in {drawn}");
    }
}

/// Each query of the dashboard, as Grafana sends it when all is chosen.
fn dashboard_queries() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let lists = variables.filter(|it| it["type"] == "query").map(|it| it["definition"].as_str().unwrap());
    // `label_values(SELECTOR, LABEL)` is Grafana's.
    let lists = lists.map(|it| it.strip_prefix("label_values(").unwrap().rsplit_once(',').unwrap().0);
    let queries = targets.map(|target| target["expr"].as_str().unwrap()).chain(lists);
    let chosen = |text: &str| {
        let text = text.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$client", ".*");
        assert!(!text.contains('$'), "{text}");
        text
    };
    queries.map(chosen).collect()
}

/// The metrics that an expression names.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("mica_"))
}

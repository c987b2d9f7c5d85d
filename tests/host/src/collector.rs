//! A real collector of traces, rotel, and what has reached it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::daemon::Daemon;
use crate::{isolation, wait};

/// Where it takes OTLP over HTTP.
pub const ENDPOINT: &str = "http://127.0.0.1:4318";
const HTTP: &str = "127.0.0.1:4318";
const GRPC: &str = "127.0.0.1:4317";

/// A running collector.
pub struct Collector {
    daemon: Daemon,
}

/// A span, as the collector tells it.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// `service.name` of whoever made it.
    pub service: String,
    /// Its trace.
    pub trace: String,
    /// Itself.
    pub id: String,
    /// Whose child it is; empty for none.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// `SERVER`, `CLIENT` or `INTERNAL`.
    pub kind: String,
    /// When it began, in nanoseconds.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// Whether it has failed.
    pub failed: bool,
    /// Its attributes, and those of its events.
    pub attributes: BTreeMap<String, String>,
}

impl Collector {
    /// Starts it and waits until it accepts connections.
    pub fn start() -> Self {
        let program = isolation::workspace().join(".cache/collector/rotel-agent");
        assert!(program.exists(), "{} is not there: run tests/host/collector", program.display());
        let state = isolation::state_dir();
        std::fs::create_dir_all(state).expect("/run is private and writable");
        let mut command = Command::new(program);
        command.args(["start", "--exporter", "blackhole", "--debug-log", "traces"]);
        command.args(["--debug-log-verbosity", "detailed", "--otlp-http-endpoint", HTTP]);
        command.args(["--otlp-grpc-endpoint", GRPC, "--batch-timeout", "50ms"]);
        command.arg("--pid-file").arg(state.join("rotel.pid")).arg("--log-file").arg(state.join("rotel.out"));
        let mut daemon = Daemon::spawn("rotel", &mut command);
        wait::until("the collector accepts connections", || {
            assert!(daemon.is_running(), "the collector ended: {}", daemon.log());
            TcpStream::connect(HTTP).ok()
        });
        Self { daemon }
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.daemon.end(Signal::SIGKILL);
    }

    /// Copies its log to where `MICRUN_TRACES` says, for `tools/waterfall`.
    pub fn keep(&self) {
        if let Some(path) = std::env::var_os("MICRUN_TRACES") {
            std::fs::write(path, self.daemon.log()).expect("the traces can be kept");
        }
    }

    /// All spans that have reached it so far.
    pub fn spans(&self) -> Vec<Span> {
        parse(&self.daemon.log())
    }

    /// Waits until spans have reached it of which `found` makes something.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut found: impl FnMut(&[Span]) -> Option<T>) -> T {
        let reached = wait::poll(|| found(&self.spans()));
        reached.unwrap_or_else(|| {
            let names: BTreeSet<_> = self.spans().into_iter().map(|span| (span.service, span.name)).collect();
            panic!("no {what} has reached the collector, but {names:#?}")
        })
    }

    /// Waits for a span of this service with this name that is about this container.
    #[track_caller]
    pub fn span(&self, service: &str, name: &str, container: &str) -> Span {
        self.until(&format!("{name} of {container}"), |spans| {
            let about = |span: &&Span| {
                let of = |key: &str| span.attributes.get(key).is_some_and(|id| id == container);
                of("container.id") || of("micrun.client")
            };
            spans.iter().filter(about).find(|span| span.service == service && span.name == name).cloned()
        })
    }
}

/// The names from a span up to the root of its trace, and whether the last one's parent is none of these spans.
pub fn ancestors(of: &Span, spans: &[Span]) -> Vec<Span> {
    let mut chain = vec![of.clone()];
    while let Some(parent) = chain.last().and_then(|span| {
        let same = |other: &&Span| other.trace == span.trace && other.id == span.parent;
        spans.iter().find(same)
    }) {
        chain.push(parent.clone());
    }
    chain
}

/// Reads the collector's log.
fn parse(log: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut service = String::new();
    // Not in what is told of whoever made the next ones.
    let mut in_span = false;
    for line in log.lines() {
        let text = line.trim();
        if text.starts_with("ResourceSpans #") {
            service.clear();
            in_span = false;
        } else if text.starts_with("Span #") {
            spans.push(Span { service: service.clone(), ..Span::default() });
            in_span = true;
        } else if let Some(name) = text.strip_prefix("-> service.name: Str(") {
            name.trim_end_matches(')').clone_into(&mut service);
        }
        let Some(span) = spans.last_mut().filter(|_| in_span) else { continue };
        let attribute = text.strip_prefix("-> ").and_then(|text| text.split_once(": "));
        if let Some((key, value)) = attribute {
            let value = value.strip_prefix("Str(").or(value.strip_prefix("Int(")).unwrap_or(value);
            span.attributes.entry(key.to_owned()).or_insert_with(|| value.trim_end_matches(')').to_owned());
        }
        let Some((key, value)) = text.split_once(':') else { continue };
        let value = value.trim();
        match key.trim() {
            "Trace ID" => value.clone_into(&mut span.trace),
            "Parent ID" => value.clone_into(&mut span.parent),
            "ID" => value.clone_into(&mut span.id),
            "Name" => value.clone_into(&mut span.name),
            "Kind" => value.trim_start_matches("SPAN_KIND_").clone_into(&mut span.kind),
            "Start time" => span.start = value.parse().unwrap_or_default(),
            "End time" => span.end = value.parse().unwrap_or_default(),
            "Status code" => span.failed = value == "STATUS_CODE_ERROR",
            _ => {}
        }
    }
    // The last one may not have been written to its end.
    spans.into_iter().filter(|span| span.end > 0).collect()
}

//! What traces cost: lives without, with one trace in a hundred, and with all of them, sent to a real collector.

use std::any::Any;
use std::path::{Path, PathBuf};

use micrun_host_tests::collector::{Collector, ENDPOINT};
use micrun_host_tests::micad::Micad;
use serde_json::Value;
use shim_conformance::subject::Program;
use shim_conformance::subjects::Mica;
use shim_conformance::{Stage, Subject};

use crate::memory;
use crate::rounds::{self, STEPS, Times};
use crate::way::Way;

const SENT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", ENDPOINT);
const SHARE: (&str, &str) = ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio");
/// What a shim finds in its environment.
const KINDS: [(&str, &[(&str, &str)]); 3] =
    [("off", &[]), ("1 %", &[SENT, SHARE, ("OTEL_TRACES_SAMPLER_ARG", "0.01")]), ("100 %", &[SENT])];

/// Ours, with a daemon that sends its spans to a collector.
struct Traced;

impl Subject for Traced {
    fn name(&self) -> &'static str {
        Mica.name()
    }

    fn shim(&self) -> PathBuf {
        Mica.shim()
    }

    fn daemons(&self) -> Box<dyn Any> {
        let collector = Collector::start();
        let micad = Micad::configured(&format!("[Micad]\nTraceEndpoint = {ENDPOINT}\n"));
        Box::new((micad, collector))
    }

    fn fill(&self, rootfs: &Path, program: Program) -> Value {
        Mica.fill(rootfs, program)
    }

    fn terminal(&self, id: &str, pid: u32) -> PathBuf {
        Mica.terminal(id, pid)
    }

    fn enter(&self) -> &'static str {
        Mica.enter()
    }

    fn exact_codes(&self) -> bool {
        Mica.exact_codes()
    }
}

/// Measures and prints.
pub(crate) fn run(rounds: usize) {
    let mut stage = Stage::new(&Traced);
    let kinds = |way: fn() -> Way| KINDS.map(|(name, environment)| way().traced(name, environment));
    let ways: Vec<_> = kinds(Way::linux).into_iter().chain(kinds(Way::freertos)).collect();
    let mut times: Vec<_> = ways.iter().map(|_| Times::default()).collect();
    for _ in 0..rounds {
        rounds::turn(&ways, &mut stage, &mut times);
    }
    let row = |name: &str, cells: Vec<String>| println!("| {name} | {} |", cells.join(" | "));
    println!("<!-- traces -->");
    row(&format!("{rounds} rounds, median / p95 ms"), ways.iter().map(|way| way.name.clone()).collect());
    println!("|---|{}", "---|".repeat(ways.len()));
    for (step, name) in STEPS.iter().enumerate() {
        row(name, times.iter().map(|times| times[step].to_string()).collect());
    }
    let lives: Vec<_> = times.iter().map(rounds::life).collect();
    row("Create, Start, Kill, Delete", lives.iter().map(ToString::to_string).collect());
    let ratio = |(index, life): (usize, &crate::samples::Samples)| {
        let off = &lives[index / KINDS.len() * KINDS.len()];
        format!("{:.2}", life.median() / off.median())
    };
    row("ratio of its medians", lives.iter().enumerate().map(ratio).collect());
    nix::unistd::sync();
    let taken: Vec<_> = ways
        .iter()
        .map(|way| {
            way.enter(&mut stage);
            memory::mean(&memory::crowd(way, &stage, 1, &[])[0].1)
        })
        .collect();
    row("RSS of the shim, kB", taken.iter().map(|taken| taken[0].to_string()).collect());
    row("private dirty, kB", taken.iter().map(|taken| taken[2].to_string()).collect());
}

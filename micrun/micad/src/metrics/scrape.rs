//! What a scrape sees, and the text of it.

use std::fmt;
use std::sync::atomic::Ordering;

use libmica::ClientState;
use libmica::ext::{Shown, WaitingMachines};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::{Registry, Unit};

use super::counts;
use super::page::{Family, Page};
use crate::pedestal::{self, Usage};

/// In which words the metrics are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's own, 0.0.4, which came before.
    Plain,
}

impl Format {
    /// Its media type.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// What is not counted while it happens, but looked at when somebody asks.
#[derive(Debug)]
pub(crate) struct Scrape {
    /// When the daemon began, in seconds since 1970.
    pub(crate) began: f64,
    /// How many clients are in each state.
    pub(crate) states: [(ClientState, usize); ClientState::ALL.len()],
    /// The clients that have metrics of their own.
    pub(crate) clients: Vec<SeenClient>,
    /// How many have none, because there are too many.
    pub(crate) hidden: usize,
    /// The machines that wait; nothing but zeros if none ever does.
    pub(crate) pool: WaitingMachines,
    /// Connections of the mica protocol.
    pub(crate) connections: usize,
}

/// One client.
#[derive(Debug)]
pub(crate) struct SeenClient {
    pub(crate) name: String,
    pub(crate) pedestal: &'static str,
    pub(crate) state: ClientState,
    /// What its consoles have shown; `None` if it never ran.
    pub(crate) console: Option<Shown>,
    /// What the run has used; `None` if it does not run.
    pub(crate) usage: Option<Usage>,
    /// Whether Linux measures CPU time and memory of it: not of a core of its own.
    pub(crate) measured: bool,
}

impl SeenClient {
    /// What Linux has measured of it, made a sample.
    fn sample<V>(&self, value: impl FnOnce(&Usage) -> V) -> Option<([(&'static str, &str); 1], V)> {
        self.usage.as_ref().map(|usage| ([("client", self.name.as_str())], value(usage)))
    }
}

impl Scrape {
    /// The text, with all that was counted.
    pub(crate) fn render(self, format: Format) -> String {
        let mut registry = Registry::with_prefix("mica");
        registry.register_collector(Box::new(self));
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = match format {
            Format::OpenMetrics => text::encode(&mut page, &registry),
            Format::Plain => prometheus_text::encode(&mut page, &registry),
        };
        page
    }

    fn daemon(&self, page: &mut Page<'_>) -> fmt::Result {
        page.info(
            &name("build", "The version of micad"),
            &[("version", env!("CARGO_PKG_VERSION")), ("arch", std::env::consts::ARCH)],
        )?;
        let began = Family { unit: Some(Unit::Seconds), ..name("daemon_start_time", "When micad began") };
        page.gauge(&began, self.began)?;
        page.gauge(&name("connections", "Open connections of the mica protocol"), self.connections)?;
        page.counters(
            &name("connections_refused", "Connections refused before they asked anything, by the cause"),
            counts::REFUSED.read().map(|(reason, count)| ([("reason", reason)], count)),
        )?;
        let with = |result: &'static str| {
            move |(command, count): (&'static str, u64)| ([("command", command), ("result", result)], count)
        };
        page.counters(
            &name("commands", "Commands answered, by name and result"),
            counts::DONE.read().map(with("done")).chain(counts::FAILED.read().map(with("failed"))),
        )
    }

    fn runs(page: &mut Page<'_>) -> fmt::Result {
        let timings = || {
            pedestal::NAMES.iter().zip(&counts::STARTS).map(|(name, it)| ([("pedestal", *name)], it.read()))
        };
        page.counters(
            &name("starts", "Starts of firmware that succeeded"),
            timings()
                .map(|(labels, (_, buckets))| (labels, buckets.iter().map(|(_, count)| count).sum::<u64>())),
        )?;
        page.counters(
            &name("start_failures", "Starts of firmware that failed"),
            counts::START_FAILURES.read().map(|(name, count)| ([("pedestal", name)], count)),
        )?;
        let duration = name("start_duration", "From the request of a start until the firmware runs");
        page.histograms(&Family { unit: Some(Unit::Seconds), ..duration }, timings())?;
        page.counters(
            &name("exits", "Runs of firmware that have ended, by the reason in their report"),
            counts::EXITS.read().map(|(reason, count)| ([("reason", reason)], count)),
        )?;
        page.counter(
            &name("stop_failures", "How often firmware did not end when it should"),
            counts::STOP_FAILURES.load(Ordering::Relaxed),
        )?;
        page.counters(
            &name("adoptions", "Firmware of an earlier micad: taken over, or lost"),
            counts::ADOPTIONS.read().map(|(result, count)| ([("result", result)], count)),
        )
    }

    fn pool(&self, page: &mut Page<'_>) -> fmt::Result {
        let WaitingMachines { ready, most, memory_bytes, hits, misses } = self.pool;
        page.gauge(&name("pool_machines", "Machines that wait for a firmware"), ready)?;
        page.gauge(&name("pool_machines_max", "How many wait at most"), most)?;
        let memory = name("pool_memory", "Memory that the waiting machines have to themselves");
        page.gauge(&Family { unit: Some(Unit::Bytes), ..memory }, memory_bytes)?;
        page.counter(&name("pool_hits", "Starts that found a waiting machine"), hits)?;
        page.counter(&name("pool_misses", "Starts that found none, while there is a pool"), misses)
    }

    fn clients(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauges(
            &name("clients", "Clients by state"),
            self.states.iter().map(|(state, count)| ([("state", state.as_str())], *count)),
        )?;
        page.gauge(&name("clients_not_shown", "Clients without metrics of their own"), self.hidden)?;
        page.gauges(
            &name("client_state", "The state that a client is in: always 1"),
            self.clients.iter().map(|client| {
                let SeenClient { name, pedestal, state, .. } = client;
                ([("client", name.as_str()), ("pedestal", *pedestal), ("state", state.as_str())], 1_u32)
            }),
        )?;
        let all = &self.clients;
        let measured = || all.iter().filter(|client| client.measured);
        let cpu = name("client_cpu", "CPU time of the process that runs a client");
        page.counters(
            &Family { unit: Some(Unit::Seconds), ..cpu },
            measured().filter_map(|client| client.sample(|usage| seconds(usage.cpu_usec))),
        )?;
        let memory = name("client_memory", "Resident memory of the process that runs a client");
        page.gauges(
            &Family { unit: Some(Unit::Bytes), ..memory },
            measured().filter_map(|client| client.sample(|usage| usage.memory_bytes)),
        )?;
        let consoles = || {
            let shown = all.iter().filter_map(|client| Some((client, client.console?)));
            shown.map(|(client, counts)| ([("client", client.name.as_str())], counts))
        };
        let shown = name(
            "client_console",
            "What the consoles of a client have shown in the current run, or the last",
        );
        page.counters(
            &Family { unit: Some(Unit::Bytes), ..shown },
            consoles().map(|(labels, shown)| (labels, shown.bytes)),
        )?;
        let lost = name("client_console_lost", "What of it a reader has missed");
        page.counters(
            &Family { unit: Some(Unit::Bytes), ..lost },
            consoles().map(|(labels, shown)| (labels, shown.lost_bytes)),
        )?;
        let uptime = name("client_uptime", "Time since the start of a client's run");
        page.gauges(
            &Family { unit: Some(Unit::Seconds), ..uptime },
            all.iter().filter_map(|client| client.sample(|usage| seconds(usage.uptime_usec))),
        )
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.daemon(&mut page)?;
        self.clients(&mut page)?;
        Self::runs(&mut page)?;
        self.pool(&mut page)
    }
}

fn name(name: &'static str, help: &'static str) -> Family {
    Family { name, unit: None, help }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds are exact for 285 years")]
fn seconds(usec: u64) -> f64 {
    usec as f64 / 1e6
}

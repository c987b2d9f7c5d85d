//! What changes from one look to the next.

use std::collections::BTreeMap;

use libmica::ClientState;
use libmica::ext::{Account, ClientRow, ClientTable, Diagnosis, ExitReport, Usage};
use serde::Serialize;

/// One client in one look.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) state: ClientState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uptime_usec: Option<u64>,
    /// Of one CPU, since the last look; in the first look of a run since its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory_bytes: Option<u64>,
    /// Whose numbers these are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) of: Option<Account>,
    pub(super) starts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exit: Option<ExitReport>,
    /// What its processor was seen doing when it was reported as silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) silent: Option<Diagnosis>,
}

/// What was seen at the last look.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    at_usec: u64,
    /// By name: the number of the run, and its CPU time.
    seen: BTreeMap<String, (u64, u64)>,
}

impl Sampler {
    /// The clients at this look, the busiest first.
    pub(super) fn look(&mut self, table: &ClientTable) -> Vec<Sample> {
        let elapsed = table.at_usec.saturating_sub(self.at_usec);
        let mut samples: Vec<_> = table.clients.iter().map(|row| self.sample(row, elapsed)).collect();
        let cpu = |sample: &Sample| sample.cpu_percent.unwrap_or(-1.0);
        samples.sort_by(|a, b| cpu(b).total_cmp(&cpu(a)).then_with(|| a.name.cmp(&b.name)));
        self.at_usec = table.at_usec;
        let used = |row: &ClientRow| Some((row.client.name.clone(), (row.starts, row.usage?.cpu_usec?)));
        self.seen = table.clients.iter().filter_map(used).collect();
        samples
    }

    fn sample(&self, row: &ClientRow, elapsed: u64) -> Sample {
        let usage = row.usage;
        let cpu = |Usage { cpu_usec, uptime_usec, .. }: Usage| {
            let now = cpu_usec?;
            let before = self.seen.get(&row.client.name).filter(|(run, _)| *run == row.starts);
            Some(match before.and_then(|(_, before)| now.checked_sub(*before)) {
                Some(used) => percent(used, elapsed),
                None => percent(now, uptime_usec),
            })
        };
        Sample {
            name: row.client.name.clone(),
            state: row.client.state,
            uptime_usec: usage.map(|usage| usage.uptime_usec),
            cpu_percent: usage.and_then(cpu),
            memory_bytes: usage.and_then(|usage| usage.memory_bytes),
            of: usage.map(|usage| usage.of),
            starts: row.starts,
            exit: row.client.exit.clone(),
            silent: row.client.silent.clone(),
        }
    }
}

/// In tenths, which is more than a second of measuring tells.
#[expect(clippy::cast_precision_loss, reason = "a percentage needs no 53 bits")]
fn percent(used: u64, elapsed: u64) -> f64 {
    if elapsed == 0 { 0.0 } else { (used as f64 * 1000.0 / elapsed as f64).round() / 10.0 }
}

#[cfg(test)]
mod tests {
    use libmica::ext::ClientEntry;

    use super::*;

    fn row(name: &str, starts: u64, cpu_usec: Option<u64>) -> ClientRow {
        let client = ClientEntry {
            name: name.to_owned(),
            state: ClientState::Running,
            pedestal: "qemu".to_owned(),
            cpu: String::new(),
            cpus: None,
            pool: None,
            pid: None,
            tty: None,
            exit: None,
            silent: None,
            patched: None,
        };
        let usage = Usage { uptime_usec: 10_000_000, cpu_usec, ..Usage::default() };
        ClientRow { client, starts, usage: Some(usage) }
    }

    fn seen(samples: &[Sample]) -> Vec<(&str, Option<f64>)> {
        samples.iter().map(|sample| (sample.name.as_str(), sample.cpu_percent)).collect()
    }

    #[test]
    fn a_percentage_is_of_the_time_since_the_last_look_and_of_the_same_run() {
        let mut sampler = Sampler::default();
        let table = |at_usec, clients: Vec<ClientRow>| ClientTable { at_usec, clients };
        let first = table(
            50_000_000,
            vec![row("core", 1, None), row("a", 1, Some(1_000_000)), row("b", 2, Some(5_000_000))],
        );
        assert_eq!(seen(&sampler.look(&first)), [("b", Some(50.0)), ("a", Some(10.0)), ("core", None)]);
        let clients = vec![row("a", 1, Some(3_000_000)), row("b", 3, Some(2_500_000)), row("core", 1, None)];
        let second = sampler.look(&table(52_000_000, clients));
        assert_eq!(seen(&second), [("a", Some(100.0)), ("b", Some(25.0)), ("core", None)]);
        // Twice at the same time.
        let again = sampler.look(&table(52_000_000, vec![row("a", 1, Some(3_000_000))]));
        assert_eq!(seen(&again), [("a", Some(0.0))]);
    }
}

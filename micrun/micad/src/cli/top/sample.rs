//! What changes from one look to the next.

use std::collections::BTreeMap;

use libmica::ClientState;
use libmica::ext::{Account, ClientRow, ClientTable, Diagnosis, ExitReport, Shown, Usage};
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
    /// What its streams have shown in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) console: Option<Shown>,
    /// Bytes of that in a second, since the last look.
    #[serde(rename = "console_bytes_per_second", skip_serializing_if = "Option::is_none")]
    pub(super) console_rate: Option<u64>,
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
    /// By name.
    seen: BTreeMap<String, Seen>,
}

/// One client at the last look.
#[derive(Debug)]
struct Seen {
    /// The number of the run.
    run: u64,
    cpu_usec: Option<u64>,
    /// Bytes that its streams had shown.
    console: Option<u64>,
}

impl Sampler {
    /// The clients at this look, the busiest first.
    pub(super) fn look(&mut self, table: &ClientTable) -> Vec<Sample> {
        let elapsed = table.at_usec.saturating_sub(self.at_usec);
        let mut samples: Vec<_> = table.clients.iter().map(|row| self.sample(row, elapsed)).collect();
        let cpu = |sample: &Sample| sample.cpu_percent.unwrap_or(-1.0);
        samples.sort_by(|a, b| cpu(b).total_cmp(&cpu(a)).then_with(|| a.name.cmp(&b.name)));
        self.at_usec = table.at_usec;
        let seen = |row: &ClientRow| Seen {
            run: row.starts,
            cpu_usec: row.usage.and_then(|usage| usage.cpu_usec),
            console: row.console.map(|shown| shown.bytes),
        };
        self.seen = table.clients.iter().map(|row| (row.client.name.clone(), seen(row))).collect();
        samples
    }

    fn sample(&self, row: &ClientRow, elapsed: u64) -> Sample {
        let usage = row.usage;
        let before = self.seen.get(&row.client.name).filter(|seen| seen.run == row.starts);
        let cpu = |Usage { cpu_usec, uptime_usec, .. }: Usage| {
            let now = cpu_usec?;
            Some(match before.and_then(|seen| now.checked_sub(seen.cpu_usec?)) {
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
            console: row.console,
            console_rate: row.console.zip(before).and_then(|(now, seen)| {
                let came = now.bytes.checked_sub(seen.console?)?;
                came.checked_mul(1_000_000)?.checked_div(elapsed)
            }),
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
        shown(name, starts, cpu_usec, 0)
    }

    fn shown(name: &str, starts: u64, cpu_usec: Option<u64>, bytes: u64) -> ClientRow {
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
        let console = Some(Shown { bytes, lost_bytes: 0 });
        ClientRow { client, starts, usage: Some(usage), console }
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

    #[test]
    fn the_rate_of_a_console_is_that_of_the_same_run() {
        let mut sampler = Sampler::default();
        let mut rate = |at_usec, starts, bytes| {
            let clients = vec![shown("a", starts, Some(0), bytes)];
            sampler.look(&ClientTable { at_usec, clients })[0].console_rate
        };
        assert_eq!(rate(50_000_000, 1, 7000), None);
        assert_eq!(rate(52_000_000, 1, 17_000), Some(5000));
        assert_eq!(rate(53_000_000, 2, 100), None);
        assert_eq!(rate(53_000_000, 2, 100), None);
        assert_eq!(rate(54_000_000, 2, 100), Some(0));
    }
}

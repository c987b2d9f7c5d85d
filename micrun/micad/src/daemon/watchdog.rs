//! When firmware that runs is taken for dead.

use std::time::{Duration, Instant};

use micrun_firmware::Watchdog;

use crate::pedestal::Pulse;

/// Looks that a limit takes.
const LOOKS: u32 = 8;
/// Bounds of the time between two looks.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);
/// Of the time in which a processor could have run, so many parts of a hundred are no rest.
const BUSY: u32 = 95;

/// A watchdog over one run. It knows no clock: whoever looks says when that was.
#[derive(Debug)]
pub(super) struct Watch {
    rules: Watchdog,
    last: Option<(Instant, Pulse)>,
    /// For how long the heart has not beaten, the processor has not rested, and nothing was printed.
    still: Duration,
    busy: Duration,
    silent: Duration,
    /// Whether it was told that something cannot be seen.
    blind: bool,
}

impl Watch {
    /// One that has seen nothing yet; `None` if there is nothing to watch.
    pub(super) fn new(rules: Watchdog) -> Option<Self> {
        let [still, busy, silent] = [Duration::ZERO; 3];
        rules.is_on().then_some(Self { rules, last: None, still, busy, silent, blind: false })
    }

    /// The time from one look to the next.
    pub(super) fn period(&self) -> Duration {
        self.rules.limits().min().map_or(LONGEST, |limit| limit / LOOKS).clamp(SHORTEST, LONGEST)
    }

    /// What is looked at.
    pub(super) fn rules(&self) -> Watchdog {
        self.rules
    }

    /// What is to be watched and cannot be seen, the first time that there is such a thing.
    pub(super) fn news_of_blindness(&mut self, pulse: Pulse) -> Option<&'static str> {
        let unseen = [
            ("heartbeat", self.rules.heartbeat.is_some() && pulse.heartbeat.is_none()),
            ("processor", self.rules.spin.is_some() && pulse.processor.is_none()),
            ("console", self.rules.console.is_some() && pulse.console.is_none()),
        ];
        let (what, _) = unseen.into_iter().find(|(_, unseen)| *unseen)?;
        (!std::mem::replace(&mut self.blind, true)).then_some(what)
    }

    /// Takes a look that was taken at this time; gives why the firmware is to be ended, if it is.
    ///
    /// Neither a look that comes late nor time in which the host had no CPU for the firmware counts against it.
    pub(super) fn see(&mut self, at: Instant, pulse: Pulse) -> Option<String> {
        let (before, last) = self.last.replace((at, pulse))?;
        let (ran, waited) = match (last.processor, pulse.processor) {
            (Some(last), Some(now)) => (now.0.saturating_sub(last.0), now.1.saturating_sub(last.1)),
            _ => (Duration::ZERO, Duration::ZERO),
        };
        let elapsed = at.saturating_duration_since(before);
        let could_run = elapsed.saturating_sub(waited);
        let counts = could_run.min(2 * self.period());
        let beats = pulse.heartbeat.is_none() || pulse.heartbeat != last.heartbeat;
        self.still = if beats { Duration::ZERO } else { self.still + counts };
        let rests = pulse.processor.is_none() || ran * 100 < could_run * BUSY;
        self.busy = if rests { Duration::ZERO } else { self.busy + counts };
        let prints = pulse.console.is_none() || pulse.console != last.console;
        self.silent = if prints { Duration::ZERO } else { self.silent + counts };
        let passed = |limit: Option<Duration>, time| limit.filter(|limit| time >= *limit);
        if let Some(limit) = passed(self.rules.heartbeat, self.still) {
            return Some(format!("its watchdog has seen no heartbeat for {limit:?}"));
        }
        if let Some(limit) = passed(self.rules.spin, self.busy) {
            return Some(format!("its watchdog has seen its processor take no rest for {limit:?}"));
        }
        let limit = passed(self.rules.console, self.silent)?;
        Some(format!("its watchdog has seen nothing on its console for {limit:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pulse(heartbeat: u32, ran: f64, waited: f64) -> Pulse {
        let seconds = Duration::from_secs_f64;
        let processor = Some((seconds(ran), seconds(waited)));
        Pulse { heartbeat: Some(heartbeat), processor, console: Some(heartbeat.into()) }
    }

    /// The second in which the firmware is ended, and why, if it is within a minute.
    fn watch(rules: &str, seen: impl Fn(u32) -> Pulse) -> Option<(u32, String)> {
        let mut watch = Watch::new(rules.parse().unwrap()).unwrap();
        let began = Instant::now();
        (0..60).find_map(|second| Some((second, watch.see(began + second * SECOND, seen(second))?)))
    }

    #[test]
    fn a_heart_that_stops_is_seen_and_one_that_beats_is_not() {
        assert_eq!(watch("heartbeat:10s", |second| pulse(second / 9, 0.0, 0.0)), None);
        let (second, why) = watch("heartbeat:10s", |second| pulse(second.min(5), 0.0, 0.0)).unwrap();
        assert_eq!((second, why.as_str()), (15, "its watchdog has seen no heartbeat for 10s"));
        // It need not ever have beaten.
        assert_eq!(watch("heartbeat:10s", |_| pulse(0, 0.0, 0.0)).map(|(second, _)| second), Some(10));
    }

    #[test]
    fn a_processor_that_never_rests_is_seen() {
        let (second, why) = watch("spin:10s", |second| pulse(0, f64::from(second), 0.0)).unwrap();
        assert_eq!((second, why.as_str()), (10, "its watchdog has seen its processor take no rest for 10s"));
        assert_eq!(watch("spin:10s", |second| pulse(0, f64::from(second) * 0.9, 0.0)), None);
        // A rest every nine seconds.
        assert_eq!(watch("spin:10s", |second| pulse(0, f64::from(second - second / 9), 0.0)), None);
    }

    #[test]
    fn a_console_that_falls_silent_is_seen() {
        let (second, why) = watch("console:10s", |second| pulse(second.min(7), 0.0, 0.0)).unwrap();
        assert_eq!((second, why.as_str()), (17, "its watchdog has seen nothing on its console for 10s"));
        assert_eq!(watch("console:10s", |second| pulse(second / 9, 0.0, 0.0)), None);
    }

    #[test]
    fn time_without_a_cpu_of_the_host_does_not_count() {
        // Half of it: it takes twice as long to be sure.
        let half = |second| pulse(0, f64::from(second) / 2.0, f64::from(second) / 2.0);
        for rules in ["heartbeat:10s", "spin:10s"] {
            assert_eq!(watch(rules, half).map(|(second, _)| second), Some(20), "{rules}");
        }
        assert_eq!(watch("heartbeat:10s", |second| pulse(0, 0.0, f64::from(second))), None);
    }

    #[test]
    fn a_look_that_comes_late_is_no_evidence() {
        let mut watch = Watch::new("heartbeat:10s".parse().unwrap()).unwrap();
        assert_eq!(watch.period(), SECOND);
        let began = Instant::now();
        for minute in 0..5 {
            assert_eq!(watch.see(began + minute * 60 * SECOND, pulse(0, 0.0, 0.0)), None, "{minute}");
        }
    }

    #[test]
    fn what_nothing_tells_is_not_held_against_the_firmware() {
        let rules = "heartbeat:1s,spin:1s,console:1s";
        assert_eq!(watch(rules, |_| Pulse::default()), None);
        let mut watch = Watch::new(rules.parse().unwrap()).unwrap();
        assert_eq!(watch.news_of_blindness(pulse(0, 0.0, 0.0)), None);
        assert_eq!(watch.news_of_blindness(Pulse::default()), Some("heartbeat"));
        assert_eq!(watch.news_of_blindness(Pulse::default()), None);
        assert!(Watch::new(Watchdog::default()).is_none());
    }
}

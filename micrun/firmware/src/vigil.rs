//! How a mica daemon is to watch over firmware: which ends leave a core, and what it takes for a sign of life.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::annotations::duration_of;
use crate::text::{quoted, serde_as_text};

/// The shortest time without a sign of life that can be asked for: a look is taken some times in it.
const SHORTEST: Duration = Duration::from_millis(500);

/// Of which ends there is to be a core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Coredump {
    /// Of none.
    #[default]
    Off,
    /// Of those that are nobody's wish: faults, panics, and those by a watchdog.
    Fault,
    /// Of every one.
    Always,
}

impl Coredump {
    /// What `set` calls it.
    pub const KEY: &str = "Coredump";

    const ALL: [(Self, &'static str); 3] =
        [(Self::Off, "off"), (Self::Fault, "fault"), (Self::Always, "always")];
}

impl FromStr for Coredump {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|(_, word)| *word == text);
        found.map(|(it, _)| it).ok_or_else(|| format!("{} is not off, fault or always", quoted(text)))
    }
}

impl fmt::Display for Coredump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.into_iter().find(|(it, _)| it == self).map_or("", |(_, word)| word))
    }
}

serde_as_text!(Coredump);

/// After how long without a sign of life a run is ended, and what follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watchdog {
    /// After how long without another heartbeat.
    pub heartbeat: Option<Duration>,
    /// After how long without any rest of its processor.
    pub spin: Option<Duration>,
    /// After how long without a byte on its console.
    pub console: Option<Duration>,
    /// Whether the firmware is started again.
    pub restart: bool,
}

impl Watchdog {
    /// What `set` calls it.
    pub const KEY: &str = "Watchdog";

    /// Whether it watches anything.
    pub fn is_on(&self) -> bool {
        self.limits().next().is_some()
    }

    /// The times after which it ends a run.
    pub fn limits(&self) -> impl Iterator<Item = Duration> {
        [self.heartbeat, self.spin, self.console].into_iter().flatten()
    }

    /// Does what one word says.
    pub fn apply(&mut self, word: &str) -> Result<(), String> {
        match word.split_once(':') {
            None if word == "off" => *self = Self::default(),
            None if word == "end" => self.restart = false,
            None if word == "restart" => self.restart = true,
            Some(("heartbeat", time)) => self.heartbeat = Some(limit(time)?),
            Some(("spin", time)) => self.spin = Some(limit(time)?),
            Some(("console", time)) => self.console = Some(limit(time)?),
            _ => {
                return Err(format!(
                    "{} is not heartbeat:TIME, spin:TIME, console:TIME, end, restart or off",
                    quoted(word)
                ));
            }
        }
        Ok(())
    }

    /// The words that say it; none if it watches nothing.
    pub fn words(&self) -> Vec<String> {
        if !self.is_on() {
            return Vec::new();
        }
        let timed = |name, time: Option<Duration>| {
            time.map(|time| format!("{name}:{}ms", time.as_millis())).map(|word| word.replace("000ms", "s"))
        };
        let restart = self.restart.then(|| "restart".to_owned());
        let watched = [("heartbeat", self.heartbeat), ("spin", self.spin), ("console", self.console)];
        watched.into_iter().filter_map(|(name, time)| timed(name, time)).chain(restart).collect()
    }
}

fn limit(text: &str) -> Result<Duration, String> {
    match duration_of(text)? {
        time if time >= SHORTEST => Ok(time),
        _ => Err(format!("{} is too short for a watchdog; 500ms is the least", quoted(text))),
    }
}

impl FromStr for Watchdog {
    type Err = String;

    /// Words with blanks or commas between.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut watchdog = Self::default();
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        words.into_iter().try_for_each(|word| watchdog.apply(word))?;
        if watchdog.restart && !watchdog.is_on() {
            return Err(format!(
                "{} names nothing to watch; add heartbeat:TIME, spin:TIME or console:TIME",
                quoted(text)
            ));
        }
        Ok(watchdog)
    }
}

impl fmt::Display for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_on() { f.write_str(&self.words().join(",")) } else { f.write_str("off") }
    }
}

serde_as_text!(Watchdog);

/// The keys and values of the `set` commands by which a daemon learns it.
pub fn commands(coredump: Option<Coredump>, watchdog: Watchdog) -> Vec<(&'static str, String)> {
    let coredump = coredump.map(|wish| (Coredump::KEY, wish.to_string()));
    coredump.into_iter().chain(watchdog.words().into_iter().map(|word| (Watchdog::KEY, word))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_watchdog_is_what_its_words_say() {
        for (text, same) in [
            ("heartbeat:5s", "heartbeat:5s"),
            ("spin:1m, heartbeat:2.5s restart", "heartbeat:2500ms,spin:60s,restart"),
            ("heartbeat:5s,end", "heartbeat:5s"),
            ("console:1m restart", "console:60s,restart"),
            ("heartbeat:5s,off", "off"),
            ("", "off"),
        ] {
            let watchdog: Watchdog = text.parse().unwrap();
            assert_eq!(watchdog.to_string(), same, "{text}");
            assert_eq!(same.parse(), Ok(watchdog));
        }
        for (text, words) in [
            ("heartbeat", "is not heartbeat:TIME, spin:TIME"),
            ("stdout:5s", "is not heartbeat:TIME, spin:TIME, console:TIME"),
            ("heartbeat:soon", "is not a duration"),
            ("spin:-5s", "is negative"),
            ("spin:100ms", "too short for a watchdog"),
            ("restart", "names nothing to watch"),
        ] {
            let refused = text.parse::<Watchdog>().unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }

    #[test]
    fn a_core_is_of_no_end_of_faults_or_of_all() {
        for word in ["off", "fault", "always"] {
            assert_eq!(word.parse::<Coredump>().unwrap().to_string(), word);
        }
        assert!("on".parse::<Coredump>().is_err());
    }
}

//! How a client is watched over: what `set` changes of it, on whatever pedestal.

use micrun_firmware::{Coredump, Watchdog};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Vigil {
    /// Of which ends there are cores; the configuration says it if the client does not.
    pub(super) coredump: Option<Coredump>,
    /// What its firmware must do to live on.
    pub(super) watchdog: Watchdog,
}

impl Vigil {
    /// Changes what `key` names; whether it names anything of this.
    pub(super) fn set(&mut self, key: &str, value: &str, tells_rest: bool) -> Result<bool> {
        let wrong = |problem| Error::Watch { problem };
        match key {
            Coredump::KEY => self.coredump = Some(value.parse().map_err(wrong)?),
            Watchdog::KEY => {
                let mut watchdog = self.watchdog;
                watchdog.apply(value).map_err(wrong)?;
                if watchdog.spin.is_some() && !tells_rest {
                    let problem =
                        "nothing tells whether a core of its own rests: write heartbeat:TIME or console:TIME";
                    return Err(wrong(problem.to_owned()));
                }
                self.watchdog = watchdog;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn words_of_a_watchdog_come_one_by_one() {
        let mut vigil = Vigil::default();
        for word in ["heartbeat:5s", "spin:10s", "console:1m", "restart"] {
            assert!(vigil.set("Watchdog", word, true).unwrap());
        }
        assert!(vigil.set("Coredump", "fault", true).unwrap());
        assert_eq!(vigil.watchdog.to_string(), "heartbeat:5s,spin:10s,console:60s,restart");
        assert!(!vigil.set("Memory", "5", true).unwrap());
        let same: Vigil = serde_json::from_str(&serde_json::to_string(&vigil).unwrap()).unwrap();
        assert_eq!(same, vigil);
        assert!(vigil.set("Watchdog", "off", false).unwrap() && !vigil.watchdog.is_on());
        let refused = vigil.set("Watchdog", "spin:10s", false).unwrap_err().to_string();
        assert!(refused.contains("nothing tells whether a core of its own rests"), "{refused}");
        assert!(vigil.set("Watchdog", "console:1s", false).unwrap());
        assert_eq!(vigil.watchdog.to_string(), "console:1s");
    }
}

//! Lists of the host's CPUs, and the pool that firmware without CPUs of its own shares.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::text::quoted;
use crate::{Error, Result};

/// The largest number of a CPU: Linux has 8192 at most (`NR_CPUS`).
const LARGEST: u32 = 8191;

/// CPUs, as the kernel writes them: `0-1,3`. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuList(BTreeSet<u32>);

impl CpuList {
    /// The CPUs, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }

    /// Whether all of these are among the `others`.
    pub fn is_within(&self, others: &Self) -> bool {
        self.0.is_subset(&others.0)
    }
}

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{} is not a list of CPUs such as 0-1,3", quoted(text));
        let number = |text: &str| {
            text.trim().parse::<u32>().ok().filter(|number| *number <= LARGEST).ok_or_else(wrong)
        };
        let mut cpus = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(wrong());
            }
            cpus.extend(first..=last);
        }
        Ok(Self(cpus))
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = rest.next() {
            let mut last = first;
            while let Some(next) = rest.next_if_eq(&(last + 1)) {
                last = next;
            }
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

/// The CPUs that all firmware without CPUs of its own shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedCpus {
    /// The CPUs.
    pub cpus: CpuList,
    /// The file that says so.
    pub place: String,
}

impl SharedCpus {
    /// The key of micad.conf.
    pub const KEY: &'static str = "SharedCpus";

    /// The CPUs for firmware that asks for those of the text `asked`: without any, the pool's.
    ///
    /// CPUs of the pool alone are shared, and CPUs outside of it are the firmware's own. A mixture would be neither, and
    /// is refused.
    pub fn place(&self, asked: &str) -> Result<CpuList> {
        if asked.trim().is_empty() {
            return Ok(self.cpus.clone());
        }
        let refuse = |subject| Error::Policy {
            subject,
            rule: format!("{} in {} is {}", Self::KEY, self.place, self.cpus),
            remedy: "name only CPUs of this pool to share them, or only others to have them alone".to_owned(),
        };
        let cpus: CpuList =
            asked.parse().map_err(|reason: String| refuse(format!("the choice of CPUs ({reason})")))?;
        if cpus.is_within(&self.cpus) || cpus.0.is_disjoint(&self.cpus.0) {
            return Ok(cpus);
        }
        Err(refuse(format!("the choice of the CPUs {cpus}, partly in the shared pool,")))
    }
}

//! A rule of the contract, and how it is tried.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Stage, Subject, expectations};

/// A case.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, which begins with its source.
    pub name: &'static str,
    /// The subjects that it is no rule for, and why.
    pub skip: &'static [(&'static str, &'static str)],
    /// What it does; it panics when the rule is broken.
    pub run: fn(&mut Stage),
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The rule is kept.
    Pass,
    /// It is not.
    Fail,
    /// It is not, and [`expectations`] lists it.
    Listed(&'static str),
    /// It is kept, though [`expectations`] lists it as broken.
    Outdated(&'static str),
}

impl Case {
    /// Why it does not apply to a subject.
    pub fn inapplicable(&self, subject: &str) -> Option<&'static str> {
        self.skip.iter().find(|(name, _)| *name == subject).map(|(_, reason)| *reason)
    }

    /// Tries it; what it panics with is on stderr.
    pub fn try_on(&self, subject: &'static dyn Subject) -> Verdict {
        let kept = catch_unwind(AssertUnwindSafe(|| (self.run)(&mut Stage::new(subject)))).is_ok();
        match (kept, expectations::of(subject.name(), self.name)) {
            (true, None) => Verdict::Pass,
            (false, None) => Verdict::Fail,
            (false, Some(reason)) => Verdict::Listed(reason),
            (true, Some(reason)) => Verdict::Outdated(reason),
        }
    }
}

/// A case for every subject.
macro_rules! both {
    ($name:ident) => {
        $crate::Case { name: stringify!($name), skip: &[], run: $name }
    };
}

/// A case that is none for the oracle, and why.
macro_rules! mica {
    ($name:ident, $reason:expr) => {
        $crate::Case { name: stringify!($name), skip: &[($crate::subjects::RUNC, $reason)], run: $name }
    };
}

/// A case that is none for firmware, and why: what it is about is Linux.
macro_rules! linux {
    ($name:ident, $reason:literal) => {
        $crate::Case { name: stringify!($name), skip: &[($crate::subjects::MICA, $reason)], run: $name }
    };
}

/// A case for firmware alone.
macro_rules! firmware {
    ($name:ident) => {
        $crate::Case {
            name: stringify!($name),
            skip: &[
                ($crate::subjects::RUNC, "it is about firmware"),
                ($crate::subjects::LINUX, "it is about firmware"),
            ],
            run: $name,
        }
    };
}

pub(crate) use {both, firmware, linux, mica};

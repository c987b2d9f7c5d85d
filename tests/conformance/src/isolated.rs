//! Running cases in processes and namespaces of their own.

use std::io;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use micrun_host_tests::isolation;

use crate::case::Verdict;
use crate::{Case, Subject, cases, expectations, subjects};

/// Exit statuses of [`attempt`]; a panic elsewhere has Rust's 101, which is a failure as well.
const FAILED: u8 = 1;
const LISTED: u8 = 3;
const OUTDATED: u8 = 4;

/// Longest that a case may take, in seconds; each of its waits has a shorter bound.
const CASE_LIMIT: &str = "300";

/// What became of a case on a subject.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The rule is kept.
    Pass,
    /// It does not apply, or is broken as [`expectations`] says.
    Skip(&'static str),
    /// It is broken; what the case said.
    Fail(String),
}

/// Tries a case in this process, and tells the verdict by the exit status.
pub fn attempt(subject: &str, case: &str) -> ExitCode {
    let subject =
        subjects::ALL.into_iter().find(|s| s.name() == subject).expect("the subject is a known one");
    let case = cases::all().find(|c| c.name == case).expect("the case is a known one");
    match case.try_on(subject) {
        Verdict::Pass => ExitCode::SUCCESS,
        Verdict::Fail => ExitCode::from(FAILED),
        Verdict::Listed(_) => ExitCode::from(LISTED),
        Verdict::Outdated(_) => ExitCode::from(OUTDATED),
    }
}

/// Tries all cases on all subjects, some at once; answers a row of [`subjects::ALL`] for each case.
pub fn run_all(cases: &[Case], jobs: usize) -> Vec<Vec<Outcome>> {
    let width = subjects::ALL.len();
    let done: Vec<_> =
        (0..cases.len() * width).map(|_| Mutex::new(Outcome::Fail("not tried".into()))).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(slot) = done.get(index) else { break };
                    let outcome = run(&cases[index / width], subjects::ALL[index % width]);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
                }
            });
        }
    });
    let done: Vec<_> =
        done.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
    done.chunks(width).map(<[_]>::to_vec).collect()
}

fn run(case: &Case, subject: &dyn Subject) -> Outcome {
    if let Some(reason) = case.inapplicable(subject.name()) {
        return Outcome::Skip(reason);
    }
    match try_isolated(case.name, subject.name()) {
        Ok((Some(0), _)) => Outcome::Pass,
        Ok((Some(status), _)) if status == i32::from(LISTED) => {
            Outcome::Skip(expectations::of(subject.name(), case.name).unwrap_or_default())
        }
        Ok((Some(status), _)) if status == i32::from(OUTDATED) => {
            Outcome::Fail("passes, though expectations.rs lists it: take it off".into())
        }
        Ok((_, text)) => Outcome::Fail(text),
        Err(error) => Outcome::Fail(format!("cannot be run: {error}")),
    }
}

/// Answers the exit status and what was said.
fn try_isolated(case: &str, subject: &str) -> io::Result<(Option<i32>, String)> {
    let output = Command::new("timeout")
        .arg(CASE_LIMIT)
        .arg(isolation::workspace().join("tests/host/isolated"))
        .arg(std::env::current_exe()?)
        .args(["--attempt", subject, case])
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()?;
    Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

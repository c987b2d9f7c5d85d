//! The record of a fault: how often it was brought about, and how often it was survived.

use std::env;
use std::fs::File;
use std::io::Write;

/// Names the file that gets a line for each fault: what, tries and survived, with tabs between them.
/// `tests/host/faults` makes docs/FAULTS.md's table of it.
pub const REPORT: &str = "MICRUN_FAULTS";

/// A fault under trial.
pub struct Fault {
    what: &'static str,
    tries: usize,
    survived: usize,
}

impl Fault {
    /// Brings a fault about several times; `round` panics unless it is survived. The first that is not ends it.
    #[track_caller]
    pub fn try_times(what: &'static str, times: usize, mut round: impl FnMut(usize)) {
        let mut fault = Self { what, tries: 0, survived: 0 };
        for n in 0..times {
            fault.tries += 1;
            round(n);
            fault.survived += 1;
        }
    }
}

impl Drop for Fault {
    /// Also while panicking: what was not survived is worth a line above all.
    fn drop(&mut self) {
        let Self { what, tries, survived } = self;
        let line = format!("{what}\t{tries}\t{survived}\n");
        let Some(report) = env::var_os(REPORT) else { return };
        // In one write, as others append to it at the same time.
        let file = File::options().append(true).create(true).open(&report);
        if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
            eprintln!("cannot write {}: {error}", report.display());
        }
    }
}

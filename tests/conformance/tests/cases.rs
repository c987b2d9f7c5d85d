//! Every case on every shim as a test of its own: `SUBJECT::CASE`.

use libtest_mimic::{Arguments, Failed, Trial};
use shim_conformance::case::Verdict;
use shim_conformance::{Case, Subject, cases, subjects};

fn main() {
    let trials = subjects::ALL.iter().flat_map(|subject| cases::all().map(|case| trial(case, *subject)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

fn trial(case: Case, subject: &'static dyn Subject) -> Trial {
    let ignored = case.inapplicable(subject.name()).is_some();
    let run = move || match case.try_on(subject) {
        // A listed failure is what is expected; `make conformance` shows it with its reason.
        Verdict::Pass | Verdict::Listed(_) => Ok(()),
        Verdict::Fail => Err(Failed::from("the rule is broken, see above")),
        Verdict::Outdated(reason) => {
            Err(Failed::from(format!("passes, though expectations.rs lists it: {reason}; take it off")))
        }
    };
    Trial::test(format!("{}::{}", subject.name(), case.name), run).with_ignored_flag(ignored)
}

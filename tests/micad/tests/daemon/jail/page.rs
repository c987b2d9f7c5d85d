//! The table of docs/SECURITY.md.

use std::fmt::Write;
use std::fs;

use micrun_host_tests::isolation;
use nix::errno::Errno;

use super::attempts::Attempt;
use super::injector::Answer;

const BEGIN: &str = "<!-- jail:begin -->\n";
const END: &str = "<!-- jail:end -->";
/// Set to write the page instead of comparing it.
const UPDATE: &str = "MICRUN_UPDATE_PAGES";

/// Fails unless the page says what was seen in the jail. What is seen without one depends on the host's kernel, so the
/// page keeps what it was when it was written.
pub(super) fn check(attempts: &[Attempt], plain: &[Answer], jailed: &[Answer]) {
    let path = isolation::workspace().join("docs/SECURITY.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (table, after) = rest.split_once(END).expect("the table has an end");
    let seen = rows(attempts, plain, jailed);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", write(&seen))).unwrap();
        return;
    }
    let kept: Vec<[&str; 4]> = table.lines().skip(2).filter_map(cells).collect();
    let same =
        |kept: &[&str; 4], seen: &[String; 4]| [0, 2, 3].into_iter().all(|cell| kept[cell] == seen[cell]);
    let agrees = kept.len() == seen.len() && kept.iter().zip(&seen).all(|(kept, seen)| same(kept, seen));
    assert!(agrees, "run this with {UPDATE}=1: the page says otherwise than\n{}", write(&seen));
}

fn cells(line: &str) -> Option<[&str; 4]> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    cells.try_into().ok()
}

fn rows(attempts: &[Attempt], plain: &[Answer], jailed: &[Answer]) -> Vec<[String; 4]> {
    let rows = attempts.iter().zip(plain).zip(jailed);
    rows.map(|((attempt, plain), jailed)| {
        [attempt.what.to_owned(), describe(*plain), describe(*jailed), attempt.firecracker.to_owned()]
    })
    .collect()
}

fn write(rows: &[[String; 4]]) -> String {
    let mut table =
        "| tried | without a jail | in micrun's jail | Firecracker's jailer |\n|---|---|---|---|\n"
            .to_owned();
    for row in rows {
        writeln!(table, "| {} |", row.join(" | ")).unwrap();
    }
    table
}

fn describe(answer: Answer) -> String {
    match answer {
        Answer::Done => "**done**".to_owned(),
        Answer::Killed => "killed".to_owned(),
        Answer::Refused(Errno::ENOSYS) => "no such call".to_owned(),
        Answer::Refused(Errno::ENOENT) => "no such file".to_owned(),
        Answer::Refused(errno) => format!("{errno:?}"),
    }
}

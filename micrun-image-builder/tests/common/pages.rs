//! The examples of the documentation, run as they stand there (`CONTRIBUTING.md`, "Documents").
//!
//! A block of a page that begins with ```` ```console LABEL ```` is an example. Those below one `##` heading are run in
//! one folder, in their order. A line `$ COMMAND` is a command of a shell, the lines below it are all that it prints. In
//! these, `...` stands for any text, and as a line of its own for any lines. A command with nothing below it may print
//! what it likes. All succeed, but for those that print an `error: `. `<!-- $ COMMAND -->` prepares something that
//! readers of the page need not see.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The examples below one heading.
pub(crate) struct Session {
    /// The page, and the line of its first command.
    pub(crate) place: String,
    /// Its commands.
    pub(crate) steps: Vec<Step>,
    labels: Vec<String>,
}

/// A command and what it prints.
#[derive(Clone)]
pub(crate) struct Step {
    line: usize,
    /// The line of a shell.
    pub(crate) command: String,
    /// Whether the page shows it.
    pub(crate) shown: bool,
    expected: Vec<String>,
}

/// All examples with this label, of the pages in `folder`.
pub(crate) fn sessions(folder: &Path, label: &str) -> Vec<Session> {
    let mut pages: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|it| it == "md"));
    pages.sort();
    let all = pages.iter().flat_map(|path| {
        read(&path.file_name().unwrap().to_string_lossy(), &fs::read_to_string(path).unwrap())
    });
    all.filter(|session| session.labels.iter().any(|it| it == label)).collect()
}

/// The sessions of a page.
fn read(page: &str, text: &str) -> Vec<Session> {
    let new = |line| Session { place: format!("{page}:{line}"), steps: Vec::new(), labels: Vec::new() };
    let mut sessions = vec![new(1)];
    let (mut fenced, mut runs) = (false, false);
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        if !fenced && line.starts_with("## ") {
            sessions.push(new(number));
        }
        let session = sessions.last_mut().unwrap();
        let step = |command: &str, shown| Step {
            line: number,
            command: command.to_owned(),
            shown,
            expected: Vec::new(),
        };
        if let Some(rest) = line.strip_prefix("```") {
            let label = rest.strip_prefix("console ").filter(|_| !fenced);
            session.labels.extend(label.map(str::to_owned));
            (fenced, runs) = (!fenced, label.is_some());
        } else if !fenced {
            let hidden = line.strip_prefix("<!-- $ ").and_then(|it| it.strip_suffix(" -->"));
            session.steps.extend(hidden.map(|command| step(command, false)));
        } else if runs {
            match (line.strip_prefix("$ "), session.steps.last_mut()) {
                (Some(command), _) => session.steps.push(step(command, true)),
                // Empty lines part examples, for readers.
                _ if line.is_empty() => {}
                (None, Some(last)) => last.expected.push(line.to_owned()),
                (None, None) => panic!("{page}:{number}: an example begins with a command"),
            }
        }
    }
    sessions
}

impl Session {
    /// The session with other words in its commands. What they print is read the other way round.
    pub(crate) fn replacing(mut self, from: &str, to: &str) -> Self {
        for step in &mut self.steps {
            step.command = step.command.replace(from, to);
            step.expected.iter_mut().for_each(|line| *line = line.replace(from, to));
        }
        self
    }

    /// Runs the commands in `folder`, the first of whose names `program` has. What is not as the page says.
    pub(crate) fn run(&self, folder: &Path, program: &Path) -> Result<(), String> {
        let search = format!("{}:{}", program.parent().unwrap().display(), env::var("PATH").unwrap());
        for step in &self.steps {
            let output = Command::new("sh")
                .args(["-c", &format!("exec 2>&1\n{}", step.command)])
                .current_dir(folder)
                .env("PATH", &search)
                .env("HOME", folder)
                .env_remove("SOURCE_DATE_EPOCH")
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let printed = String::from_utf8_lossy(&output.stdout);
            let fails = step.expected.iter().any(|line| line.starts_with("error: "));
            let lines: Vec<_> = printed.lines().filter(|line| !line.is_empty()).collect();
            let is_as_said = step.expected.is_empty() || lines_match(&step.expected, &lines);
            if output.status.success() == fails || !is_as_said {
                return Err(format!(
                    "{}, line {}: {}\nprints ({}):\n{printed}",
                    self.place, step.line, step.command, output.status
                ));
            }
        }
        Ok(())
    }
}

fn lines_match(expected: &[String], printed: &[&str]) -> bool {
    match (expected, printed) {
        ([], rest) => rest.is_empty(),
        ([line, rest @ ..], _) if line == "..." => {
            (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..]))
        }
        ([line, rest @ ..], [first, others @ ..]) => line_matches(line, first) && lines_match(rest, others),
        (_, []) => false,
    }
}

fn line_matches(expected: &str, printed: &str) -> bool {
    let mut parts = expected.split("...");
    let Some(mut left) = printed.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return left.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    true
}

#[test]
fn what_the_page_says_is_compared() {
    let page = "## A\n<!-- $ echo there > file -->\n```console test\n$ echo one two; cat file\none ...\nthere\n```\n";
    let run = |page: &str| {
        let session = read("page", page).pop().unwrap();
        session.run(tempfile::tempdir().unwrap().path(), &env::current_exe().unwrap())
    };
    assert_eq!(run(page), Ok(()));
    for (right, wrong) in
        [("there\n`", "here\n`"), ("one ...", "two ..."), ("\nthere\n`", "\n`"), ("two;", "two; false;")]
    {
        let is_status = wrong.contains("false");
        let wrong = page.replace(right, if is_status { "two; exit 3;" } else { wrong });
        assert!(run(&wrong).unwrap_err().contains("echo one two"), "{wrong}");
    }
    assert_eq!(run("## B\n```console test\n$ seq 9\n1\n...\n9\n```\n"), Ok(()));
}

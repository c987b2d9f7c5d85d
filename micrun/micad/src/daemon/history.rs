//! How runs have ended: a file of lines in the daemon's directory, which outlives clients and daemons.
//!
//! Each end is appended as one line. When the file has grown to twice its measure, the latest ends are written anew. Nothing
//! of it is kept in memory.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use libmica::ext::{ClientHistory, End, History, MAX_ENDS};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::file;

/// The file. Another format gets another name, so that no daemon destroys what it does not understand.
const FILE: &str = "history-v1.jsonl";
/// Bytes of the latest ends that stay when the file is written anew. An end has some 250, with registers some 1500, and the
/// last words of its console beside. Twice as many have to fit into a reply (`libmica::reply`).
const MEASURE: u64 = 448 << 10;
/// Bytes of them for which last words are kept: older ends lose theirs, so that the ends themselves stay.
const WORDS: u64 = MEASURE / 2;
/// Bytes of an end's sentence.
const MAX_DETAIL: usize = 1024;

/// The ends of all clients.
#[derive(Debug, Clone)]
pub(super) struct Endings {
    path: PathBuf,
    /// Held by whoever touches the file.
    turn: Arc<Mutex<()>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    client: String,
    #[serde(flatten)]
    end: End,
}

impl Line {
    fn without_words(&self) -> Self {
        Self { client: self.client.clone(), end: End { console: None, ..self.end.clone() } }
    }
}

impl Endings {
    /// Those in the daemon's directory. What is damaged there is reported and left out from now on.
    pub(super) fn open(dir: &Path) -> Self {
        let endings = Self { path: dir.join(FILE), turn: Arc::default() };
        match endings.load() {
            Ok((_, 0)) => {}
            Ok((lines, damaged)) => {
                let path = endings.path.display();
                log::warn!("{path}: {damaged} lines are damaged, so the file is begun anew without them");
                if let Err(e) = endings.replace(&lines) {
                    log::error!("{}", e.sentence());
                }
            }
            Err(e) => log::error!("{}: the ends of earlier runs are not known", e.sentence()),
        }
        endings
    }

    /// Adds one. Blocks.
    pub(super) fn add(&self, client: &str, mut end: End) {
        let detail = &mut end.report.detail;
        detail.truncate(micrun_log::boundary(detail, MAX_DETAIL));
        let line = Line { client: client.to_owned(), end };
        if let Err(e) = self.append(&line) {
            log::error!("{client}: its end is not remembered: {}", e.sentence());
        }
    }

    /// All that is known. Blocks.
    pub(super) fn all(&self) -> Result<History> {
        let mut clients = BTreeMap::<String, Vec<End>>::new();
        for Line { client, end } in self.load()?.0 {
            clients.entry(client).or_default().push(end);
        }
        let clients = clients.into_iter().map(|(name, ends)| ClientHistory { name, ends });
        Ok(History { clients: clients.collect() })
    }

    /// What is known of one client. Blocks.
    pub(super) fn of(&self, client: &str) -> Result<Vec<End>> {
        let lines = self.load()?.0.into_iter();
        Ok(lines.filter(|line| line.client == client).map(|line| line.end).collect())
    }

    fn append(&self, line: &Line) -> Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let options = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path);
        let mut opened = options.map_err(file("open", &self.path))?;
        let before = opened.metadata().map_err(file("examine", &self.path))?.len();
        if let Err(e) = opened.write_all(&text(line)) {
            // Half a line would spoil the next one. If that fails as well, the next daemon reports the damage.
            let _ = opened.set_len(before);
            return Err(file("write", &self.path)(e));
        }
        drop(opened);
        if before < 2 * MEASURE {
            return Ok(());
        }
        let lines = self.read()?.0;
        self.write_anew(&lines)
    }

    fn load(&self) -> Result<(Vec<Line>, usize)> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.read()
    }

    fn replace(&self, lines: &[Line]) -> Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_anew(lines)
    }

    /// The lines that count, the oldest first, and how many cannot be understood.
    fn read(&self) -> Result<(Vec<Line>, usize)> {
        let mut bytes = Vec::new();
        match File::open(&self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok((Vec::new(), 0)),
            // Longer than a daemon lets it become, the rest is damage as well.
            other => other.and_then(|opened| opened.take(4 * MEASURE).read_to_end(&mut bytes)),
        }
        .map_err(file("read", &self.path))?;
        let mut damaged = 0;
        let mut lines = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Line>(line) {
                Ok(line) => lines.push(line),
                Err(_) => damaged += 1,
            }
        }
        latest(&mut lines);
        Ok((lines, damaged))
    }

    /// Writes the latest of these, all or none.
    fn write_anew(&self, lines: &[Line]) -> Result<()> {
        let mut room = MEASURE;
        let mut texts: Vec<Vec<u8>> = Vec::new();
        for line in lines.iter().rev() {
            let text = if room > MEASURE - WORDS { text(line) } else { text(&line.without_words()) };
            let Some(rest) = room.checked_sub(text.len() as u64) else { break };
            room = rest;
            texts.push(text);
        }
        texts.reverse();
        let new = self.path.with_extension("new");
        let options = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new);
        options.and_then(|mut opened| opened.write_all(&texts.concat())).map_err(file("write", &new))?;
        std::fs::rename(&new, &self.path).map_err(file("replace", &self.path))
    }
}

/// Leaves the latest [`MAX_ENDS`] of each client, in their order.
fn latest(lines: &mut Vec<Line>) {
    let mut later = BTreeMap::<String, usize>::new();
    let counts = |line: &Line| {
        let count = later.entry(line.client.clone()).or_default();
        *count += 1;
        *count <= MAX_ENDS
    };
    let keep: Vec<bool> = lines.iter().rev().map(counts).collect();
    let mut keep = keep.into_iter().rev();
    lines.retain(|_| keep.next().unwrap_or_default());
}

fn text(line: &Line) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "plain fields with text keys always serialise")]
    let mut text = serde_json::to_vec(line).expect("a document of plain fields");
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use libmica::ext::{ExitReason, MAX_LAST_WORDS};

    use super::*;
    use crate::pedestal::report;

    fn add(endings: &Endings, client: &str, status: u8) {
        add_with(endings, client, status, 0);
    }

    fn add_with(endings: &Endings, client: &str, status: u8, words: usize) {
        let report = report(status, ExitReason::Exited, "x".repeat(2 * MAX_DETAIL));
        let console = Some("\u{1b}".repeat(words));
        endings.add(client, End { began_at: None, report, scene: None, console });
    }

    fn statuses(endings: &Endings, client: &str) -> Vec<u8> {
        endings.of(client).unwrap().iter().map(|end| end.report.status).collect()
    }

    #[test]
    fn the_latest_ends_of_each_client_stay_and_the_file_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let endings = Endings::open(dir.path());
        add(&endings, "rare", 1);
        for number in 0..20 {
            add(&endings, "often", number);
        }
        assert_eq!(statuses(&endings, "often"), (4..20).collect::<Vec<u8>>());
        assert_eq!(statuses(&endings, "rare"), [1]);
        for number in 0..2500 {
            add(&endings, &format!("c{number}"), 2);
            let length = std::fs::metadata(&endings.path).unwrap().len();
            assert!(length < 2 * MEASURE + 4096, "{length} bytes");
        }
        let known = Endings::open(dir.path()).all().unwrap().clients;
        assert!((100..2500).contains(&known.len()), "{} clients", known.len());
        assert!(known.iter().any(|client| client.name == "c2499"));
        assert!(known.iter().all(|client| client.name != "rare"));
    }

    #[test]
    fn ends_outlive_the_last_words_of_their_consoles_and_all_fit_into_a_reply() {
        let dir = tempfile::tempdir().unwrap();
        let endings = Endings::open(dir.path());
        for number in 0..200 {
            // Each byte of it takes six.
            add_with(&endings, &format!("c{number}"), 2, MAX_LAST_WORDS);
            let reply = serde_json::to_vec(&endings.all().unwrap()).unwrap();
            assert!(reply.len() < libmica::reply::MAX_LEN, "{} bytes", reply.len());
        }
        let words = |number| endings.of(&format!("c{number}")).unwrap()[0].console.is_some();
        assert!(words(199) && !words(0));
    }

    #[test]
    fn what_is_damaged_is_left_out_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let endings = Endings::open(dir.path());
        add(&endings, "a", 1);
        let mut bytes = std::fs::read(&endings.path).unwrap();
        bytes.extend(b"{\"client\":\"a\",\"stat\n\0\xff\n");
        std::fs::write(&endings.path, bytes).unwrap();
        let again = Endings::open(dir.path());
        assert_eq!(again.load().unwrap().1, 0);
        add(&again, "a", 2);
        assert_eq!(statuses(&again, "a"), [1, 2]);
        std::fs::write(&endings.path, [0x80; 5000]).unwrap();
        assert_eq!(statuses(&Endings::open(dir.path()), "a"), [0; 0]);
        assert_eq!(std::fs::metadata(&endings.path).unwrap().len(), 0);
    }
}

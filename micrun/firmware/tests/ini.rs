//! The ini text of all configuration files, and the reader of those on the host.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Stdio};

use micrun_firmware::ini::{self, Ini, MAX_SIZE, Top};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// Keys with their values and lines, by line.
fn pairs(text: &str) -> Vec<(String, String, usize)> {
    let ini = Ini::parse(text, Top::In("x")).unwrap();
    ini.into_pairs().into_iter().map(|(key, entry)| (key, entry.value, entry.line)).collect()
}

fn fault(text: &str) -> String {
    Ini::parse(text, Top::Refused("Micad")).unwrap_err().to_string()
}

#[test]
fn keys_have_their_values_and_lines() {
    let text = "\u{feff}top = 1\r\n; none\n[ A ]\n  Key\t:\t a = b : c # d \n#[B]\n\n[B]\nKEY=\n";
    let expected = [("top", "1", 1), ("key", "a = b : c # d", 4), ("key", "", 8)];
    assert_eq!(pairs(text), expected.map(|(key, value, line)| (key.to_owned(), value.to_owned(), line)));
}

#[test]
fn a_fault_names_its_line_and_what_to_write() {
    for (text, expected) in [
        ("a = 1\n", "line 1: \"a = 1\" comes before any section; begin with [Micad]"),
        (
            "[A]\na = 1\n[B]\na = 2\n[a]\nA = 3\n",
            "line 6: \"A = 3\" repeats the key of line 2; keep one of them",
        ),
        ("[A] # b\n", "line 1: \"[A] # b\" begins a section but does not end with \"]\""),
        ("[A]\na\n", "line 2: \"a\" is not KEY=VALUE; write a value on one line"),
        ("[A]\n : 1\n", "line 2: \": 1\" has no key before its value"),
        ("[A]\na = \u{7}\n", "line 2: \"a = \\u{7}\" has a control character; remove it"),
    ] {
        assert_eq!(fault(text), expected);
    }
    assert!(fault(&"#\n".repeat(40_000)).starts_with("line 1: the file has 80000 bytes"));
}

#[test]
fn a_section_is_read_key_by_key() {
    let mut ini =
        Ini::parse("[Micad]\nConfDri = /etc\nUid = x\nEmpty =\n[Micda]\n", Top::In("Micad")).unwrap();
    let mut section = ini.take("Micad");
    let text = |text: &str| Ok(text.to_owned());
    assert_eq!(section.get("ConfDir", text).unwrap(), None);
    assert_eq!(section.get("Empty", text).unwrap(), None);
    let error = section.get("Uid", |text| text.parse::<u32>().map_err(|e| e.to_string())).unwrap_err();
    assert_eq!(error.to_string(), "line 3: [Micad] Uid: invalid digit found in string");
    let unknown = "[Micad]: the key \"confdri\" is not known and is ignored; did you mean ConfDir?";
    assert_eq!(section.unknown(), [unknown]);
    let unknown = "the section \"micda\" is not known and is ignored; did you mean Micad?";
    assert_eq!(ini.unknown(&["Micad"]), [unknown]);
}

#[test]
fn only_a_regular_file_of_a_bearable_size_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.conf");
    std::fs::write(&path, "[A]\n").unwrap();
    assert_eq!(ini::load(&path).unwrap(), "[A]\n");
    std::fs::write(&path, vec![b'#'; usize::try_from(MAX_SIZE).unwrap() + 1]).unwrap();
    assert!(ini::load(&path).unwrap_err().to_string().contains("longer than the 65536 bytes"));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ini::load(&path).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    // Opening a FIFO that nobody writes to would block.
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    for other in [path.as_path(), dir.path()] {
        assert!(ini::load(other).unwrap_err().to_string().contains("not a regular file"), "{other:?}");
    }
}

type Pairs = Vec<(String, String)>;

/// What Python's configparser makes of each text; `None` of one that it refuses.
fn by_python(texts: &[String]) -> Option<Vec<Option<Pairs>>> {
    const SCRIPT: &str = "\
import configparser, json, sys
def read(text):
    ini = configparser.RawConfigParser(default_section=None)
    try:
        ini.read_string(text)
    except configparser.Error:
        return None
    return [pair for section in ini.sections() for pair in ini.items(section)]
print(json.dumps([read(text) for text in json.load(sys.stdin)]))
";
    let mut command = Command::new("python3");
    let mut python =
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    serde_json::to_writer(python.stdin.take().unwrap(), texts).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Upstream's `mica` reads client.conf with it. We refuse more than it does; what both read is the same.
#[test]
fn python_reads_alike_what_we_read() {
    let line = "\\[[A-Z]\\]|[;#][ -~]{0,6}|[a-e] ?[=:] ?[!-~]?[ -~]{0,8}[!-~]";
    let texts = prop::collection::vec(line, 0..8).prop_map(|lines| format!("[Mica]\n{}\n", lines.join("\n")));
    let mut runner = TestRunner::default();
    let texts: Vec<String> = (0..500).map(|_| texts.new_tree(&mut runner).unwrap().current()).collect();
    let Some(theirs) = by_python(&texts) else {
        eprintln!("SKIPPED: python3 is missing");
        return;
    };
    let mut compared = 0;
    for (text, theirs) in texts.iter().zip(theirs) {
        let (Ok(ini), Some(mut theirs)) = (Ini::parse(text, Top::Refused("Mica")), theirs) else { continue };
        let mut ours: Vec<_> = ini.into_pairs().into_iter().map(|(key, entry)| (key, entry.value)).collect();
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "{text}");
        compared += usize::from(!ours.is_empty());
    }
    assert!(compared > 100, "{compared} of {}", texts.len());
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = Ini::parse(&text, Top::In("x"));
        let _ = Ini::parse(&text, Top::Refused("x"));
    }

    #[test]
    fn every_pair_is_found_where_it_was_written(
        values in prop::collection::vec("[!-~é](?:[ -~é]{0,20}[!-~é])?", 0..20),
    ) {
        let lines: Vec<_> = values.iter().enumerate().map(|(n, value)| format!("k{n} = {value}")).collect();
        let expected: Vec<_> =
            values.iter().enumerate().map(|(n, value)| (format!("k{n}"), value.clone(), n + 1)).collect();
        prop_assert_eq!(pairs(&lines.join("\n")), expected);
    }
}

//! What a firmware's shell prints. The first byte says how long each piece is, the first line is the prompt, the second
//! the command.
#![no_main]

#[path = "../../micrun/shim/src/stdio/search.rs"]
mod search;
#[path = "../../micrun/shim/src/rtos/shell_reader.rs"]
mod shell_reader;

use libfuzzer_sys::fuzz_target;
use search::Search;
use shell_reader::{MAX_LINE, Reader, without_returns};

/// What is understood until the prompt comes.
#[derive(Debug, PartialEq)]
struct Answer {
    output: Vec<u8>,
    status: u32,
    prompted: bool,
    /// How many bytes that took.
    taken: usize,
}

fn read(prompt: &str, command: &str, bytes: &[u8], size: usize) -> Answer {
    let mut reader = Reader::new(prompt, Some(command));
    let (mut output, mut taken) = (Vec::new(), 0);
    for piece in bytes.chunks(size) {
        output.extend(reader.take(piece));
        taken += piece.len();
        if reader.prompted {
            break;
        }
    }
    Answer { output, status: reader.status, prompted: reader.prompted, taken }
}

/// The bytes as those see them who have no terminal.
fn plain(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut after_return = false;
    bytes.chunks(size).flat_map(|piece| without_returns(piece, &mut after_return)).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, rest)) = bytes.split_first() else { return };
    let size = usize::from(*size).max(1);
    let mut lines = rest.splitn(3, |byte| *byte == b'\n').map(str::from_utf8);
    let (Some(Ok(prompt)), Some(Ok(command))) = (lines.next(), lines.next()) else { return };
    // As the annotation demands.
    if prompt.trim().is_empty() {
        return;
    }
    let text = &rest[(prompt.len() + command.len() + 2).min(rest.len())..];

    // In pieces of one byte the prompt comes as early as it can. Until then nothing depends on the cuts.
    let answer = read(prompt, command, text, 1);
    let until = &text[..answer.taken];
    assert_eq!(read(prompt, command, until, size), answer, "however it is cut");
    assert_eq!(read(prompt, command, until, until.len().max(1)), answer, "in one piece");
    assert!(answer.output.len() <= until.len());

    // Firmware that never ends its line makes nobody keep it.
    let line = text.iter().filter(|byte| **byte != b'\n').copied();
    let line: Vec<u8> = line.cycle().take(2 * MAX_LINE).collect();
    let passed = read(prompt, command, &line, MAX_LINE);
    assert!(passed.prompted || passed.output.len() + MAX_LINE >= line.len());

    assert_eq!(plain(text, size), plain(text, text.len().max(1)), "however it is cut");
    let mut search = Search::new(prompt);
    let found = text.chunks(size).fold(false, |found, piece| search.take(piece) || found);
    assert_eq!(found, text.windows(prompt.len()).any(|window| window == prompt.as_bytes()));
});

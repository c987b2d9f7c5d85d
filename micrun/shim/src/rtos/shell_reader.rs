//! What a shell prints, told apart: the echo of a command, its output, the word that gives its status, the prompt.
//!
//! It may come in pieces of any size, of which firmware chooses every byte. Nothing here needs the rest of the shim:
//! `fuzz/` compiles this file by itself.

/// What a line of output begins with that gives the command's exit status.
const STATUS_WORD: &str = "micrun-exit: ";
/// Longest line that is looked at as a whole; a longer one is no prompt.
pub(super) const MAX_LINE: usize = 4096;

/// Tells a command's output from its echo, from the word that gives its status and from the prompt behind it.
#[derive(Debug)]
pub(crate) struct Reader {
    prompt: String,
    /// The command, until its echo has come.
    echo: Option<String>,
    /// The beginning of a line that could still become one of the three.
    line: Vec<u8>,
    /// Whether the beginning of the present line is out already.
    passed: bool,
    /// Whether the prompt has come. What comes with more behind it, in the same piece, is none.
    pub prompted: bool,
    /// What the status word said.
    pub status: u32,
}

impl Reader {
    /// For the output of `command`, or for what comes before any.
    pub(crate) fn new(prompt: &str, command: Option<&str>) -> Self {
        let (prompt, echo) = (prompt.trim().to_owned(), command.map(str::to_owned));
        Self { prompt, echo, line: Vec::new(), passed: false, prompted: false, status: 0 }
    }

    /// Takes bytes of the shell; gives those that are output.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        for byte in bytes {
            self.line.push(*byte);
            if *byte == b'\n' {
                self.end_line(&mut output);
            } else if self.passed || self.line.len() > MAX_LINE {
                output.append(&mut self.line);
                self.passed = true;
            }
        }
        if self.echo.is_none() && !self.passed {
            let text = plain(whole_characters(&self.line));
            if text.trim() == self.prompt {
                self.prompted = true;
            } else if !self.could_be_special(text.trim_start()) {
                output.append(&mut self.line);
                self.passed = true;
            }
        }
        output
    }

    fn end_line(&mut self, output: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        let passed = std::mem::take(&mut self.passed);
        let text = plain(&line);
        let text = text.trim();
        if !passed && let Some(command) = &self.echo {
            let typed = text.strip_prefix(self.prompt.as_str()).unwrap_or(text).trim();
            if typed.is_empty() {
                return;
            }
            let echoed = typed == command.trim();
            self.echo = None;
            if echoed {
                return;
            }
        }
        match text.strip_prefix(STATUS_WORD).map(str::parse::<u8>) {
            Some(Ok(status)) if !passed => self.status = status.into(),
            _ => output.extend(line),
        }
    }

    fn could_be_special(&self, text: &str) -> bool {
        [self.prompt.as_str(), STATUS_WORD]
            .iter()
            .any(|word| word.starts_with(text) || text.starts_with(word))
    }
}

/// A line without the beginning of a character at its end: the rest may come with the next piece.
fn whole_characters(line: &[u8]) -> &[u8] {
    let broken = line.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    let begun = str::from_utf8(broken).is_err_and(|error| error.error_len().is_none());
    if begun { &line[..line.len() - broken.len()] } else { line }
}

/// The text of a line without the sequences that colour it or move the cursor (ECMA-48, 5.4), of which the last may be
/// incomplete. Shells such as Zephyr's have them in prompt and echo.
fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut pieces = text.split('\x1b');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    let is_final = |c: char| ('\x40'..='\x7e').contains(&c);
    for piece in pieces {
        let mut rest = piece.chars();
        if rest.next() == Some('[') {
            // Parameters, and the character that ends them.
            rest.find(|c| is_final(*c));
        }
        plain.push_str(rest.as_str());
    }
    plain
}

/// Without the carriage returns before line feeds, for who has no terminal.
pub(crate) fn without_returns(bytes: &[u8], after_return: &mut bool) -> Vec<u8> {
    let mut output = Vec::with_capacity(bytes.len() + 1);
    for byte in bytes {
        if std::mem::take(after_return) && *byte != b'\n' {
            output.push(b'\r');
        }
        match byte {
            b'\r' => *after_return = true,
            other => output.push(*other),
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader makes of a text that comes in pieces of every size.
    fn read(command: &str, text: &str) -> (String, u32, bool) {
        read_until("micrun> ", command, text)
    }

    fn read_until(prompt: &str, command: &str, text: &str) -> (String, u32, bool) {
        let mut results = (1..=text.len()).map(|size| {
            let mut reader = Reader::new(prompt, Some(command));
            let mut output = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                output.extend(reader.take(piece));
            }
            (String::from_utf8(output).unwrap(), reader.status, reader.prompted)
        });
        let first = results.next().unwrap();
        assert!(results.all(|other| other == first), "{text:?}");
        first
    }

    #[test]
    fn echo_output_and_prompt() {
        assert_eq!(read("uname", "uname\r\nFreeRTOS\r\nmicrun> "), ("FreeRTOS\r\n".into(), 0, true));
        assert_eq!(read("echo", "echo\r\n\r\nmicrun> "), ("\r\n".into(), 0, true));
        assert_eq!(read("true", " true\r\nmicrun> "), (String::new(), 0, true));
        assert_eq!(read("x", "micrun> x\r\ny\r\nmicrun> "), ("y\r\n".into(), 0, true));
        // A shell that does not echo.
        assert_eq!(read("uname", "FreeRTOS\r\nmicrun>"), ("FreeRTOS\r\n".into(), 0, true));
    }

    #[test]
    fn the_status_word_is_taken_out() {
        assert_eq!(
            read("x", "x\r\nno such\r\nmicrun-exit: 127\r\nmicrun> "),
            ("no such\r\n".into(), 127, true)
        );
        let (text, status, _) = read("x", "x\r\nmicrun-exit: many\r\nmicrun> ");
        assert_eq!((text.as_str(), status), ("micrun-exit: many\r\n", 0));
    }

    #[test]
    fn a_prompt_within_a_line_is_output() {
        assert_eq!(read("x", "x\r\nsay micrun> \r\nmicrun> "), ("say micrun> \r\n".into(), 0, true));
        assert_eq!(read("x", "x\r\nmicron\r\nmicrun> "), ("micron\r\n".into(), 0, true));
        assert!(!read("x", "x\r\nno end").2);
    }

    /// As Zephyr's shell prints by default.
    #[test]
    fn colours_and_cursor_movements_do_not_hide_prompt_and_echo() {
        let text = "\x1b7\x1b[8D\x1b[Jx\r\n\x1b[1;31mred\x1b[m\r\n\x1b[1;32mmicrun> \x1b[m";
        let (output, _, prompted) = read("x", text);
        assert_eq!((output.as_str(), prompted), ("\x1b[1;31mred\x1b[m\r\n", true));
    }

    /// Found by `fuzz/run shell`.
    #[test]
    fn a_cut_within_a_character_does_not_hide_the_prompt() {
        assert_eq!(read_until("µ➜ ", "x", "x\r\ny\r\nµ➜ "), ("y\r\n".into(), 0, true));
    }

    /// Found by `fuzz/run shell`: of lines that end with `\n\r`, a cut behind the `\r` hid prompt and status.
    #[test]
    fn a_blank_or_a_return_may_be_in_front() {
        assert_eq!(read("x", "x\n\r micrun-exit: 3\n\rmicrun> "), (String::new(), 3, true));
        assert_eq!(read("x", "x\n\r y\n\rmicrun> "), ("\r y\n".into(), 0, true));
    }

    #[test]
    fn a_very_long_line_passes() {
        let long = "y".repeat(3 * MAX_LINE);
        let mut reader = Reader::new("micrun>", Some("x"));
        let mut output = reader.take(format!("x\r\n{long}").as_bytes());
        output.extend(reader.take(b"z\r\nmicrun> "));
        assert_eq!(output, format!("{long}z\r\n").as_bytes());
        assert!(reader.prompted);
    }

    #[test]
    fn returns() {
        let mut after = false;
        let mut all = without_returns(b"a\r\nb\r", &mut after);
        all.extend(without_returns(b"\nc\rd", &mut after));
        assert_eq!(all, b"a\nb\nc\rd");
    }
}

//! The firmware's shell: one command at a time, and what it prints until its next prompt. docs/FIRMWARE.md says what a
//! firmware must do for it.

use std::path::PathBuf;
use std::time::Duration;

use libmica::ClientStatus;

use super::terminal::Terminal;

/// How long a shell may take to show its prompt when nothing runs in it.
pub(super) const PROMPT_BOUND: Duration = Duration::from_secs(5);
/// What a line of output begins with that gives the command's exit status.
const STATUS_WORD: &str = "micrun-exit: ";
/// Longest line that is looked at as a whole; a longer one is no prompt.
const MAX_LINE: usize = 4096;
/// Ends what runs in a shell that knows it.
const INTERRUPT: &[u8] = b"\x03";

/// A shell that waits for a command, or runs one.
#[derive(Debug)]
pub(crate) struct Shell {
    terminal: Terminal,
    prompt: String,
}

/// The device of the client's second terminal.
pub(crate) fn device(status: &ClientStatus) -> Option<PathBuf> {
    let mut terminals = status.services.iter().filter(|service| service.name.starts_with("rpmsg-tty"));
    terminals.nth(1)?.device.clone()
}

impl Shell {
    /// Waits for the prompt on the terminal, or gives the reason why there is none.
    pub(crate) async fn open(terminal: Terminal, prompt: &str, bound: Duration) -> Result<Self, String> {
        let mut shell = Self { terminal, prompt: prompt.trim_end().to_owned() };
        shell.send(b"\r").await?;
        let (mut reader, mut before) = (Reader::new(&shell.prompt, None), Vec::new());
        let prompted = async {
            while !shell.read_some(&mut reader, &mut before).await? {
                before.clear();
            }
            Ok::<_, String>(())
        };
        match tokio::time::timeout(bound, prompted).await {
            Ok(prompted) => prompted.map(|()| shell),
            Err(_) => Err(format!(
                "the firmware's shell did not show its prompt `{}` within {bound:?}",
                shell.prompt
            )),
        }
    }

    /// Sends a command.
    pub(crate) async fn run(&mut self, command: &str) -> Result<(), String> {
        // The blank behind the last prompt, say.
        self.terminal.discard();
        self.send(format!("{command}\r").as_bytes()).await
    }

    /// Reads once and adds what is output to `output`; true when the prompt has come. May be cancelled.
    pub(crate) async fn read_some(
        &mut self,
        reader: &mut Reader,
        output: &mut Vec<u8>,
    ) -> Result<bool, String> {
        let bytes = self.terminal.read().await;
        let bytes = bytes.map_err(|error| format!("reading the firmware's shell failed: {error}"))?;
        if bytes.is_empty() {
            return Err("the firmware's shell has gone".to_owned());
        }
        output.extend(reader.take(&bytes));
        Ok(reader.prompted)
    }

    /// Asks what runs to end.
    pub(crate) async fn interrupt(&mut self) -> Result<(), String> {
        self.send(INTERRUPT).await
    }

    /// Whether its terminal is to be given back after each command.
    pub(crate) fn is_borrowed(&self) -> bool {
        self.terminal.is_borrowed()
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.terminal.write_all(bytes).await.map_err(|error| format!("writing to the shell failed: {error}"))
    }
}

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
    /// Whether the prompt has come.
    prompted: bool,
    /// What the status word said.
    pub status: u32,
}

impl Reader {
    /// For the output of `command`, or for what comes before any.
    pub(crate) fn new(prompt: &str, command: Option<&str>) -> Self {
        let (prompt, echo) = (prompt.trim_end().to_owned(), command.map(str::to_owned));
        Self { prompt, echo, line: Vec::new(), passed: false, prompted: false, status: 0 }
    }

    /// Takes bytes of the shell; gives those that are output.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
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
            let text = plain(&self.line);
            if text.trim_end() == self.prompt {
                self.prompted = true;
            } else if !self.could_be_special(&text) {
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
        let mut results = (1..=text.len()).map(|size| {
            let mut reader = Reader::new("micrun> ", Some(command));
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

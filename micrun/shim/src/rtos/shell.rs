//! The firmware's shell on the second console: one command at a time, and what it prints until its next prompt.
//! docs/FIRMWARE.md says what a firmware must do for it.

use std::path::PathBuf;
use std::time::Duration;

use libmica::ClientStatus;

use crate::os::tty::Tty;

/// How long a shell may take to show its prompt when nothing runs in it.
const PROMPT_BOUND: Duration = Duration::from_secs(5);
const BUFFER: usize = 4096;
/// What a line of output begins with that gives the command's exit status.
const STATUS_WORD: &str = "micrun-exit: ";
/// Longest line that is looked at as a whole; a longer one is no prompt.
const MAX_LINE: usize = 4096;
/// Ends what runs in a shell that knows it.
const INTERRUPT: &[u8] = b"\x03";

/// A shell that waits for a command, or runs one.
#[derive(Debug)]
pub(crate) struct Shell {
    tty: Tty,
    prompt: String,
}

/// The device of the shell: the client's second terminal.
pub(crate) fn device(status: &ClientStatus) -> Option<PathBuf> {
    let mut terminals = status.services.iter().filter(|service| service.name.starts_with("rpmsg-tty"));
    terminals.nth(1)?.device.clone()
}

impl Shell {
    /// Opens the terminal and waits for the prompt, or gives the reason why there is none.
    pub(crate) async fn open(device: &std::path::Path, prompt: &str) -> Result<Self, String> {
        let tty = Tty::open(device).map_err(|error| format!("cannot open {}: {error}", device.display()))?;
        let mut shell = Self { tty, prompt: prompt.trim_end().to_owned() };
        shell.send(b"\r").await?;
        let prompted = async {
            let (mut reader, mut before) = (Reader::new(&shell.prompt, None), Vec::new());
            while !shell.read_some(&mut reader, &mut before).await? {
                before.clear();
            }
            Ok::<_, String>(())
        };
        tokio::time::timeout(PROMPT_BOUND, prompted).await.map_err(|_| {
            format!("the firmware's shell did not show its prompt `{}` within {PROMPT_BOUND:?}", shell.prompt)
        })??;
        Ok(shell)
    }

    /// Sends a command.
    pub(crate) async fn run(&mut self, command: &str) -> Result<(), String> {
        self.discard();
        self.send(format!("{command}\r").as_bytes()).await
    }

    /// Reads once and adds what is output to `output`; true when the prompt has come. May be cancelled.
    pub(crate) async fn read_some(&self, reader: &mut Reader, output: &mut Vec<u8>) -> Result<bool, String> {
        let mut buffer = [0; BUFFER];
        match self.tty.read(&mut buffer).await {
            Ok(0) => return Err("the firmware's shell has gone".to_owned()),
            Ok(count) => output.extend(reader.take(&buffer[..count])),
            Err(error) => return Err(format!("reading the firmware's shell failed: {error}")),
        }
        Ok(reader.prompted)
    }

    /// Asks what runs to end.
    pub(crate) async fn interrupt(&mut self) -> Result<(), String> {
        self.send(INTERRUPT).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.tty.write_all(bytes).await.map_err(|error| format!("writing to the shell failed: {error}"))
    }

    /// The blank behind the last prompt, say.
    fn discard(&self) {
        let mut buffer = [0; BUFFER];
        while matches!(self.tty.try_read(&mut buffer), Ok(1..)) {}
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
        let text = String::from_utf8_lossy(&self.line);
        if self.echo.is_none() && !self.passed {
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
        let text = String::from_utf8_lossy(&line);
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

//! The firmware's shell: one command at a time, and what it prints until its next prompt. docs/FIRMWARE.md says what a
//! firmware must do for it.

use std::path::PathBuf;
use std::time::Duration;

use libmica::ClientStatus;
use libmica::names::is_terminal;

use super::shell_reader::Reader;
use super::terminal::Terminal;

/// How long a shell may take to show its prompt when nothing runs in it.
pub(super) const PROMPT_BOUND: Duration = Duration::from_secs(5);
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
    let mut terminals = status.services.iter().filter(|service| is_terminal(&service.name));
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

//! What a build says about its firmware beside the ELF.

/// Facts that become defaults of the image; what the user says wins over them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BuildFacts {
    /// The operating system, in the word of `container.os`.
    pub(crate) os: Option<&'static str>,
    /// Its version.
    pub(crate) os_version: Option<String>,
    /// The board it is built for, as the operating system names it (`qemu_cortex_a53`, `mps2/an385`).
    pub(crate) board: Option<String>,
    /// The device of its console.
    pub(crate) console: Option<String>,
    /// What its shell prints when it waits for a command.
    pub(crate) shell_prompt: Option<String>,
    /// Whether the shell is on the console and not on a port of its own.
    pub(crate) shell_on_console: bool,
    /// What the application is called.
    pub(crate) application: Option<String>,
    /// Documents in SPDX that the build has made: names and texts.
    pub(crate) documents: Vec<(String, String)>,
}

impl BuildFacts {
    /// The facts as a sentence for the user, if there are any.
    pub(crate) fn sentence(&self) -> Option<String> {
        let os = self.os?;
        let version = self.os_version.as_ref().map(|version| format!(" {version}"));
        let board = self.board.as_ref().map(|board| format!(" for the board {board}"));
        let console = self.console.as_ref().map(|console| format!(", console {console}"));
        let prompt =
            self.shell_prompt.as_ref().map(|prompt| format!(", shell prompt {:?}", prompt.trim_end()));
        let parts = [version, board, console, prompt].map(Option::unwrap_or_default);
        Some(format!("the build is of {os}{}", parts.concat()))
    }
}

//! UniProton: the directory of an application (`demos/NAME`) after its `build_app.sh`.

use super::super::facts::BuildFacts;
use super::super::fault::{Fault, Result};
use super::super::text;
use super::super::tree::Tree;
use super::Build;

/// Where the configuration is: the build writes it, or the application has its own.
const CONFIGS: [&str; 2] = ["include/prt_buildef.h", "config/prt_buildef.h"];
/// Where applications' scripts leave the ELF.
const OUTPUTS: [&str; 2] = ["build/", "build/out/"];
/// What UniProton's shell prints when it waits for a command.
const PROMPT: &str = "openEuler UniProton #";

pub(super) fn find(tree: &dyn Tree) -> Result<Option<Build>> {
    let Some(config) = CONFIGS.into_iter().find(|path| tree.has(path)) else { return Ok(None) };
    let mut elves = [tree.elves(OUTPUTS[0])?, tree.elves(OUTPUTS[1])?].concat();
    elves.sort();
    elves.dedup();
    if elves.len() != 1 {
        return Err(Fault::refused(format!(
            "it is an application of UniProton with {} *.elf in build/; give the ELF itself",
            elves.len()
        )));
    }
    let config = tree.text(config)?;
    let has_shell = text::macro_value(&config, "LOSCFG_SHELL").is_some();
    let facts = BuildFacts {
        os: Some("uniproton"),
        board: text::macro_value(&config, "OS_CPU_TYPE")
            .map(|cpu| cpu.trim_start_matches("OS_").to_lowercase())
            .filter(|cpu| !cpu.is_empty()),
        shell_prompt: has_shell.then(|| PROMPT.to_owned()),
        shell_on_console: has_shell,
        application: tree.name(),
        ..BuildFacts::default()
    };
    Ok(Some(Build { elf: elves.remove(0), facts }))
}

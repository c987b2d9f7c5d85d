//! NuttX: its source directory after `make`, or the build directory of CMake.

use super::super::facts::BuildFacts;
use super::super::fault::Result;
use super::super::text;
use super::super::tree::Tree;
use super::Build;

const ELF: &str = "nuttx";
/// What nsh prints if the configuration says nothing else.
const PROMPT: &str = "nsh> ";

pub(super) fn find(tree: &dyn Tree) -> Result<Option<Build>> {
    if !tree.has(ELF) || !tree.has(".config") {
        return Ok(None);
    }
    let config = tree.text(".config")?;
    let version = tree.text(".version")?;
    let value = |symbol| text::kconfig(&config, symbol).filter(|value| !value.is_empty());
    let has_shell = value("CONFIG_NSH_LIBRARY").is_some();
    let prompt = value("CONFIG_NSH_PROMPT_STRING").unwrap_or_else(|| PROMPT.to_owned());
    let facts = BuildFacts {
        os: Some("nuttx"),
        // What a source tree without tags calls itself.
        os_version: text::kconfig(&version, "CONFIG_VERSION_STRING").filter(|version| version != "0.0.0"),
        board: value("CONFIG_ARCH_BOARD"),
        shell_prompt: has_shell.then_some(prompt),
        shell_on_console: has_shell,
        ..BuildFacts::default()
    };
    Ok(Some(Build { elf: ELF.to_owned(), facts }))
}

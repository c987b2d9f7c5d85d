//! RT-Thread: the directory of its board support package after `scons`.

use super::super::facts::BuildFacts;
use super::super::fault::Result;
use super::super::text;
use super::super::tree::Tree;
use super::Build;

const ELF: &str = "rtthread.elf";
const CONFIG: &str = "rtconfig.h";

pub(super) fn find(tree: &dyn Tree) -> Result<Option<Build>> {
    if !tree.has(ELF) || !tree.has(CONFIG) {
        return Ok(None);
    }
    let config = tree.text(CONFIG)?;
    let is_on = |name| text::macro_value(&config, name).is_some();
    let has_shell = is_on("RT_USING_FINSH") || is_on("RT_USING_MSH");
    // msh shows the working directory if it has one.
    let prompt = if is_on("RT_USING_DFS") && is_on("DFS_USING_WORKDIR") { "msh />" } else { "msh >" };
    let facts = BuildFacts {
        os: Some("rt-thread"),
        os_version: text::macro_value(&config, "RT_VER_NUM").as_deref().and_then(version),
        // The directory is called after the board.
        board: tree.name(),
        console: text::macro_value(&config, "RT_CONSOLE_DEVICE_NAME"),
        shell_prompt: has_shell.then(|| prompt.to_owned()),
        shell_on_console: has_shell,
        ..BuildFacts::default()
    };
    Ok(Some(Build { elf: ELF.to_owned(), facts }))
}

/// `0x50100` is 5.1.0.
fn version(number: &str) -> Option<String> {
    let number = u32::from_str_radix(number.strip_prefix("0x")?, 16).ok()?;
    Some(format!("{}.{}.{}", number >> 16, number >> 8 & 0xff, number & 0xff))
}

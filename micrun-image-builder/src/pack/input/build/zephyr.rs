//! Zephyr: `build/` of `west build`, `zephyr/` in it, or a build of several images by sysbuild.

use super::super::facts::BuildFacts;
use super::super::fault::Result;
use super::super::text;
use super::super::tree::Tree;
use super::Build;

const ELF: &str = "zephyr.elf";
/// What `west spdx` makes, in `spdx/` of the build.
const DOCUMENTS: [&str; 4] = ["app.spdx", "build.spdx", "modules-deps.spdx", "zephyr.spdx"];

pub(super) fn find(tree: &dyn Tree) -> Result<Option<Build>> {
    let Some(top) = top(tree)? else { return Ok(None) };
    let folder = if tree.has(&format!("{top}zephyr/{ELF}")) { format!("{top}zephyr/") } else { top.clone() };
    let config = tree.text(&format!("{folder}.config"))?;
    let devices = tree.text(&format!("{folder}zephyr.dts"))?;
    let build = tree.text(&format!("{top}build_info.yml"))?;
    let value = |symbol| text::kconfig(&config, symbol).filter(|value| !value.is_empty());
    let is_on = |symbol| value(symbol).as_deref() == Some("y");

    let console = text::phandle(&devices, "zephyr,console");
    let shell = text::phandle(&devices, "zephyr,shell-uart").or_else(|| console.clone());
    let has_shell = is_on("CONFIG_SHELL") && is_on("CONFIG_SHELL_BACKEND_SERIAL");
    let facts = BuildFacts {
        os: Some("zephyr"),
        os_version: text::yaml(&build, &["cmake", "zephyr", "version"]).or(version(tree, &folder)?),
        board: board(&build).or_else(|| value("CONFIG_BOARD_TARGET")).or_else(|| value("CONFIG_BOARD")),
        shell_on_console: has_shell && shell == console,
        shell_prompt: value("CONFIG_SHELL_PROMPT_UART").filter(|_| has_shell),
        console,
        application: text::yaml(&build, &["cmake", "application", "source-dir"])
            .and_then(|path| path.trim_end_matches('/').rsplit('/').next().map(str::to_owned))
            .filter(|name| !name.is_empty()),
        documents: documents(tree, &top)?,
    };
    Ok(Some(Build { elf: format!("{folder}{ELF}"), facts }))
}

/// What `west spdx` has written.
fn documents(tree: &dyn Tree, top: &str) -> Result<Vec<(String, String)>> {
    let mut documents = Vec::new();
    for name in DOCUMENTS {
        let text = tree.text(&format!("{top}spdx/{name}"))?;
        if !text.is_empty() {
            documents.push((name.to_owned(), text));
        }
    }
    Ok(documents)
}

/// The folder, with a slash at its end, of the build of one image.
fn top(tree: &dyn Tree) -> Result<Option<String>> {
    if tree.has(&format!("zephyr/{ELF}")) || (tree.has(ELF) && tree.has(".config")) {
        return Ok(Some(String::new()));
    }
    let domains = tree.text("domains.yaml")?;
    let main = text::yaml(&domains, &["default"]).map(|name| format!("{name}/"));
    Ok(main.filter(|main| tree.has(&format!("{main}zephyr/{ELF}"))))
}

/// `NAME[@REVISION][/QUALIFIERS]`, as `west build -b` takes it. The qualifiers that only repeat the name, as QEMU's
/// boards have them, are left out.
fn board(build: &str) -> Option<String> {
    let part = |key| text::yaml(build, &["cmake", "board", key]).filter(|value| !value.is_empty());
    let name = part("name")?;
    let revision = part("revision").map(|revision| format!("@{revision}")).unwrap_or_default();
    let qualifiers =
        part("qualifiers").filter(|it| *it != name).map(|it| format!("/{it}")).unwrap_or_default();
    Some(format!("{name}{revision}{qualifiers}"))
}

/// The version in the header that every build has; `build_info.yml` is there since Zephyr 4.1.
fn version(tree: &dyn Tree, folder: &str) -> Result<Option<String>> {
    for path in ["include/generated/zephyr/version.h", "include/generated/version.h"] {
        let header = tree.text(&format!("{folder}{path}"))?;
        if let Some(version) = text::macro_value(&header, "KERNEL_VERSION_STRING") {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

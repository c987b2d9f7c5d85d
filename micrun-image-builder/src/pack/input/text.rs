//! What generated texts say: Kconfig's `.config`, C headers, CMake's YAML, device tree sources. Each is read as its
//! generator writes it, line by line, and what is not understood is not there.

/// The longest value that is believed.
const MAX_VALUE: usize = 255;

/// The value of a Kconfig symbol, without quotation marks: `CONFIG_BOARD="frdm_k64f"`.
pub(crate) fn kconfig(text: &str, symbol: &str) -> Option<String> {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.trim().strip_prefix(symbol)?.strip_prefix('='))?;
    believed(unquoted(value, '"'))
}

/// The value of a macro, without quotation marks; empty if it has none: `#define RT_VER_NUM 0x50100`.
pub(crate) fn macro_value(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix('#')?.trim_start().strip_prefix("define")?.trim_start();
        let value = rest.strip_prefix(name)?;
        (value.is_empty() || value.starts_with([' ', '\t'])).then_some(value)
    })?;
    believed(unquoted(value.trim(), '"'))
}

/// The scalar at a path of keys in a YAML document of nested mappings, as CMake's `yaml` module of Zephyr and
/// west write them.
pub(crate) fn yaml(text: &str, path: &[&str]) -> Option<String> {
    let mut keys: Vec<(usize, &str)> = Vec::new();
    for line in text.lines() {
        let content = line.trim_start();
        let Some((key, value)) = content.split_once(':') else { continue };
        if content.starts_with(['-', '#']) {
            continue;
        }
        let indent = line.len() - content.len();
        while keys.last().is_some_and(|(above, _)| *above >= indent) {
            keys.pop();
        }
        keys.push((indent, key.trim_end()));
        if !value.trim().is_empty() && keys.iter().map(|(_, key)| key).eq(path) {
            return believed(unquoted(value.trim(), '\''));
        }
    }
    None
}

/// The label that a property of a device tree refers to: `zephyr,console = &uart0;`.
pub(crate) fn phandle(text: &str, property: &str) -> Option<String> {
    let value =
        text.lines().find_map(|line| line.trim().strip_prefix(property)?.trim_start().strip_prefix('='))?;
    let label = value.trim_start().strip_prefix('&')?;
    let end = label.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(label.len());
    believed(label[..end].to_owned())
}

/// Without the quotation marks around it and what stands before those inside, `\` in Kconfig and C.
fn unquoted(text: &str, mark: char) -> String {
    match text.strip_prefix(mark).and_then(|text| text.strip_suffix(mark)) {
        Some(inside) if mark == '"' => inside.replace("\\\"", "\"").replace("\\\\", "\\"),
        Some(inside) => inside.replace("''", "'"),
        None => text.to_owned(),
    }
}

/// A value that may be shown and written into the image.
fn believed(value: String) -> Option<String> {
    (value.len() <= MAX_VALUE && !value.chars().any(char::is_control)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kconfig_symbols_have_their_values() {
        let text = "# CONFIG_A is not set\nCONFIG_AB=\"x\"\nCONFIG_B=\"uart:~$ \"\r\nCONFIG_C=y\nCONFIG_D=\"a \\\"b\\\"\"\n";
        assert_eq!(kconfig(text, "CONFIG_A"), None);
        assert_eq!(kconfig(text, "CONFIG_B").as_deref(), Some("uart:~$ "));
        assert_eq!(kconfig(text, "CONFIG_C").as_deref(), Some("y"));
        assert_eq!(kconfig(text, "CONFIG_D").as_deref(), Some("a \"b\""));
        assert_eq!(kconfig("CONFIG_E=\"\u{1b}[2J\"", "CONFIG_E"), None, "nothing that a terminal obeys");
    }

    #[test]
    fn macros_have_their_values() {
        let text = "#define A\n  # define B  0x50100\n#define C \"uart0\"\n#define AB 1\n";
        assert_eq!(macro_value(text, "A").as_deref(), Some(""));
        assert_eq!(macro_value(text, "B").as_deref(), Some("0x50100"));
        assert_eq!(macro_value(text, "C").as_deref(), Some("uart0"));
        assert_eq!(macro_value(text, "D"), None);
    }

    #[test]
    fn yaml_scalars_are_found_by_their_path() {
        let text = "cmake:\n  board:\n    name: 'a'\n    path:\n     - '/x: y'\n    revision: ''\n  zephyr:\n    \
                    version: '4.4.99'\nversion: '0.1.0'\n";
        assert_eq!(yaml(text, &["cmake", "zephyr", "version"]).as_deref(), Some("4.4.99"));
        assert_eq!(yaml(text, &["version"]).as_deref(), Some("0.1.0"));
        assert_eq!(yaml(text, &["cmake", "board", "name"]).as_deref(), Some("a"));
        assert_eq!(yaml(text, &["board", "name"]), None);
        assert_eq!(yaml("default: blinky\n", &["default"]).as_deref(), Some("blinky"));
    }

    #[test]
    fn a_chosen_node_is_named_by_its_label() {
        let text =
            "\tchosen {\n\t\tzephyr,console = &uart0; /* in a.dts:3 */\n\t\tzephyr,sram = <&x>;\n\t};\n";
        assert_eq!(phandle(text, "zephyr,console").as_deref(), Some("uart0"));
        assert_eq!(phandle(text, "zephyr,sram"), None);
        assert_eq!(phandle(text, "zephyr,shell-uart"), None);
    }
}

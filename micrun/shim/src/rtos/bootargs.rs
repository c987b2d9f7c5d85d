//! The kernel command line of a firmware on the qemu pedestal: what the container's environment and arguments say.
//!
//! As Linux has it for its first process: `NAME=VALUE` for each variable, then `--`, then the arguments; what has
//! blanks is in double quotes (the kernel's `admin-guide/kernel-parameters.rst`). In front stands client.conf's own.

use micrun_firmware::client_conf::MAX_APPEND;
use serde_json::Value;

/// Variables that containerd sets for any program of Linux.
const LINUX: [&str; 4] = ["PATH", "HOSTNAME", "HOME", "TERM"];

/// Composes it; gives what was left out as well, for the log. The image's own command, which is the path of the
/// `firmware`, is no argument.
pub(crate) fn compose(
    own: Option<&str>,
    process: Option<&Value>,
    firmware: &str,
) -> (Option<String>, Vec<String>) {
    let list = |field: &str| -> Vec<&str> {
        let list = process.and_then(|process| process[field].as_array());
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let mut arguments = list("args");
    if arguments
        .first()
        .is_some_and(|first| first.trim_start_matches('/') == firmware.trim_start_matches('/'))
    {
        arguments.remove(0);
    }
    let mut left_out = Vec::new();
    let arguments: Vec<_> =
        arguments.into_iter().filter_map(|word| quoted(word, word, &mut left_out)).collect();
    let arguments = (!arguments.is_empty()).then(|| format!("-- {}", arguments.join(" ")));
    // The arguments were asked for; of the environment much may come from the cluster.
    let fixed = own.into_iter().chain(arguments.as_deref());
    let mut room = MAX_APPEND.saturating_sub(fixed.map(|part| part.len() + 1).sum());
    let mut words: Vec<String> = own.map(str::to_owned).into_iter().collect();
    for variable in list("env") {
        let name = variable.split('=').next().unwrap_or_default();
        if LINUX.contains(&name) {
            continue;
        }
        match quoted(variable, name, &mut left_out) {
            Some(word) if word.len() < room => {
                room -= word.len() + 1;
                words.push(word);
            }
            Some(_) => left_out.push(name.to_owned()),
            None => {}
        }
    }
    words.extend(arguments);
    ((!words.is_empty()).then(|| words.join(" ")), left_out)
}

/// A word as it stands on the line; `None`, and its `name` with what is left out, when it cannot.
fn quoted(word: &str, name: &str, left_out: &mut Vec<String>) -> Option<String> {
    if word.contains('"') || word.chars().any(char::is_control) {
        left_out.push(name.to_owned());
        return None;
    }
    let blank = word.is_empty() || word.contains(' ');
    Some(match word.split_once('=') {
        Some((name, value)) if blank && !name.contains(' ') => format!("{name}=\"{value}\""),
        _ if blank => format!("\"{word}\""),
        _ => word.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(own: Option<&str>, process: &Value) -> (String, Vec<String>) {
        let (line, left_out) = compose(own, Some(process), "firmware.elf");
        (line.unwrap_or_default(), left_out)
    }

    #[test]
    fn environment_then_arguments() {
        let process = json!({
            "args": ["/firmware.elf", "-v", "two words", "key=a b", ""],
            "env": ["PATH=/bin", "RATE=100", "GREETING=good day", "EMPTY="],
        });
        let expected = "quiet RATE=100 GREETING=\"good day\" EMPTY= -- -v \"two words\" key=\"a b\" \"\"";
        assert_eq!(line(Some("quiet"), &process), (expected.to_owned(), Vec::new()));
    }

    #[test]
    fn the_images_own_command_is_no_argument() {
        let process = json!({"args": ["/firmware.elf"], "env": ["TERM=xterm"]});
        assert_eq!(compose(None, Some(&process), "firmware.elf"), (None, Vec::new()));
        assert_eq!(line(None, &json!({"args": ["other"]})).0, "-- other");
        assert_eq!(compose(None, None, "firmware.elf"), (None, Vec::new()));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let long = format!("LONG={}", "x".repeat(MAX_APPEND));
        let process = json!({"args": ["a\"b", "c"], "env": [long, "LINES=1\n2", "SHORT=1"]});
        let (text, left_out) = line(None, &process);
        assert_eq!(text, "SHORT=1 -- c");
        assert_eq!(left_out, ["a\"b", "LONG", "LINES"]);
    }
}

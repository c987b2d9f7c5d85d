//! Configuration without what nobody else may know.

use serde_json::Value;

use crate::pedestal::QUOTES;

/// A key whose name has one of these parts, in whatever case, keeps its value to itself. `append` is the firmware's command
/// line, where a container's variables are.
const PARTS: [&str; 9] = ["append", "auth", "cookie", "cred", "env", "key", "pass", "secret", "token"];
/// And one whose name ends like this: containerd's `proxy_plugins` are something else.
const END: &str = "proxy";
const REMOVED: &str = "(removed)";

fn is_secret(key: &str) -> bool {
    let key = key.trim().to_lowercase();
    PARTS.iter().any(|part| key.contains(part)) || key.ends_with(END)
}

/// A document, with the values of such keys removed, and passwords within addresses.
pub(super) fn clean(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                if is_secret(key) {
                    *value = REMOVED.into();
                } else {
                    clean(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(clean),
        Value::String(text) => *text = without_users(text),
        _ => {}
    }
}

/// A text of lines `KEY = VALUE`, likewise. A key without a value, as in a broken file, is a line that is removed.
pub(super) fn clean_ini(text: &str) -> String {
    let line = |line: &str| {
        let trimmed = line.trim();
        let heading = trimmed.is_empty() || trimmed.starts_with('[') && trimmed.ends_with(']');
        let comment = trimmed.starts_with(['#', ';']);
        match line.split_once(['=', ':']) {
            Some((key, _)) if is_secret(key) => format!("{key}= {REMOVED}"),
            Some(_) => without_users(line),
            None if heading => line.to_owned(),
            None if comment && !is_secret(trimmed) => line.to_owned(),
            None => REMOVED.to_owned(),
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// A line of a log without what firmware has written.
pub(super) fn without_quotes(line: &str) -> &str {
    line.split_once(QUOTES).map_or(line, |(before, _)| before)
}

/// A text whose addresses have no `USER:PASSWORD@`. A password may have any character but those that end an address in a
/// text, so all up to the last `@` goes.
pub(super) fn without_users(text: &str) -> String {
    let mut parts = text.split("://");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push_str("://");
        let end = part.find([' ', '\t', '"', '\'', ',']).unwrap_or(part.len());
        match part[..end].rfind('@') {
            Some(at) => {
                clean.push_str(REMOVED);
                clean.push_str(&part[at..]);
            }
            None => clean.push_str(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_keeps_its_form() {
        let mut value = serde_json::json!({
            "root": "/var/lib/containerd",
            "mirrors": [{"endpoint": "https://me:pa/ss@host/v2", "other": "http://u:p@a, http://b"}],
            "configs": {"r": {"auth": {"username": "me", "password": "x"}, "identityToken": "y"}},
            "proxies": {"https-proxy": "u:p@x", "plain": 7},
            "HTTP_PROXY": 7,
        });
        clean(&mut value);
        let expected = serde_json::json!({
            "root": "/var/lib/containerd",
            "mirrors": [{"endpoint": "https://(removed)@host/v2", "other": "http://(removed)@a, http://b"}],
            "configs": {"r": {"auth": "(removed)", "identityToken": "(removed)"}},
            "proxies": {"https-proxy": "(removed)", "plain": 7},
            "HTTP_PROXY": "(removed)",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn lines_keep_their_keys() {
        let text = "[Qemu]\nAppend = PASSWORD=x\nMemory = 64\n; api_token: y\n; a remark\nloose words\nUrl: ftp://u:p@h/\n";
        let expected = "[Qemu]\nAppend = (removed)\nMemory = 64\n; api_token= (removed)\n; a remark\n(removed)\n\
                        Url: ftp://(removed)@h/\n";
        assert_eq!(clean_ini(text), expected);
    }
}

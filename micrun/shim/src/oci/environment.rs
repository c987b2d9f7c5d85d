//! What a Linux process learns of the trace it belongs to: the variables `TRACEPARENT` and `TRACESTATE`.

use std::path::Path;

use serde_json::Value;

use super::edit::edit;
use crate::error::Result;

/// Variables, and their values.
type Variables = [(&'static str, String)];

/// Adds them to the process of the bundle's `config.json`. To be called where waiting is allowed.
pub(crate) fn add_to_bundle(bundle: &Path, variables: &Variables) -> Result<()> {
    edit(bundle, |spec| spec.get_mut("process").is_some_and(|process| add(process, variables)))
}

/// Adds them to OCI's `process` in JSON, as Exec brings it; one that is no JSON is the runtime's to refuse.
pub(crate) fn add_to_process(specification: &[u8], variables: &Variables) -> Option<Vec<u8>> {
    let mut process = serde_json::from_slice(specification).ok()?;
    add(&mut process, variables).then(|| serde_json::to_vec(&process).ok())?
}

/// Adds them to OCI's `process`. Whether anything was added: what the user has set stays as it is.
pub(crate) fn add(process: &mut Value, variables: &Variables) -> bool {
    let Some(process) = process.as_object_mut() else { return false };
    let list = process.entry("env").or_insert(Value::Null);
    if list.is_null() {
        *list = Value::Array(Vec::new());
    }
    let Some(list) = list.as_array_mut() else { return false };
    let is_set = |name: &str| {
        let known = list.iter().filter_map(Value::as_str);
        known.into_iter().any(|text| text.split('=').next() == Some(name))
    };
    // The two belong together.
    if variables.is_empty() || variables.iter().any(|(name, _)| is_set(name)) {
        return false;
    }
    list.extend(variables.iter().map(|(name, value)| Value::from(format!("{name}={value}"))));
    true
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use serde_json::json;

    use super::*;
    use crate::error::Error;

    fn variables() -> [(&'static str, String); 1] {
        [("TRACEPARENT", "00-a-b-01".to_owned())]
    }

    #[test]
    fn the_process_of_a_bundle_gets_them_and_all_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let config = json!({
            "process": {"env": ["PATH=/bin"], "rlimits": [{"hard": u64::MAX, "soft": 1}]}, "annotations": {"a": "b"},
        });
        std::fs::write(&path, config.to_string()).unwrap();
        add_to_bundle(dir.path(), &variables()).unwrap();
        let read = || serde_json::from_slice::<Value>(&std::fs::read(&path).unwrap()).unwrap();
        let mut expected = config;
        expected["process"]["env"] = json!(["PATH=/bin", "TRACEPARENT=00-a-b-01"]);
        assert_eq!(read(), expected);
        add_to_bundle(dir.path(), &[("TRACEPARENT", "another".to_owned())]).unwrap();
        assert_eq!(read(), expected);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::write(&path, "{}").unwrap();
        add_to_bundle(dir.path(), &variables()).unwrap();
        assert_eq!(read(), json!({}));
        std::fs::remove_file(&path).unwrap();
        let error = add_to_bundle(dir.path(), &variables()).unwrap_err();
        assert!(
            matches!(&error, Error::Io { source, .. } if source.kind() == ErrorKind::NotFound),
            "{error}"
        );
    }

    #[test]
    fn a_process_gets_them_unless_it_has_one_or_is_none() {
        let add = |text: &str| add_to_process(text.as_bytes(), &variables());
        let added = |text| serde_json::from_slice::<Value>(&add(text).unwrap()).unwrap();
        assert_eq!(added(r#"{"args":["a"]}"#), json!({"args": ["a"], "env": ["TRACEPARENT=00-a-b-01"]}));
        assert_eq!(added(r#"{"env":null}"#), json!({"env": ["TRACEPARENT=00-a-b-01"]}));
        for kept in [r#"{"env":["TRACEPARENT="]}"#, r#"{"env":7}"#, "7", "{"] {
            assert_eq!(add(kept), None, "{kept}");
        }
        assert_eq!(add_to_process(b"{}", &[]), None);
    }
}

//! What of a specification has no effect on firmware: said in the log, each field of it, or refused where somebody
//! relies on it.
//!
//! A firmware has no file system. The mounts that every client adds are passed over; any other bind mount is a
//! volume, and a firmware that silently lacks its volume is worse than none.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::oci::bundle::Spec;

/// Files that CRI, nerdctl and the kubelet add to every container.
const USUAL: [&str; 6] = [
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/dev/shm",
    "/dev/termination-log",
    "/run/.containerenv",
];
/// The kubelet's folder of the service account's token; `/var/run` is `/run`.
const SECRETS: &str = "/run/secrets/kubernetes.io/";

/// Refuses what a firmware cannot do without; gives what has no effect, for the log. With `command_line` the firmware
/// gets its arguments and environment.
pub(crate) fn check(spec: &Spec, command_line: bool) -> Result<String> {
    let mut ignored = Vec::new();
    for (field, value) in &spec.rest {
        match field.as_str() {
            "ociVersion" => {}
            "process" => ignored.extend(process(value, command_line)),
            "mounts" => ignored.extend(mounts(value)?),
            _ if is_empty(value) => {}
            _ => ignored.push(field.clone()),
        }
    }
    ignored.extend((!spec.linux.namespaces.is_empty()).then(|| "linux.namespaces".to_owned()));
    let linux = spec.linux.rest.iter().filter(|(_, value)| !is_empty(value));
    ignored.extend(linux.map(|(field, _)| format!("linux.{field}")));
    Ok(ignored.join(", "))
}

/// The fields of the process; of the environment the variables' names, not what may be secret.
fn process(value: &Value, command_line: bool) -> Vec<String> {
    // The terminal is Create's, which has it as well.
    let known: &[&str] = if command_line { &["terminal", "args", "env"] } else { &["terminal"] };
    let fields = value.as_object().into_iter().flatten();
    // Every process must have a directory, and this one says nothing.
    let is_usual = |field: &str, value: &Value| field == "cwd" && value == "/";
    let given = fields.filter(|(field, value)| {
        !known.contains(&field.as_str()) && !is_empty(value) && !is_usual(field, value)
    });
    given
        .map(|(field, value)| match (field.as_str(), value.as_array()) {
            ("env", Some(list)) => {
                let names = list.iter().filter_map(|entry| entry.as_str()?.split('=').next());
                format!("process.env ({})", names.collect::<Vec<_>>().join(" "))
            }
            _ => format!("process.{field}"),
        })
        .collect()
}

/// The mounts that have no effect, as one entry; a volume is an error.
fn mounts(value: &Value) -> Result<Option<String>> {
    let mut passed_over = Vec::new();
    for mount in value.as_array().into_iter().flatten() {
        let target = mount["destination"].as_str().unwrap_or_default();
        let options = mount["options"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let bind =
            mount["type"] == "bind" || options.into_iter().any(|word| ["bind", "rbind"].contains(&word));
        let secrets = target.strip_prefix("/var").unwrap_or(target).starts_with(SECRETS);
        if bind && !USUAL.contains(&target) && !secrets {
            return Err(Error::Invalid(format!(
                "the volume at `{target}` is refused: a firmware has no file system; put what it needs into its \
                 image, or mount the volume in a Linux container of the pod"
            )));
        }
        passed_over.push(target);
    }
    Ok((!passed_over.is_empty()).then(|| format!("mounts ({})", passed_over.join(" "))))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.values().all(is_empty),
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(value: Value) -> Spec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_field_without_effect_is_named() {
        let spec = spec(json!({
            "ociVersion": "1.1.0",
            "root": {"path": "rootfs"},
            "annotations": {"a": "b"},
            "hostname": "pod",
            "hooks": {"prestart": []},
            "process": {"args": ["/x"], "env": ["PATH=/bin", "TOKEN=secret"], "terminal": true, "user": {"uid": 0}},
            "mounts": [
                {"destination": "/proc", "type": "proc"},
                {"destination": "/etc/hosts", "type": "bind", "options": ["rbind"]},
                {"destination": "/var/run/secrets/kubernetes.io/serviceaccount", "options": ["rbind", "ro"]},
            ],
            "linux": {
                "cgroupsPath": "/x", "resources": {}, "namespaces": [{"type": "pid"}], "seccomp": {"x": 1}, "sysctl": {},
            },
        }));
        let ignored = check(&spec, false).unwrap();
        assert_eq!(
            ignored,
            "hostname, mounts (/proc /etc/hosts /var/run/secrets/kubernetes.io/serviceaccount), process.args, \
             process.env (PATH TOKEN), linux.namespaces, linux.seccomp"
        );
        let rest = check(&spec, true).unwrap();
        assert_eq!(rest, ignored.replace(" process.args, process.env (PATH TOKEN),", ""));
        assert_eq!(check(&Spec::default(), false).unwrap(), "");
    }

    #[test]
    fn a_volume_is_refused() {
        for mount in [
            json!({"destination": "/data", "type": "bind", "options": []}),
            json!({"destination": "/etc/hosts/x", "type": "none", "options": ["rbind", "ro"]}),
            json!({"destination": "/run/secrets/other", "options": ["bind"]}),
        ] {
            let error = check(&spec(json!({ "mounts": [mount] })), true).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{error}");
            assert!(error.to_string().contains("is refused"), "{error}");
        }
    }
}

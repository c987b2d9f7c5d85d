//! `-info`: what runtime this is, and what it can do. containerd 2.0 and 2.1 ask when a volume has its owners mapped,
//! later ones before every Create until it has worked once; the CRI plugin asks when it starts, and tells the kubelet
//! whether pods may have user namespaces and read-only trees (containerd#13504). So it touches nothing.
//!
//! There is no annotation `containerd.io/runtime-allow-mounts`: it would make containerd leave mounts of the
//! named types to the shim, which wants all of them mounted, to look for firmware in them.

use std::io::{IsTerminal, Read, Write, stdin};
use std::process::{Command, Stdio};

use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::types::introspection::{RuntimeInfo, RuntimeVersion};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::linux;
use crate::oci::options::Options;

/// The runtime's name in containerd's configuration.
pub(crate) const NAME: &str = "io.containerd.mica.v2";
/// The type of the features, which are JSON, as containerd's typeurl package has it (runtime-spec, `features.md`).
const FEATURES: &str = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";
/// Annotations that change how a container runs (runtime-spec, `features.md`; the dot says that it is a prefix).
const ANNOTATIONS: &str = "org.openeuler.micrun.";
const UNSAFE: &str = "potentiallyUnsafeConfigAnnotations";
/// Longest stdin that is read.
const STDIN_LIMIT: u64 = 4 << 20;

/// Prints a `RuntimeInfo`.
pub(crate) fn run() -> Result<()> {
    let options = options();
    let mut version = RuntimeVersion::new();
    env!("CARGO_PKG_VERSION").clone_into(&mut version.version);
    let mut info = RuntimeInfo::new();
    NAME.clone_into(&mut info.name);
    info.version = Some(version).into();
    // What is wrong with them is Create's to say.
    let features = complete(of_runtime(&Options::read(&options).unwrap_or_default()));
    info.features =
        Some(Any { type_url: FEATURES.into(), value: features.to_string().into_bytes(), ..Any::default() })
            .into();
    if !options.type_url.is_empty() {
        info.options = Some(options).into();
    }
    let bytes = info.write_to_bytes().map_err(Error::encode("RuntimeInfo"))?;
    std::io::stdout().write_all(&bytes).map_err(Error::io("write", "stdout"))
}

/// The runtime's options, if stdin has any.
fn options() -> Any {
    let mut bytes = Vec::new();
    if !stdin().is_terminal() && stdin().take(STDIN_LIMIT).read_to_end(&mut bytes).is_err() {
        return Any::default();
    }
    Any::parse_from_bytes(&bytes).unwrap_or_default()
}

/// What the program that runs Linux containers says of itself. Nothing from one that is not there, or too old to: crun
/// has the command since 1.8.6, runc since 1.1.
fn of_runtime(options: &Options) -> Map<String, Value> {
    let Ok(program) = linux::program(options) else { return Map::new() };
    let output = Command::new(program).arg("features").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let said = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    said.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// The runtime's features, and with them what the shim adds: annotations that decide how a container runs.
fn complete(mut features: Map<String, Value>) -> Value {
    match features.entry(UNSAFE).or_insert_with(|| json!([])) {
        Value::Array(annotations) => annotations.push(ANNOTATIONS.into()),
        // A runtime that says something else here is not understood.
        other => *other = json!([ANNOTATIONS]),
    }
    features.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runtime_says_is_kept_and_completed() {
        let ours = json!({UNSAFE: [ANNOTATIONS]});
        for (said, wanted) in [
            (json!({}), ours.clone()),
            (json!({UNSAFE: 7}), ours),
            (
                json!({"mountOptions": ["rro"], UNSAFE: ["run.oci."]}),
                json!({"mountOptions": ["rro"], UNSAFE: ["run.oci.", ANNOTATIONS]}),
            ),
        ] {
            let Value::Object(said) = said else { panic!("{said}") };
            assert_eq!(complete(said), wanted);
        }
    }
}

//! The specification of a container of firmware (runtime-spec, config.md). There is no process of Linux in it, so it has
//! neither mounts nor capabilities nor users.

use std::collections::BTreeMap;

use micrun_containerd::api::Any;
use oci_spec::image::ImageConfiguration;
use serde_json::{Map, Value, json};

use crate::args::Args;

/// By this containerd knows the message (its `typeurl` registry).
const TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
/// The time in which a number of processors is counted, in microseconds; the kernel's usual one.
const PERIOD: u32 = 100_000;

/// The specification that the options and the image's config ask for.
pub(crate) fn of(args: &Args, namespace: &str, config: &ImageConfiguration) -> Any {
    let of_image = config.config().as_ref();
    let words = |list: Option<&Vec<String>>| list.cloned().unwrap_or_default();
    let mut command = words(of_image.and_then(|it| it.entrypoint().as_ref()));
    command.extend(words(of_image.and_then(|it| it.cmd().as_ref())));
    let mut env = words(of_image.and_then(|it| it.env().as_ref()));
    env.extend(args.env.iter().map(|(key, value)| format!("{key}={value}")));
    let cwd = of_image.and_then(|it| it.working_dir().clone()).filter(|it| !it.is_empty());
    let spec = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": command,
            "env": env,
            "cwd": cwd.as_deref().unwrap_or("/"),
        },
        "root": {"path": "rootfs"},
        "annotations": args.annotations.iter().cloned().collect::<BTreeMap<_, _>>(),
        "linux": {"cgroupsPath": format!("/{namespace}/{}", args.name), "resources": resources(args)},
    });
    Any { type_url: TYPE.to_owned(), value: spec.to_string().into() }
}

fn resources(args: &Args) -> Value {
    let mut cpu = Map::new();
    if let Some(shares) = args.cpu_shares {
        cpu.insert("shares".to_owned(), shares.into());
    }
    if let Some(cpus) = &args.cpuset_cpus {
        cpu.insert("cpus".to_owned(), cpus.as_str().into());
    }
    if let Some(cpus) = args.cpus {
        #[expect(clippy::cast_possible_truncation, reason = "the command line takes up to 1024 processors")]
        let quota = (cpus * f64::from(PERIOD)) as i64;
        cpu.insert("quota".to_owned(), quota.into());
        cpu.insert("period".to_owned(), PERIOD.into());
    }
    let mut resources = json!({"cpu": cpu});
    if let Some(limit) = args.memory_limit {
        resources["memory"] = json!({"limit": limit});
    }
    resources
}

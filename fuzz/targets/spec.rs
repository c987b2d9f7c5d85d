//! `config.json` of a bundle: what the shim reads of it, and what it makes of that.
#![no_main]

#[path = "../../micrun/shim/src/rtos/bootargs.rs"]
mod bootargs;
#[path = "../../micrun/shim/src/rtos/ignored.rs"]
mod ignored;
#[path = "../../micrun/shim/src/cgroup/layout.rs"]
mod layout;
#[path = "../../micrun/shim/src/cgroup/limits.rs"]
mod limits;
#[path = "../../micrun/shim/src/cgroup/path.rs"]
mod path;
mod shim;

use std::path::{Component, Path};

use layout::Version;
use libfuzzer_sys::fuzz_target;
use oci::bundle::Spec;
use shim::{error, oci};

fuzz_target!(|bytes: &[u8]| {
    let Ok(spec) = serde_json::from_slice::<Spec>(bytes) else { return };
    let _ = (spec.group(), spec.is_sandbox(), spec.has_private_pids());
    assert!(spec.rootfs(Path::new("/bundle")).is_absolute());

    if let Ok((path, unit)) = path::parse(&spec.linux.cgroups_path) {
        assert!(path.components().next().is_some(), "never the root of a hierarchy");
        assert!(
            path.components().all(|part| matches!(part, Component::Normal(_))),
            "{path:?} leaves its root"
        );
        for name in unit.iter().flat_map(|unit| [&unit.slice, &unit.name]) {
            assert!(!name.contains('/'), "{name} is no unit");
        }
    }

    let resources = &spec.linux.resources;
    let said = resources.changed_by(resources);
    assert_eq!(&said, resources, "a change to what is there changes nothing");
    assert!(resources.memory_limit_mb() != Some(0) && resources.cpu_capacity() != Some(0));
    assert!(resources.cpu_weight().is_none_or(|weight| (1..=65_535).contains(&weight)));
    let _ = resources.unsupported();
    for version in [Version::V1, Version::V2] {
        for value in limits::values(version, resources, u32::MAX) {
            assert!(!value.text.is_empty(), "{} gets a value", value.file);
        }
    }

    let (line, left_out) = bootargs::compose(None, spec.rest.get("process"), "firmware.elf");
    let line = line.unwrap_or_default();
    assert!(!line.chars().any(char::is_control), "{line:?} is one line");
    assert!(line.matches('"').count() % 2 == 0, "{line:?} has all its quotes");
    drop(left_out);
    for command_line in [false, true] {
        let _ = ignored::check(&spec, command_line);
    }
});

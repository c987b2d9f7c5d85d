//! The options of a sandbox: CRI's `PodSandboxConfig` in protobuf.
#![no_main]

#[path = "../../micrun/shim/src/sandbox/config.rs"]
mod config;
mod shim;
#[path = "../../micrun/shim/src/sandbox/sysctl.rs"]
mod sysctl;

use std::path::Component;

use config::Config;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use libfuzzer_sys::fuzz_target;
use oci::mount::IdMap;
use shim::{error, oci};

fuzz_target!(|bytes: &[u8]| {
    let any = Any { type_url: "runtime.v1.PodSandboxConfig".into(), value: bytes.to_vec(), ..Any::default() };
    let Ok(config) = Config::read(&any) else { return };
    assert_eq!(Config::read(&any).expect("as before"), config);
    assert!(
        !config.users.as_ref().is_some_and(IdMap::is_empty),
        "users of its own are mapped, or it has none"
    );
    for own_network in [false, true] {
        if sysctl::check(&config, own_network).is_err() {
            continue;
        }
        for key in config.sysctls.keys() {
            let path = sysctl::path(key);
            assert!(path.starts_with("/proc/sys"), "{path:?}");
            assert!(!path.components().any(|part| part == Component::ParentDir), "{path:?} leads out");
            assert!(own_network || !path.starts_with("/proc/sys/net"), "{path:?} is the machine's");
        }
    }
});

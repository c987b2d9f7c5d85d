//! `micrun.conf` in both its forms: ini, and TOML as containerd's runtime options bring it.
#![no_main]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use micrun_firmware::HostConf;
use micrun_firmware::host_conf::Locations;
use micrun_firmware::policy::ContainerPolicy;

/// A file of this run alone.
static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("micrun-fuzz-{}.conf", std::process::id())));

fuzz_target!(|text: &str| {
    let locations = |file: PathBuf, body| Locations {
        file,
        dir: "/nonexistent".into(),
        extra: None,
        of_container: None,
        body,
        environment: BTreeMap::new(),
    };
    std::fs::write(&*FILE, text).expect("the temporary directory can be written");
    let read = [
        HostConf::load(&locations(FILE.clone(), None)),
        HostConf::load(&locations("/nonexistent".into(), Some(text.to_owned()))),
    ];
    std::fs::remove_file(&*FILE).expect("it is there");
    for conf in read.iter().flatten() {
        assert!(conf.state_dir().is_absolute());
    }
    // Runtime options come with a container: they lift nothing of the policy.
    if let Ok(conf) = &read[1] {
        let (policy, default) = (conf.policy(), ContainerPolicy::default());
        let limits =
            |policy: &ContainerPolicy| [policy.firmware.vcpus.value, policy.firmware.firmware_mb.value];
        assert!(limits(policy).iter().zip(limits(&default)).all(|(now, most)| *now <= most));
        assert_eq!(policy.firmware.pedestals, default.firmware.pedestals);
        assert_eq!((&policy.annotations, &policy.restore), (&default.annotations, &default.restore));
    }
});

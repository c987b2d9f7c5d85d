//! Files of the machine that every Linux container of a pod sees at the same place.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::edit::edit;
use crate::error::Result;

/// Where a pod's containers share memory; the only one of the places that is no file below `/etc`.
pub(crate) const MEMORY: &str = "/dev/shm";
/// What the image's specification has there if nobody asked for anything else.
const DEFAULT: &str = "tmpfs";

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    /// Where it is on the machine.
    pub source: PathBuf,
    /// Where a container sees it.
    pub target: &'static str,
}

impl Shared {
    fn mount(&self, read_only: bool) -> Value {
        let mut options = vec!["rbind", "rprivate"];
        if self.target == MEMORY {
            options.extend(["rw", "nosuid", "nodev", "noexec"]);
        } else {
            options.push(if read_only { "ro" } else { "rw" });
        }
        json!({"destination": self.target, "type": "bind", "source": self.source, "options": options})
    }
}

/// Adds them to the specification in a bundle. What already has something else in its place stays, as a volume of the
/// kubelet does. To be called where waiting is allowed.
pub(crate) fn mount_into(bundle: &Path, shared: &[Shared]) -> Result<()> {
    edit(bundle, |spec| {
        add(spec, shared);
        true
    })
}

fn add(spec: &mut Value, shared: &[Shared]) {
    let read_only = spec["root"]["readonly"] == true;
    let Some(spec) = spec.as_object_mut() else { return };
    let Some(mounts) = spec.entry("mounts").or_insert_with(|| json!([])).as_array_mut() else { return };
    for file in shared {
        match mounts.iter_mut().find(|mount| mount["destination"] == file.target) {
            None => mounts.push(file.mount(read_only)),
            Some(mount) if mount["type"] == DEFAULT => *mount = file.mount(read_only),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_the_pods() {
        let shared = [("/p/hosts", "/etc/hosts"), ("/p/hostname", "/etc/hostname"), ("/p/shm", MEMORY)];
        let shared = shared.map(|(source, target)| Shared { source: source.into(), target });
        let kubelets = json!({"destination": "/etc/hosts", "type": "bind", "source": "/kubelet"});
        let default = json!({"destination": MEMORY, "type": "tmpfs", "source": "shm"});
        let hostname = |option: &str| {
            let options = ["rbind", "rprivate", option];
            json!({"destination": "/etc/hostname", "type": "bind", "source": "/p/hostname", "options": options})
        };
        let memory = ["rbind", "rprivate", "rw", "nosuid", "nodev", "noexec"];
        let memory = json!({"destination": MEMORY, "type": "bind", "source": "/p/shm", "options": memory});
        for (read_only, option) in [(false, "rw"), (true, "ro")] {
            let mut spec =
                json!({"root": {"readonly": read_only}, "mounts": [kubelets, default], "hooks": {}});
            add(&mut spec, &shared);
            let mounts = json!([kubelets, memory, hostname(option)]);
            assert_eq!(spec, json!({"root": {"readonly": read_only}, "mounts": mounts, "hooks": {}}));
        }
        let mut bare = json!({});
        add(&mut bare, &shared);
        assert_eq!(bare["mounts"].as_array().map(Vec::len), Some(3));
    }
}

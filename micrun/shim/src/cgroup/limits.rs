//! From limits to the files of a cgroup.

use super::Version;
use crate::oci::resources::Resources;

const MIB: i64 = 1 << 20;

/// A value for a file of a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub controller: &'static str,
    pub file: &'static str,
    pub text: String,
}

/// What to write, in this order, for the limits that `resources` names. A memory limit is raised by
/// `overhead_mb`, because the emulator lives in the same cgroup as the memory that it emulates.
pub(super) fn values(version: Version, resources: &Resources, overhead_mb: u32) -> Vec<Value> {
    let mut values = Vec::new();
    let mut add = |controller, file, text: Option<String>| {
        values.extend(text.map(|text| Value { controller, file, text }));
    };
    let (cpu, memory, pids) = (&resources.cpu, resources.memory.limit, resources.pids.limit);
    let memory = memory.map(|limit| match limit {
        1.. => Some(limit.saturating_add(i64::from(overhead_mb) * MIB)),
        _ => None,
    });
    let pids = pids.map(|limit| if limit > 0 { limit.to_string() } else { "max".to_owned() });
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let shares = cpu.shares.filter(|shares| *shares > 0);
    let period = cpu.period.filter(|period| *period > 0);
    let quota = cpu.quota.filter(|quota| *quota != 0);
    match version {
        Version::V1 => {
            add("memory", "memory.limit_in_bytes", memory.map(|limit| limit.unwrap_or(-1).to_string()));
            add("cpu", "cpu.shares", shares.map(|shares| shares.to_string()));
            add("cpu", "cpu.cfs_period_us", period.map(|period| period.to_string()));
            add("cpu", "cpu.cfs_quota_us", quota.map(|quota| quota.max(-1).to_string()));
        }
        Version::V2 => {
            let amount = |limit: Option<i64>| limit.map_or_else(|| "max".to_owned(), |n| n.to_string());
            add("memory", "memory.max", memory.map(amount));
            add("cpu", "cpu.weight", shares.map(|shares| weight(shares).to_string()));
            let max = match (quota, period) {
                (None, None) => None,
                // The kernel takes "max" and a period, but no period alone.
                (quota, Some(period)) => Some(format!("{} {period}", amount(quota.filter(|q| *q > 0)))),
                (quota, None) => Some(amount(quota.filter(|q| *q > 0))),
            };
            add("cpu", "cpu.max", max);
        }
    }
    add("cpuset", "cpuset.cpus", text(&cpu.cpus));
    add("cpuset", "cpuset.mems", text(&cpu.mems));
    add("pids", "pids.max", pids);
    values
}

/// 2 to 262144 shares as a weight of 1 to 10000, as runc and crun have it.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(version: Version, json: &str) -> Vec<(String, String)> {
        let resources = serde_json::from_str(json).unwrap();
        let values = values(version, &resources, 100);
        values.into_iter().map(|v| (v.file.to_owned(), v.text)).collect()
    }

    #[test]
    fn the_table_of_the_documentation() {
        let all = r#"{"memory":{"limit":67108864},"pids":{"limit":50},
            "cpu":{"shares":1024,"quota":50000,"period":100000,"cpus":"0-1","mems":"0"}}"#;
        let expected = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
        };
        assert_eq!(
            written(Version::V1, all),
            expected(&[
                ("memory.limit_in_bytes", "171966464"),
                ("cpu.shares", "1024"),
                ("cpu.cfs_period_us", "100000"),
                ("cpu.cfs_quota_us", "50000"),
                ("cpuset.cpus", "0-1"),
                ("cpuset.mems", "0"),
                ("pids.max", "50"),
            ])
        );
        assert_eq!(
            written(Version::V2, all),
            expected(&[
                ("memory.max", "171966464"),
                ("cpu.weight", "39"),
                ("cpu.max", "50000 100000"),
                ("cpuset.cpus", "0-1"),
                ("cpuset.mems", "0"),
                ("pids.max", "50"),
            ])
        );
    }

    #[test]
    fn no_limit_is_a_value_and_silence_is_none() {
        let off = r#"{"memory":{"limit":-1},"pids":{"limit":0},"cpu":{"quota":-1,"shares":0}}"#;
        let v1 = written(Version::V1, off);
        assert_eq!(v1.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["-1", "-1", "max"]);
        let v2 = written(Version::V2, off);
        assert_eq!(v2.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["max", "max", "max"]);
        assert!(written(Version::V1, "{}").is_empty() && written(Version::V2, "{}").is_empty());
    }

    #[test]
    fn weights() {
        assert_eq!([2, 1024, 262_144, 1, u64::MAX].map(weight), [1, 39, 10_000, 1, 10_000]);
    }
}

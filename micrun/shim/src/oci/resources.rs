//! `LinuxResources` of the OCI runtime specification (`config-linux.md`): what of it has a meaning for firmware.
//! docs/RESOURCES.md has the table.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The name of the limit of memory and swap.
pub(crate) const SWAP: &str = "memory.swap";

/// Limits of a container, as the specification or an Update gives them. `None` is "not said".
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Resources {
    /// CPU time and CPUs.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// Processes, which on the qemu pedestal are the threads of the emulator.
    pub pids: Pids,
    #[serde(rename = "blockIO", skip_serializing)]
    block_io: Value,
    #[serde(skip_serializing)]
    network: Value,
    #[serde(skip_serializing)]
    rdma: Value,
    #[serde(skip_serializing)]
    unified: Value,
}

/// `cpu` of the resources.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Cpu {
    /// Weight; 1024 is the usual one.
    pub shares: Option<u64>,
    /// Microseconds of CPU time in each period; below 0 is no limit.
    pub quota: Option<i64>,
    /// Microseconds.
    pub period: Option<u64>,
    /// CPUs, as `0-1,3`.
    pub cpus: String,
    /// Memory nodes, in the same way.
    pub mems: String,
    #[serde(skip_serializing)]
    burst: Value,
    #[serde(skip_serializing)]
    realtime_runtime: Value,
    #[serde(skip_serializing)]
    realtime_period: Value,
    #[serde(skip_serializing)]
    idle: Value,
}

/// `memory` of the resources.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Memory {
    /// Bytes; 0 and below is no limit.
    pub limit: Option<i64>,
    /// Bytes of memory and swap; 0 and below is no limit.
    pub swap: Option<i64>,
    #[serde(skip_serializing)]
    reservation: Value,
    #[serde(skip_serializing)]
    kernel: Value,
    #[serde(rename = "kernelTCP", skip_serializing)]
    kernel_tcp: Value,
    #[serde(skip_serializing)]
    swappiness: Value,
}

/// `pids` of the resources.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Pids {
    /// Most processes; 0 and below is no limit.
    pub limit: Option<i64>,
}

const MIB: i64 = 1 << 20;

impl Resources {
    /// The memory limit in bytes, if there is one.
    pub(crate) fn memory_limit(&self) -> Option<i64> {
        self.memory.limit.filter(|limit| *limit > 0)
    }

    /// The memory limit in whole MiB.
    pub(crate) fn memory_limit_mb(&self) -> Option<u32> {
        self.memory_limit().map(|limit| u32::try_from(limit / MIB).unwrap_or(u32::MAX).max(1))
    }

    /// Percent of one CPU that the quota is, if there is one.
    pub(crate) fn cpu_capacity(&self) -> Option<u32> {
        /// The kernel's own period, in microseconds.
        const PERIOD: u64 = 100_000;
        let quota = u64::try_from(self.cpu.quota.filter(|quota| *quota > 0)?).ok()?;
        let period = self.cpu.period.filter(|period| *period > 0).unwrap_or(PERIOD);
        Some(u32::try_from(quota.saturating_mul(100) / period).unwrap_or(u32::MAX).max(1))
    }

    /// The weight in Xen's scale, where 256 is what 1024 shares are.
    pub(crate) fn cpu_weight(&self) -> Option<u32> {
        let shares = self.cpu.shares.filter(|shares| *shares > 0)?;
        Some(u32::try_from(shares / 4).unwrap_or(u32::MAX).clamp(1, 65_535))
    }

    /// What is asked for and has no counterpart here, by its name in the specification. Devices and huge
    /// pages are not among it: a firmware has neither, whatever the limit.
    pub(crate) fn unsupported(&self) -> Vec<&'static str> {
        let said = |value: &Value| match value {
            Value::Null => false,
            Value::Object(map) => !map.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Number(number) => number.as_i64() != Some(0),
            _ => true,
        };
        // The same amount as the memory limit means "no swap", which is what a firmware has anyway.
        let swap = self.memory.swap.is_some_and(|swap| swap > 0 && self.memory.limit != Some(swap));
        [
            (SWAP, swap),
            ("memory.reservation", said(&self.memory.reservation)),
            ("memory.kernel", said(&self.memory.kernel)),
            ("memory.kernelTCP", said(&self.memory.kernel_tcp)),
            ("memory.swappiness", said(&self.memory.swappiness)),
            ("cpu.burst", said(&self.cpu.burst)),
            ("cpu.realtimeRuntime", said(&self.cpu.realtime_runtime)),
            ("cpu.realtimePeriod", said(&self.cpu.realtime_period)),
            ("cpu.idle", said(&self.cpu.idle)),
            ("blockIO", said(&self.block_io)),
            ("network", said(&self.network)),
            ("rdma", said(&self.rdma)),
            ("unified", said(&self.unified)),
        ]
        .into_iter()
        .filter_map(|(name, said)| said.then_some(name))
        .collect()
    }

    /// These with what `change` says in their place.
    pub(crate) fn changed_by(&self, change: &Self) -> Self {
        let mut all = self.clone();
        let Self { cpu, memory, pids, .. } = change;
        all.cpu.shares = cpu.shares.or(all.cpu.shares);
        all.cpu.quota = cpu.quota.or(all.cpu.quota);
        all.cpu.period = cpu.period.or(all.cpu.period);
        for (mine, new) in [(&mut all.cpu.cpus, &cpu.cpus), (&mut all.cpu.mems, &cpu.mems)] {
            if !new.is_empty() {
                mine.clone_from(new);
            }
        }
        all.memory.limit = memory.limit.or(all.memory.limit);
        all.pids.limit = pids.limit.or(all.pids.limit);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Resources {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_containerd_sends_by_default_asks_for_nothing_strange() {
        let text = r#"{"devices":[{"allow":false,"access":"rwm"}],"memory":{},"cpu":{"shares":1024},
            "hugepageLimits":[{"pageSize":"2MB","limit":0}]}"#;
        assert_eq!(read(text).unsupported(), [""; 0]);
        assert_eq!(read(r#"{"memory":{"limit":5,"swap":5}}"#).unsupported(), [""; 0]);
        let odd = r#"{"blockIO":{"weight":10},"memory":{"swap":7,"limit":5},"unified":{"memory.high":"1"}}"#;
        assert_eq!(read(odd).unsupported(), ["memory.swap", "blockIO", "unified"]);
    }

    #[test]
    fn units() {
        let some =
            read(r#"{"cpu":{"shares":1024,"quota":150000,"period":100000},"memory":{"limit":67108865}}"#);
        assert_eq!((some.cpu_weight(), some.cpu_capacity()), (Some(256), Some(150)));
        assert_eq!(some.memory_limit_mb(), Some(64));
        let none = read(r#"{"cpu":{"shares":0,"quota":-1},"memory":{"limit":-1}}"#);
        assert_eq!((none.cpu_weight(), none.cpu_capacity(), none.memory_limit_mb()), (None, None, None));
        assert_eq!(read(r#"{"cpu":{"shares":262144}}"#).cpu_weight(), Some(65_535));
        assert_eq!(read(r#"{"cpu":{"quota":10}}"#).cpu_capacity(), Some(1));
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let before = read(r#"{"cpu":{"shares":5,"cpus":"0"},"memory":{"limit":9}}"#);
        let after = before.changed_by(&read(r#"{"cpu":{"cpus":"1"}}"#));
        assert_eq!((after.cpu.shares, after.cpu.cpus.as_str(), after.memory.limit), (Some(5), "1", Some(9)));
    }
}

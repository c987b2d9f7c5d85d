//! The policy of micad.conf, and its form on the wire.

use libmica::ext;

use super::{Most, Patterns, Policy, Rule};
use crate::MAX_FIRMWARE_MB;
use crate::client_conf::yes_or_no;
use crate::ini::{Fault, Section};

/// The daemon's configuration.
pub const FILE: &str = "/etc/mica/micad.conf";
/// Its section.
pub const SECTION: &str = "Policy";

/// The keys of the section, in the order of the fields of [`Policy`].
const PEDESTALS: &str = "AllowedPedestals";
const REMOTEPROCS: &str = "AllowedRemoteprocs";
const MACHINES: &str = "AllowedMachines";
const CPUS: &str = "AllowedCpus";
const MEMORY: &str = "MaxMemory";
const VCPUS: &str = "MaxVcpus";
const FIRMWARE_SIZE: &str = "MaxFirmwareSize";
const KVM: &str = "AllowKvm";

impl Policy {
    /// A daemon's policy while `place` sets nothing: its clients are root's, and everything is allowed.
    pub fn of_daemon(place: &str) -> Self {
        let any = |key| Rule::unset(key, Patterns::any(), "*", place);
        let unlimited = |key| Rule::unset(key, None, "no limit", place);
        Self {
            pedestals: any(PEDESTALS),
            remoteprocs: any(REMOTEPROCS),
            machines: any(MACHINES),
            cpus: any(CPUS),
            memory_mb: unlimited(MEMORY),
            vcpus: unlimited(VCPUS),
            firmware_mb: Rule::unset(FIRMWARE_SIZE, Some(MAX_FIRMWARE_MB), MAX_FIRMWARE_MB, place),
            kvm: Rule::unset(KVM, false, "no", place),
        }
    }

    /// Takes the keys of `section`, which is in the file `place`.
    pub fn read(&mut self, section: &mut Section, place: &str) -> Result<(), Fault> {
        for rule in [&mut self.pedestals, &mut self.remoteprocs, &mut self.machines, &mut self.cpus] {
            if let Some(patterns) = section.get(rule.key, str::parse::<Patterns>)? {
                rule.set(patterns.clone(), patterns, place);
            }
        }
        let limits = [
            (&mut self.memory_mb, u32::MAX),
            (&mut self.vcpus, u32::MAX),
            (&mut self.firmware_mb, MAX_FIRMWARE_MB),
        ];
        for (rule, largest) in limits {
            if let Some(most) = section.get(rule.key, |text| number(text, largest))? {
                rule.set(Some(most), most, place);
            }
        }
        if let Some(allowed) = section.get(KVM, yes_or_no)? {
            self.kvm.set(allowed, if allowed { "yes" } else { "no" }, place);
        }
        Ok(())
    }

    /// What the `version` extension tells.
    pub fn to_wire(&self) -> ext::Policy {
        let list = |rule: &Rule<Patterns>| rule.value.as_slice().to_vec();
        ext::Policy {
            file: self.pedestals.place().to_owned(),
            pedestals: list(&self.pedestals),
            remoteprocs: list(&self.remoteprocs),
            machines: list(&self.machines),
            cpus: list(&self.cpus),
            max_memory_mb: self.memory_mb.value,
            max_vcpus: self.vcpus.value,
            max_firmware_mb: self.firmware_mb.value,
        }
    }

    /// The policy that a daemon has told.
    pub fn from_wire(told: &ext::Policy) -> Self {
        let mut policy = Self::of_daemon(&told.file);
        let list = |rule: &mut Rule<Patterns>, names: &[String]| {
            let patterns = Patterns::of(names);
            rule.set(patterns.clone(), patterns, &told.file);
        };
        list(&mut policy.pedestals, &told.pedestals);
        list(&mut policy.remoteprocs, &told.remoteprocs);
        list(&mut policy.machines, &told.machines);
        list(&mut policy.cpus, &told.cpus);
        let most = |rule: &mut Most, most: Option<u32>| {
            if let Some(most) = most {
                rule.set(Some(most), most, &told.file);
            }
        };
        most(&mut policy.memory_mb, told.max_memory_mb);
        most(&mut policy.vcpus, told.max_vcpus);
        most(&mut policy.firmware_mb, told.max_firmware_mb);
        policy
    }
}

fn number(text: &str, largest: u32) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(number) if (1..=largest).contains(&number) => Ok(number),
        _ => Err(format!("{text:?} is not a number from 1 to {largest}")),
    }
}

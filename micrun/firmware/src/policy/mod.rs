//! What a host allows, above everything that an image or a pod says.
//!
//! There are two such policies. The shim's is in micrun.conf and speaks of containers ([`ContainerPolicy`]). The
//! daemon's is in micad.conf and speaks of every client, whoever creates it. The shim learns it from the daemon.

mod container;
mod daemon;
mod patterns;
mod rule;

pub use container::ContainerPolicy;
pub use daemon::{FILE as DAEMON_FILE, SECTION as DAEMON_SECTION};
pub use patterns::Patterns;
pub use rule::{Most, Rule};

use crate::client_conf::{ClientConf, Cpu, Machine};
use crate::{Error, Origin, Pedestal, Result, Setting, Settings};

/// What firmware may run on, and how large it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Pedestals, by their names in the create message.
    pub pedestals: Rule<Patterns>,
    /// Remote processors of the baremetal pedestal, by what `CPU` calls them.
    pub remoteprocs: Rule<Patterns>,
    /// QEMU machines, without options.
    pub machines: Rule<Patterns>,
    /// QEMU CPU models.
    pub cpus: Rule<Patterns>,
    /// Memory in MiB.
    pub memory_mb: Most,
    /// Virtual CPUs.
    pub vcpus: Most,
    /// The size of a firmware file in MiB.
    pub firmware_mb: Most,
    /// Whether the host's processors may execute firmware in QEMU by KVM. The daemon alone decides it.
    pub kvm: Rule<bool>,
}

impl Policy {
    /// Refuses a pedestal that is not allowed. While nothing is set, an annotation of the container may ask for any:
    /// its author is trusted with more than the image's.
    pub fn check_pedestal(&self, pedestal: Setting<Pedestal>) -> Result<()> {
        let asked = !self.pedestals.is_set() && pedestal.origin == Origin::Annotation;
        if asked || self.pedestals.value.allows(pedestal.value.as_str()) {
            return Ok(());
        }
        let name = pedestal.value.as_str();
        let remedy = if self.pedestals.is_set() {
            format!("choose another pedestal, or let the host's administrator add {name} to the key")
        } else if pedestal.origin == Origin::Label {
            "the annotation is no permission, for this client of containerd makes annotations of the image's labels; let \
             the host's administrator set the key"
                .to_owned()
        } else {
            format!(
                "set the annotation {}ped.pedestal={name} of the container, or let the host's administrator set the key",
                crate::annotations::PREFIX
            )
        };
        Err(self.pedestals.refuse(format!("pedestal {name}"), remedy))
    }

    /// Refuses a remote processor by what `CPU` says. An empty text leaves the choice to the daemon, which a host that
    /// allows only some does not.
    pub fn check_remoteproc(&self, cpu: &str) -> Result<()> {
        match cpu.trim() {
            _ if self.remoteprocs.value.allows_all() => Ok(()),
            "" => Err(self.remoteprocs.refuse(
                "a client that takes any remoteproc",
                "name one of these as CPU in client.conf or as the container's cpuset",
            )),
            cpu => self.remoteprocs.check("remoteproc", cpu),
        }
    }

    /// Refuses a QEMU machine that is not allowed.
    pub fn check_machine(&self, machine: &Machine) -> Result<()> {
        self.machines.check("machine", machine.name())
    }

    /// Refuses a QEMU CPU model that is not allowed. A machine's own comes with the machine.
    pub fn check_cpu(&self, cpu: &Cpu) -> Result<()> {
        self.cpus.check("CPU model", cpu.as_str())
    }

    /// Refuses a file of so many bytes. `what` names it.
    pub fn check_size(&self, what: &str, bytes: u64) -> Result<()> {
        let Some(most) = self.firmware_mb.value.filter(|most| bytes > u64::from(*most) << 20) else {
            return Ok(());
        };
        let remedy = "strip debugging information from it, or let the host's administrator raise the key";
        Err(self.firmware_mb.refuse(format!("{what} of {bytes} bytes, more than {most} MiB,"), remedy))
    }

    /// A sentence for each number of the image that these settings have lowered because of the host.
    pub(crate) fn lowered(&self, settings: &Settings, conf: &ClientConf) -> Vec<String> {
        let numbers = [
            ("Memory", conf.memory(), settings.memory_mb, &self.memory_mb),
            ("VCPU", conf.mica.vcpu, settings.vcpu, &self.vcpus),
        ];
        let lowered = numbers.into_iter().filter_map(|(key, said, got, rule)| {
            let said = said.filter(|said| *said > got.value && rule.value == Some(got.value))?;
            Some(format!("client.conf asks for {key} = {said} and gets {}: {rule}", got.value))
        });
        lowered.collect()
    }

    /// What is wrong with firmware that does not fit into memory which the policy has lowered.
    pub(crate) fn explain_lack(&self, memory_mb: Setting<u32>, error: Error) -> Error {
        if memory_mb.origin != Origin::HostConf || self.memory_mb.value != Some(memory_mb.value) {
            return error;
        }
        let remedy = "use firmware that needs less, or let the host's administrator raise the key";
        self.memory_mb.refuse(format!("the memory that the firmware needs ({error})"), remedy)
    }
}

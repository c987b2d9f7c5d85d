//! What applies to a firmware, and why.
//!
//! Each setting comes from the first layer that has it: the annotations of the container's
//! specification, then client.conf (its `[Micrun]` section before its other keys), then the host's
//! micrun.conf, then a default. The host's policy lowers some of them, whoever says them.

mod rows;

use std::fmt;
use std::time::Duration;

pub use rows::{Row, plain};

use crate::annotations::{Greeting, Ready};
use crate::client_conf::{Cpu, Machine};
use crate::elf::{self, ElfInfo, Requirements};
use crate::policy::ContainerPolicy;
use crate::qemu::{self, Bios, Completed};
use crate::{
    Annotations, ClientConf, Coredump, Error, HostConf, Os, Pedestal, Policy, Result, Watchdog, annotations,
};

/// The most virtual CPUs when nothing else is said: what upstream's shim sends.
pub const DEFAULT_MAX_VCPU: u32 = 8;

/// How long firmware may take to show a sign of life when nothing else is said.
pub const DEFAULT_READY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// An annotation of the container's specification.
    Annotation,
    /// An annotation that may be a label of the image: the client of containerd makes no difference.
    Label,
    /// The image's client.conf.
    ClientConf,
    /// The host's micrun.conf, or the shim's environment.
    HostConf,
    /// A limit of the container's specification.
    Limit,
    /// A property of the ELF.
    Elf,
    /// Nothing said otherwise.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Annotation => "annotation",
            Self::Label => "annotation or label",
            Self::ClientConf => "client.conf",
            Self::HostConf => "micrun.conf",
            Self::Limit => "limit",
            Self::Elf => "elf",
            Self::Default => "default",
        })
    }
}

/// A value, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Its origin.
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// Another value of the same origin.
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: change(self.value), origin: self.origin }
    }
}

/// Everything that can say something about a firmware, in order of precedence.
#[derive(Debug)]
pub struct Layers<'a> {
    spec: &'a Annotations,
    image: Annotations,
    pub(crate) conf: &'a ClientConf,
    host: Annotations,
    /// What the host allows; `None` where no host is known.
    policy: Option<ContainerPolicy>,
}

impl<'a> Layers<'a> {
    /// The layers of a specification's annotations over an image's client.conf.
    pub fn new(spec: &'a Annotations, conf: &'a ClientConf) -> Result<Self> {
        Ok(Self { spec, image: conf.annotations()?, conf, host: Annotations::default(), policy: None })
    }

    /// These over what a host sets for all its containers.
    #[must_use]
    pub fn over(mut self, host: &HostConf) -> Self {
        self.host = host.annotations().clone();
        self.policy = Some(host.policy().clone());
        self
    }

    /// What the host says, for what an image may say in other ways than by annotations.
    pub(crate) fn host<T>(&self, get: impl Fn(&Annotations) -> Option<T>) -> Option<T> {
        get(&self.host)
    }

    /// The value of an annotation, from whichever layer has it first.
    pub(crate) fn annotation<T>(&self, get: impl Fn(&Annotations) -> Option<T>) -> Option<T> {
        get(self.spec).or_else(|| get(&self.image))
    }

    /// The precedence, once for all settings.
    fn pick<T>(&self, get: impl Fn(&Annotations) -> Option<T>, in_conf: Option<T>) -> Option<Setting<T>> {
        let from = |origin| move |value| Setting { value, origin };
        get(self.spec)
            .map(from(Origin::Annotation))
            .or_else(|| get(&self.image).or(in_conf).map(from(Origin::ClientConf)))
            .or_else(|| get(&self.host).map(from(Origin::HostConf)))
    }
}

/// The effective settings of a firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The guest operating system.
    pub os: Setting<Os>,
    /// What the firmware runs on.
    pub pedestal: Setting<Pedestal>,
    /// Its memory in MiB; 0 is what the QEMU machine has by itself, as in the mica create message. A
    /// container's memory limit, which this crate does not see, lowers it.
    pub memory_mb: Setting<u32>,
    /// Virtual CPUs.
    pub vcpu: Setting<u32>,
    /// The most virtual CPUs it may be given later.
    pub max_vcpu: Setting<u32>,
    /// How long after its client has left it is stopped; `None` is never.
    pub auto_close: Setting<Option<Duration>>,
    /// The sign for which its start waits; `None` waits for nothing.
    pub ready: Setting<Option<Ready>>,
    /// Of which ends there is a core; `None` leaves it to the daemon.
    pub coredump: Setting<Option<Coredump>>,
    /// What it must do to live on.
    pub watchdog: Setting<Watchdog>,
    /// What is typed on its console once it has started.
    pub greeting: Setting<Greeting>,
    /// How long it may take to show that, or any sign of life; `None` is no limit.
    pub ready_timeout: Setting<Option<Duration>>,
    /// Whether its steps are logged in detail.
    pub debug: Setting<bool>,
    /// Whether changes of its resources at run time are ignored.
    pub static_resource: Setting<bool>,
    /// Whether it is told on its command line for which trace it runs.
    pub trace_context: Setting<bool>,
    /// What its shell prints when it waits for a command; `None` is no shell.
    pub shell_prompt: Setting<Option<String>>,
    /// The QEMU machine, with the options that it gets.
    pub qemu_machine: Setting<Machine>,
    /// The CPU model of the QEMU machine; `None` leaves it to the machine.
    pub qemu_cpu: Setting<Option<Cpu>>,
    /// What the QEMU machine runs before the firmware; `None` where there is no such choice.
    pub qemu_bios: Setting<Option<Bios>>,
}

impl Settings {
    /// What applies to this firmware.
    pub fn resolve(layers: &Layers<'_>, elf: &ElfInfo) -> Result<Self> {
        let (mica, qemu) = (&layers.conf.mica, &layers.conf.qemu);
        let machine = Completed::of(qemu, elf);
        let origin = |said: bool| if said { Origin::ClientConf } else { Origin::Default };
        let bios_said = qemu.bios.is_some() && machine.bios.is_some();
        let max_vcpu = max_vcpu(layers);
        let os = layers.pick(|a| a.os.clone(), None).unwrap_or(default(Os::default()));
        let pedestal = layers
            .pick(|a| a.pedestal, mica.pedestal)
            .unwrap_or(Setting { value: Pedestal::default_for(elf), origin: Origin::Elf });
        let greeting = layers
            .pick(|a| a.greeting.clone(), None)
            .unwrap_or_else(|| default(greeting(&os.value, pedestal.value)));
        Ok(Self {
            os,
            pedestal,
            memory_mb: memory(layers, &machine)?,
            vcpu: [layers.pick(|a| a.max_container_cpus, None), Some(max_vcpu)]
                .into_iter()
                .fold(layers.pick(|_| None, mica.vcpu).unwrap_or(default(1)), at_most),
            max_vcpu,
            auto_close: layers
                .pick(Annotations::auto_close_after, None)
                .map_or(default(None), |after| after.map(|after| (!after.is_zero()).then_some(after))),
            ready: layers.pick(|a| a.ready.clone(), None).map_or(default(None), |ready| ready.map(Some)),
            coredump: layers.pick(|a| a.coredump, None).map_or(default(None), |said| said.map(Some)),
            watchdog: layers.pick(|a| a.watchdog, None).unwrap_or(default(Watchdog::default())),
            greeting,
            ready_timeout: layers
                .pick(|a| a.ready_timeout, None)
                .unwrap_or(default(DEFAULT_READY_TIMEOUT))
                .map(|limit| (!limit.is_zero()).then_some(limit)),
            debug: layers.pick(|a| a.debug, None).unwrap_or(default(false)),
            static_resource: layers.pick(|a| a.static_resource, None).unwrap_or(default(false)),
            trace_context: layers.pick(|a| a.trace_context, None).unwrap_or(default(false)),
            shell_prompt: layers
                .pick(|a| a.shell_prompt.clone(), None)
                .map_or(default(None), |prompt| prompt.map(Some)),
            qemu_machine: Setting { value: machine.machine, origin: origin(qemu.machine.is_some()) },
            qemu_cpu: Setting { value: machine.cpu, origin: origin(qemu.cpu.is_some()) },
            qemu_bios: Setting { value: machine.bios, origin: origin(bios_said) },
        })
    }

    /// Whether the host allows to run the firmware with these settings. What it would lower is lowered already.
    pub fn check_policy(&self, policy: &Policy, elf: &ElfInfo) -> Result<()> {
        policy.check_pedestal(self.pedestal)?;
        if matches!(self.pedestal.value, Pedestal::Qemu | Pedestal::Xen) {
            policy.memory_mb.check("memory in MiB", self.memory_mb.value)?;
            policy.vcpus.check("a number of virtual CPUs", self.vcpu.value)?;
        }
        if self.pedestal.value != Pedestal::Qemu {
            return Ok(());
        }
        policy.check_machine(&self.qemu_machine.value)?;
        if let Some(cpu) = &self.qemu_cpu.value {
            policy.check_cpu(cpu)?;
        }
        let board = qemu::board(&self.qemu_machine.value, elf);
        let soldered = board.filter(|board| board.ram.is_none()).map(qemu::Board::soldered_mb);
        let what = format!("the memory in MiB of the board {}", self.qemu_machine.value.name());
        policy.memory_mb.check(&what, soldered.unwrap_or_default())
    }

    /// Whether the firmware can run with these settings. To be repeated when a container's memory limit
    /// has replaced `memory_mb`.
    pub fn check(&self, elf: &ElfInfo) -> Result<()> {
        if let (Pedestal::Qemu, Some(Ready::Endpoint(_))) = (self.pedestal.value, &self.ready.value) {
            return Err(Error::Annotation {
                key: format!("{}container.ready", annotations::PREFIX),
                reason: "firmware on the qemu pedestal announces no endpoints; write console:TEXT".into(),
            });
        }
        self.check_watchdog(elf)?;
        let memory = self.memory_mb.value;
        let mut requirements = Requirements::of(self.pedestal.value);
        if self.pedestal.value == Pedestal::Xen && memory > 0 {
            requirements = requirements.with_memory(memory);
        }
        elf::check(elf, &requirements)?;
        match self.pedestal.value {
            Pedestal::Qemu => {
                qemu::check(elf, &self.qemu_machine.value, memory, self.qemu_bios.value.as_ref())
            }
            // The board says where the memory is, and how much.
            _ => Ok(()),
        }
    }
}

impl Settings {
    /// Firmware that cannot be watched as it was asked for must not run unwatched.
    fn check_watchdog(&self, elf: &ElfInfo) -> Result<()> {
        let watchdog = self.watchdog.value;
        let reason = match self.pedestal.value {
            _ if !watchdog.is_on() => return Ok(()),
            Pedestal::BareMetal if watchdog.spin.is_some() => {
                "nothing tells whether a core of its own rests; write heartbeat:TIME or console:TIME"
            }
            Pedestal::Qemu | Pedestal::BareMetal
                if watchdog.heartbeat.is_some() && elf.exit_record.is_none() =>
            {
                "the firmware has no exit record, in which its heart could beat (FIRMWARE.md); write console:TIME"
            }
            Pedestal::Qemu | Pedestal::BareMetal => return Ok(()),
            _ => "only firmware on the pedestals qemu and baremetal has a watchdog of the mica daemon's",
        };
        let key = format!("{}container.watchdog", annotations::PREFIX);
        Err(Error::Annotation { key, reason: reason.to_owned() })
    }
}

const fn default<T>(value: T) -> Setting<T> {
    Setting { value, origin: Origin::Default }
}

/// What firmware gets typed when nothing else is said. Zephyr's UART over rpmsg holds its output back until it has got a
/// byte (`uart_rpmsg_endpoint_cb`), and its shell ignores a zero byte. Other shells may take it for input.
fn greeting(os: &Os, pedestal: Pedestal) -> Greeting {
    match (os, pedestal) {
        (Os::Zephyr, Pedestal::BareMetal) => Greeting::zero(),
        _ => Greeting::default(),
    }
}

/// client.conf's memory or the default, within the floor and the ceiling that annotations set. Memory that is
/// soldered is 0, whatever anybody says.
fn memory(layers: &Layers<'_>, machine: &Completed) -> Result<Setting<u32>> {
    let floor = layers.pick(|a| a.min_memory_mb, None);
    let ceiling = layers.pick(|a| a.max_container_memory, None);
    if let (Some(floor), Some(ceiling)) = (floor, ceiling)
        && floor.value > ceiling.value
    {
        return Err(Error::Annotation {
            key: format!("{}container.min_memory_mb", annotations::PREFIX),
            reason: format!(
                "{} MiB is more than runtime.max_container_memory allows ({} MiB); lower one or raise the other",
                floor.value, ceiling.value
            ),
        });
    }
    let Some(unsaid) = machine.default_memory_mb() else { return Ok(default(0)) };
    let said = layers.pick(|_| None, layers.conf.memory()).unwrap_or(default(unsaid));
    let raised = floor.filter(|floor| floor.value > said.value).unwrap_or(said);
    let wished = at_most(raised, ceiling);
    let Some(policy) = &layers.policy else { return Ok(wished) };
    let most = &policy.firmware.memory_mb;
    if let Some(floor) = floor {
        most.check("container.min_memory_mb", floor.value)?;
    }
    Ok(most.cap(wished))
}

/// The most virtual CPUs. What a host allows is also what there may be where nothing is said.
fn max_vcpu(layers: &Layers<'_>) -> Setting<u32> {
    let said = layers.pick(|a| a.max_vcpu_num, layers.conf.mica.max_vcpu);
    let Some(policy) = &layers.policy else { return said.unwrap_or(default(DEFAULT_MAX_VCPU)) };
    let most = &policy.firmware.vcpus;
    let unsaid = most.is_set().then_some(most.value).flatten();
    let unsaid =
        unsaid.map_or(default(DEFAULT_MAX_VCPU), |value| Setting { value, origin: Origin::HostConf });
    most.cap(said.unwrap_or(unsaid))
}

fn at_most(setting: Setting<u32>, ceiling: Option<Setting<u32>>) -> Setting<u32> {
    ceiling.filter(|ceiling| ceiling.value < setting.value).unwrap_or(setting)
}

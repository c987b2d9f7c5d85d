//! The policy of micrun.conf.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::{Most, Patterns, Policy, Rule};
use crate::annotations::{self, Effect, PATCH, PREFIX, parse_bool};
use crate::client_conf::Machine;
use crate::host_conf::FILE;
use crate::qemu::{BOARDS, PORTS};
use crate::settings::DEFAULT_MAX_VCPU;
use crate::signature::Keys;
use crate::text::{printable, quoted};
use crate::{ElfInfo, Error, MAX_FIRMWARE_MB, Result, Settings};

/// What a container may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPolicy {
    /// What firmware may run on, and how large it may be.
    pub firmware: Policy,
    /// Annotations, without their prefix, of containers and in the `[Micrun]` section of images.
    pub annotations: Rule<Patterns>,
    /// Serial ports of a machine.
    pub consoles: Most,
    /// Whether firmware may go on from a checkpoint.
    pub restore: Rule<bool>,
    /// Where the keys are of which one must have signed firmware; `None` asks for no signature.
    pub signature: Rule<Option<PathBuf>>,
    /// Where firmware must be to be patched into one that runs; `None` allows no patch.
    pub patches: Rule<Option<PathBuf>>,
}

impl Default for ContainerPolicy {
    fn default() -> Self {
        let known = "what docs/BOARDS.md lists";
        Self {
            firmware: Policy {
                pedestals: unset("allowed_pedestals", Patterns::of(["qemu"]), "qemu"),
                remoteprocs: unset("allowed_remoteprocs", Patterns::any(), "*"),
                machines: unset("allowed_machines", known_machines(), known),
                cpus: unset("allowed_cpus", known_cpus(), known),
                memory_mb: unset("container_maxmem", None, "no limit"),
                vcpus: unset("max_container_vcpu", Some(DEFAULT_MAX_VCPU), DEFAULT_MAX_VCPU),
                firmware_mb: unset("max_firmware_size", Some(MAX_FIRMWARE_MB), MAX_FIRMWARE_MB),
                // The daemon's to decide.
                kvm: unset("AllowKvm", false, "no"),
            },
            annotations: unset("allowed_annotations", Patterns::any(), "*"),
            consoles: unset("max_consoles", None, "no limit"),
            restore: unset("allow_restore", false, "false"),
            signature: unset("require_signature", None, "not asked for"),
            patches: unset("patch_directory", None, "none"),
        }
    }
}

fn unset<T>(key: &'static str, value: T, shown: impl Display) -> Rule<T> {
    Rule::unset(key, value, shown, FILE)
}

/// The machines of docs/BOARDS.md, and QEMU's older versions of `virt`.
fn known_machines() -> Patterns {
    let virt = Machine::default();
    let versions = format!("{}-*", virt.name());
    Patterns::of(BOARDS.iter().map(|board| board.machine.to_owned()).chain([versions]))
}

/// The processors of docs/BOARDS.md.
fn known_cpus() -> Patterns {
    Patterns::of(BOARDS.iter().map(|board| board.model).chain(PORTS.iter().filter_map(|port| port.cpu)))
}

impl ContainerPolicy {
    /// Why a host that sets nothing refuses firmware with these settings, for whoever makes images; `None` if it does not.
    pub fn default_objection(settings: &Settings, elf: &ElfInfo) -> Option<String> {
        let mut policy = Self::default().firmware;
        // It would be lowered, not refused.
        policy.vcpus.value = None;
        let refused = settings.check_policy(&policy, elf).err()?;
        Some(format!("a host with the default policy refuses it: {refused}"))
    }

    /// Sets the rule of the key `name`, or gives the reason for a value that cannot be read.
    pub(crate) fn set(&mut self, name: &str, text: &str, place: &impl Display) -> Result<(), String> {
        let Self { firmware, annotations, consoles, restore, signature, patches } = self;
        match name {
            "allowed_pedestals" => names(&mut firmware.pedestals, text, place),
            "allowed_remoteprocs" => names(&mut firmware.remoteprocs, text, place),
            "allowed_machines" => names(&mut firmware.machines, text, place),
            "allowed_cpus" => names(&mut firmware.cpus, text, place),
            "allowed_annotations" => {
                // Whoever copies a key in full means that key.
                let short = text.replace(PREFIX, "");
                names(annotations, &short, place)
            }
            "container_maxmem" => most(&mut firmware.memory_mb, text, place, u32::MAX),
            "max_container_vcpu" => most(&mut firmware.vcpus, text, place, u32::MAX),
            "max_consoles" => most(consoles, text, place, u32::MAX),
            "max_firmware_size" => most(&mut firmware.firmware_mb, text, place, MAX_FIRMWARE_MB),
            "allow_restore" => {
                let value = parse_bool(text)
                    .ok_or_else(|| format!("{} is not a bool; write true or false", quoted(text)))?;
                restore.set(value, text, place);
                Ok(())
            }
            "patch_directory" if text.starts_with('/') => {
                patches.set(Some(text.into()), text, place);
                Ok(())
            }
            "patch_directory" => Err(format!("{} is not an absolute path", quoted(text))),
            "require_signature" if text.starts_with('/') => {
                signature.set(Some(text.into()), text, place);
                Ok(())
            }
            "require_signature" => {
                Err(format!("{} is not an absolute path; name a directory of keys", quoted(text)))
            }
            other => Err(format!("{} is not a key of the policy", quoted(other))),
        }
    }

    /// Lowers the limit of the key `name` for a container that brings its own configuration, and gives whether that was
    /// needed. Such a configuration sets nothing else of the policy.
    pub(crate) fn narrow(&mut self, name: &str, text: &str, place: &impl Display) -> Result<bool, String> {
        let mut wished = self.clone();
        let limits = |policy: &Self| {
            let Policy { memory_mb, vcpus, firmware_mb, .. } = &policy.firmware;
            [memory_mb, vcpus, firmware_mb, &policy.consoles].map(|rule| (rule.key, rule.value))
        };
        let Some(at) = limits(self).iter().position(|(key, _)| *key == name) else {
            return Err(format!(
                "only {FILE}, the files of conf.d and the environment of containerd set it, for it is the host's word"
            ));
        };
        // Upstream's way to write "not set".
        if text.is_empty() || text == "0" {
            return Ok(false);
        }
        wished.set(name, text, place)?;
        let ((_, before), (_, after)) = (limits(self)[at], limits(&wished)[at]);
        let lowers = before.is_none_or(|before| after.is_some_and(|after| after < before));
        if lowers {
            *self = wished;
        }
        Ok(lowers)
    }

    /// Refuses a key that the policy does not allow. `place` says where it stands. A key that does nothing is harmless.
    pub(crate) fn check_annotation(&self, name: &str, place: &str) -> Result<()> {
        let known = annotations::TABLE.iter().find(|key| key.name == name);
        if known.is_none_or(|key| key.effect != Effect::Effective) {
            return Ok(());
        }
        self.allow_annotation(name, place)
    }

    fn allow_annotation(&self, name: &str, place: &str) -> Result<()> {
        if self.annotations.value.allows(name) {
            return Ok(());
        }
        let remedy = "remove it, or let the host's administrator add it to the key";
        Err(self.annotations.refuse(format!("{place} {}", printable(name)), remedy))
    }

    /// Refuses a container's annotations if one is not allowed.
    pub(crate) fn check_annotations<'a>(&self, keys: impl IntoIterator<Item = &'a String>) -> Result<()> {
        let ours = keys.into_iter().filter_map(|key| key.strip_prefix(PREFIX));
        ours.into_iter().try_for_each(|name| self.check_annotation(name, "the annotation"))
    }

    /// The directory whose firmware may be patched into one that runs, if the annotation that asks for it is allowed. A patch
    /// brings no signature, so a host that asks for signatures has none.
    pub fn patch_directory(&self) -> Result<&Path> {
        self.allow_annotation(PATCH, "the annotation")?;
        let subject = "a patch of firmware that runs";
        if self.signature.value.is_some() {
            return Err(self.signature.refuse(subject, "start the container anew, with the new image"));
        }
        let remedy = "start the container anew, or let the host's administrator name a directory of patches";
        self.patches.value.as_deref().ok_or_else(|| self.patches.refuse(subject, remedy))
    }

    /// The keys of which one must have signed firmware; `None` if no signature is asked for. Read anew each time, so that
    /// a key that is removed no longer counts.
    pub(crate) fn signature_keys(&self) -> Result<Option<Keys>> {
        self.signature.value.as_deref().map(Keys::load).transpose()
    }

    /// The refusal of firmware without a signature that counts, for this reason.
    pub(crate) fn unsigned(&self, reason: impl Display) -> Error {
        let remedy = "sign the image with a key of that place (micrun-image-builder pack --sign-key), or let the host's \
                      administrator add the key";
        self.signature.refuse(format!("firmware without a valid signature ({reason})"), remedy)
    }

    /// Refuses to go on from a checkpoint unless that is allowed.
    pub fn check_restore(&self) -> Result<()> {
        if self.restore.value {
            return Ok(());
        }
        let remedy = "start the container anew, or let the host's administrator set the key to true if all \
                      checkpoints on this host can be trusted";
        Err(self.restore.refuse("to go on from a checkpoint", remedy))
    }
}

fn names(rule: &mut Rule<Patterns>, text: &str, place: &impl Display) -> Result<(), String> {
    let patterns: Patterns = text.parse()?;
    rule.set(patterns.clone(), patterns, place);
    Ok(())
}

fn most(rule: &mut Most, text: &str, place: &impl Display, largest: u32) -> Result<(), String> {
    match text.parse::<u32>() {
        Ok(number) if (1..=largest).contains(&number) => {
            rule.set(Some(number), number, place);
            Ok(())
        }
        Ok(number) if number > largest => Err(format!("{number} is more than {largest}, the largest limit")),
        _ => Err(format!("{} is not a number of 1 or more", quoted(text))),
    }
}

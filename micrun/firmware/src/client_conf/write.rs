//! Writing a client.conf: canonical text, the same for the same values.

use std::fmt::Write as _;

use super::{ClientConf, MicaSection, QemuSection};
use crate::{Error, Result};

impl ClientConf {
    /// The text of the file: sections and keys in the order of the documentation, absent ones left out.
    ///
    /// A value that would not be read back as it is (with a line break in it, say, or too long) is an
    /// error, so what is written is valid and says what was meant.
    pub fn to_ini(&self) -> Result<String> {
        let mut text = String::new();
        section(&mut text, "Mica", self.mica.pairs());
        section(&mut text, "Qemu", self.qemu.pairs());
        section(
            &mut text,
            "Micrun",
            self.micrun.iter().map(|(key, value)| (key.as_str(), Some(value.clone()))),
        );
        let back = Self::parse(&text)?;
        match self.first_difference(&back) {
            Some(key) => Err(Error::ConfUnwritable { key }),
            None => Ok(text),
        }
    }

    /// The first key whose value is not that of `other`.
    fn first_difference(&self, other: &Self) -> Option<&'static str> {
        let pairs = |conf: &Self| conf.mica.pairs().chain(conf.qemu.pairs()).collect::<Vec<_>>();
        let differing = pairs(self).into_iter().zip(pairs(other)).find(|(ours, theirs)| ours != theirs);
        differing.map(|((key, _), _)| key).or((self.micrun != other.micrun).then_some("a key of [Micrun]"))
    }
}

impl MicaSection {
    fn pairs(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        let number = |value: Option<u32>| value.map(|n| n.to_string());
        let flag = |value: Option<bool>| value.map(|on| if on { "yes" } else { "no" }.to_owned());
        let values = [
            self.name.clone(),
            self.client_path.clone(),
            self.pedestal.map(|p| p.to_string()),
            self.pedestal_conf.clone(),
            self.cpu.clone(),
            number(self.vcpu),
            number(self.max_vcpu),
            number(self.cpu_weight),
            number(self.cpu_capacity),
            number(self.memory),
            number(self.max_memory),
            self.iomem.clone(),
            self.network.clone(),
            flag(self.debug),
            flag(self.auto_boot),
        ];
        Self::KEYS.iter().copied().zip(values)
    }
}

impl QemuSection {
    fn pairs(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        let values = [
            self.machine.as_ref().map(ToString::to_string),
            self.cpu.as_ref().map(ToString::to_string),
            self.memory.map(|n| n.to_string()),
            self.bios.as_ref().map(ToString::to_string),
            self.devices.as_ref().map(ToString::to_string),
            self.consoles.map(|n| n.to_string()),
            self.console_port.map(|n| n.to_string()),
            self.append.clone(),
        ];
        Self::KEYS.iter().copied().zip(values)
    }
}

fn section<'a>(text: &mut String, name: &str, pairs: impl Iterator<Item = (&'a str, Option<String>)>) {
    let mut begun = false;
    for (key, value) in pairs {
        let Some(value) = value else { continue };
        if !begun {
            let gap = if text.is_empty() { "" } else { "\n" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{gap}[{name}]");
            begun = true;
        }
        let _ = writeln!(text, "{key} = {value}");
    }
}

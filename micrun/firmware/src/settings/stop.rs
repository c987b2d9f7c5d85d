//! How firmware is stopped, and whether it can be stopped like that.

use super::Settings;
use crate::elf::{ElfInfo, Family};
use crate::qemu::{self, Board};
use crate::{Error, Pedestal, Result, Stop, StopCommand, annotations};

impl Settings {
    /// How it is stopped.
    pub fn stop(&self) -> Stop {
        Stop { command: self.stop_command.value.clone(), timeout: self.stop_timeout.value }
    }

    /// Firmware that cannot be asked as somebody wishes would lose its power only after that was waited for.
    pub(super) fn check_stop(&self, elf: &ElfInfo) -> Result<()> {
        let refused = |name: &str, reason: String| {
            Err(Error::Annotation { key: format!("{}{name}", annotations::PREFIX), reason })
        };
        match (&self.stop_command.value, self.pedestal.value) {
            (None, _) if self.stop_timeout.value.is_some() => refused(
                "container.stop_timeout",
                "there is no container.stop_command for which to wait; add one, or leave this out".to_owned(),
            ),
            (None, _) | (Some(StopCommand::Line { .. }), Pedestal::Qemu | Pedestal::BareMetal) => Ok(()),
            (Some(StopCommand::Button), Pedestal::Qemu) => {
                let machine = &self.qemu_machine.value;
                let has_button = |board: &Board| {
                    board.machine == "virt" && matches!(elf.family(), Some(Family::A64 | Family::A32))
                };
                match qemu::board(machine, elf) {
                    Some(board) if !has_button(board) => refused(
                        "container.stop_command",
                        format!("the machine {} has no power button; write console:TEXT", machine.name()),
                    ),
                    // Of any other machine nothing is known.
                    _ => Ok(()),
                }
            }
            (Some(StopCommand::Button), Pedestal::BareMetal) => refused(
                "container.stop_command",
                "a core has no power button; write console:TEXT or endpoint:NAME:TEXT".to_owned(),
            ),
            (Some(_), pedestal) => refused(
                "container.stop_command",
                format!("nothing asks firmware on the {pedestal} pedestal to end; leave it out"),
            ),
        }
    }
}

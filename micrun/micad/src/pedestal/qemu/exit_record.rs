//! The exit record: four words that firmware leaves in its memory before it powers off, or resets a machine that cannot
//! be powered off.
//!
//! docs/FIRMWARE.md, section "Exit status", defines it; the address comes from a note in the ELF.

use libmica::ext::{ExitReason, ExitReport};

use crate::pedestal::report;

/// `MEXT` in memory order.
const MAGIC: u32 = 0x5458_454d;
const KIND_EXIT: u32 = 0;
const KIND_FAULT: u32 = 1;

/// The report for a machine that ended with these words at its exit record, if it has one; `otherwise` is what such an end
/// means without a record.
pub(super) fn interpret(words: Option<[u32; 4]>, otherwise: ExitReport) -> ExitReport {
    let Some([MAGIC, kind, status, _]) = words else { return otherwise };
    // As exit(2) does.
    let [status, ..] = status.to_le_bytes();
    match kind {
        KIND_EXIT => report(status, ExitReason::Exited, format!("the firmware exited with status {status}")),
        KIND_FAULT => report(
            status,
            ExitReason::Fault,
            format!("the firmware's exception handler gave status {status}"),
        ),
        other => report(1, ExitReason::Fault, format!("the exit record has the unknown kind {other}")),
    }
}

/// Reads the answer of the monitor's `xp /Nxw`: lines of `address: 0xWORD 0xWORD ...`.
pub(super) fn parse_words<const N: usize>(text: &str) -> Option<[u32; N]> {
    let words: Vec<u32> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .flat_map(|(_, words)| words.split_ascii_whitespace())
        .map(|word| u32::from_str_radix(word.strip_prefix("0x")?, 16).ok())
        .collect::<Option<_>>()?;
    words.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_the_monitor_prints_them() {
        let text = "0000000040080000: 0x5458454d 0x00000000 0x00000007 0x00000000\r\n";
        assert_eq!(parse_words::<4>(text), Some([MAGIC, 0, 7, 0]));
        for bad in ["", "Cannot access memory\r\n", "0: 0x1 0x2 0x3", "0: 0x1 0x2 0x3 zz", "0: 1 2 3 4"] {
            assert_eq!(parse_words::<4>(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn status_and_reason() {
        let outcome = |words| {
            let report = interpret(words, report(3, ExitReason::Reset, "no record"));
            (report.status, report.reason)
        };
        assert_eq!(outcome(None), (3, ExitReason::Reset));
        assert_eq!(outcome(Some([0, 0, 7, 0])), (3, ExitReason::Reset));
        assert_eq!(outcome(Some([MAGIC, 0, 7, 0])), (7, ExitReason::Exited));
        assert_eq!(outcome(Some([MAGIC, 0, 0x1_05, 0])), (5, ExitReason::Exited));
        assert_eq!(outcome(Some([MAGIC, 1, 139, 0])), (139, ExitReason::Fault));
        assert_eq!(outcome(Some([MAGIC, 9, 0, 0])), (1, ExitReason::Fault));
    }
}

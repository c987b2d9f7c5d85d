//! What firmware and the kernel leave to be read, as texts. Some of it firmware has written: nothing here needs the rest
//! of the daemon, and `fuzz/` compiles this file by itself.

/// Most of a text of the firmware's that is repeated, in characters.
const MOST: usize = 200;

/// The beginning of a text of the firmware's, for a sentence.
pub(super) fn short(text: &str) -> String {
    text.chars().take(MOST).collect()
}

/// The last line of a trace buffer that has one, fit for a terminal.
pub(super) fn last_line(trace: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(trace);
    let line = text.lines().rev().map(str::trim).find(|line| !line.trim_matches('\0').is_empty())?;
    Some(short(&line.escape_debug().to_string()))
}

/// How often the interrupt of that name has come, by the table in `/proc/interrupts`: a line has its number, a count for
/// each processor, the controller, the name.
pub(super) fn interrupts(table: &str, name: &str) -> Option<u64> {
    let line = table.lines().find(|line| line.split_whitespace().next_back() == Some(name))?;
    let counts = line.split_whitespace().skip(1).map_while(|word| word.parse::<u64>().ok());
    Some(counts.fold(0, u64::saturating_add))
}

/// The severity and the message of a record of `/dev/kmsg`: `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;MESSAGE`
/// (Documentation/ABI/testing/dev-kmsg). The lines that follow with a blank are no messages.
pub(super) fn log_record(record: &str) -> Option<(u8, &str)> {
    let (prefix, message) = record.split_once(';')?;
    let priority: u32 = prefix.split(',').next()?.parse().ok()?;
    Some((u8::try_from(priority & 7).ok()?, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_kernel() {
        assert_eq!(
            log_record("3,900,41,-;remoteproc remoteproc0: Boot failed: -22"),
            Some((3, "remoteproc remoteproc0: Boot failed: -22"))
        );
        assert_eq!(log_record("30,1,2,c;daemon"), Some((6, "daemon")));
        for other in ["", " SUBSYSTEM=remoteproc", " DEVICE=+x;y", "x,1;text"] {
            assert_eq!(log_record(other), None, "{other:?}");
        }
    }
}

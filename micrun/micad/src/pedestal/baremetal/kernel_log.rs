//! What the kernel says about a remoteproc: an error number alone explains little.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use super::sysfs::{Remoteproc, System};
use super::texts;

/// Severity of a warning (syslog(2)); lower is worse.
const WARNING: u8 = 4;
/// Messages worth repeating.
const MOST: usize = 4;
/// Longest record of `/dev/kmsg`, with room (`PRINTK_MESSAGE_MAX` is 2048).
const RECORD: usize = 8192;
/// Records that are looked at.
const MOST_RECORDS: usize = 1000;

/// The kernel's log from a point on.
pub(super) struct KernelLog(Option<File>);

/// All of the log that the kernel still has, without what is before each message.
pub(crate) fn whole(log: &Path) -> io::Result<Vec<String>> {
    let mut log = KernelLog(Some(nonblocking().open(log)?));
    let mut messages = Vec::new();
    loop {
        let records = log.records();
        if records.is_empty() {
            return Ok(messages);
        }
        messages.extend(records.iter().filter_map(|record| Some(texts::log_record(record)?.1.to_owned())));
    }
}

fn nonblocking() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    options
}

impl KernelLog {
    /// From now on. Without permission to read the log there is simply nothing in it.
    pub(super) fn from_now(system: &System) -> Self {
        let opened = nonblocking().open(system.path("/dev/kmsg"));
        let at_end = opened.and_then(|mut log| log.seek(SeekFrom::End(0)).map(|_| log));
        Self(at_end.ok())
    }

    /// The warnings and errors since then that name the remoteproc or its device, as one line.
    pub(super) fn complaints(&mut self, remoteproc: &Remoteproc) -> String {
        let mut subjects = vec![format!("{}:", remoteproc.id)];
        subjects.extend(remoteproc.device_name().map(|name| format!("{name}:")));
        let mut found: Vec<String> = Vec::new();
        for record in self.records() {
            let Some((severity, message)) = texts::log_record(&record) else { continue };
            let Some(text) = subjects.iter().find_map(|s| message.split_once(s.as_str())) else { continue };
            let text = text.1.trim().to_owned();
            if severity <= WARNING && !found.contains(&text) {
                found.push(text);
            }
        }
        found.truncate(MOST);
        found.join("; ")
    }

    /// Each read of the device gives one record; of a plain file, as tests have it, all lines.
    fn records(&mut self) -> Vec<String> {
        let Some(log) = &mut self.0 else { return Vec::new() };
        let mut records = Vec::new();
        let mut buffer = vec![0; RECORD];
        while records.len() < MOST_RECORDS {
            match log.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    let text = String::from_utf8_lossy(&buffer[..n]);
                    records.extend(text.lines().map(str::to_owned));
                }
                // Records were overwritten before they were read.
                Err(e) if e.kind() == ErrorKind::BrokenPipe => {}
                Err(_) => break,
            }
        }
        records
    }
}

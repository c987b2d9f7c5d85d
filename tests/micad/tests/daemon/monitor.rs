//! QEMU's own monitor, over the QMP socket of a machine that no daemon is connected to.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::PATIENCE;

pub(crate) struct Monitor(BufReader<UnixStream>);

impl Monitor {
    pub(crate) fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut monitor = Self(BufReader::new(stream));
        monitor.command("qmp_capabilities", &json!({}));
        monitor
    }

    /// What a command of QMP returns.
    pub(crate) fn command(&mut self, command: &str, arguments: &Value) -> Value {
        let line = format!("{}\n", json!({"execute": command, "arguments": arguments}));
        self.0.get_mut().write_all(line.as_bytes()).unwrap();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "QEMU has closed its monitor");
            let answer: Value = serde_json::from_str(&line).unwrap();
            // The rest are the greeting and events.
            assert!(answer.get("error").is_none(), "{command}: {answer}");
            if let Some(value) = answer.get("return") {
                return value.clone();
            }
        }
    }

    /// What the monitor for people says.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        let said = self.command("human-monitor-command", &json!({"command-line": line}));
        said.as_str().unwrap().to_owned()
    }

    /// The machine's memory: `size` bytes from `address` on.
    pub(crate) fn memory(&mut self, pid: u32, address: u64, size: usize) -> Vec<u8> {
        let said = self.ask(&format!("gpa2hva {address:#x}"));
        let (_, host) = said.trim().rsplit_once("0x").unwrap();
        let mut bytes = vec![0; size];
        let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
        memory.read_exact_at(&mut bytes, u64::from_str_radix(host, 16).unwrap()).unwrap();
        bytes
    }
}

//! What gdb talks to when it debugs firmware on a core: it stops the firmware, and reads and writes registers and memory
//! while it is stopped.
//!
//! gdb starts it (`target remote | mica gdb-stub ...`), so nothing listens anywhere and it ends with gdb. The monitor at
//! EL2 holds the core. It sets no breakpoints and makes no single steps.

mod core;

use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context;
use libmica::{Client, ClientState};
use micrun_firmware::digest::hex;
use tokio::sync::mpsc;

use self::core::Core;
use crate::gdb_packet::{self, Message, Parser, packet, unhex};

/// SIGINT and SIGTRAP as gdb numbers them: why the firmware is stopped.
const STOPPED: &str = "S05";
const INTERRUPTED: &str = "S02";
const FAILED: &str = "E01";
/// Most bytes of memory in one answer: a page, which is what sysfs gives at once.
const MOST: usize = 4096;

/// Serves gdb on stdin and stdout until it lets the firmware go.
pub(super) async fn serve(client: &Client, name: &str, device: &Path) -> anyhow::Result<()> {
    let core = Core::open(device)?;
    let was_paused = state(client, name).await? == ClientState::Suspended;
    if !was_paused {
        client.pause(name).await?;
    }
    let mut stub = Stub { client, name, core, paused: true, bytes: listen(), parser: Parser::default() };
    let served = stub.serve().await;
    if stub.paused && !was_paused {
        client.resume(name).await?;
    }
    served
}

async fn state(client: &Client, name: &str) -> anyhow::Result<ClientState> {
    Ok(client.stats(name).await?.state)
}

/// What comes from gdb. It is read on a thread of its own, which ends with the process.
fn listen() -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = std::io::stdin().read(&mut buffer) {
            if send.blocking_send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    receive
}

/// What follows a message.
enum Then {
    Answer(String),
    /// The firmware runs until something stops it.
    Run,
    /// gdb lets go.
    End,
}

struct Stub<'a> {
    client: &'a Client,
    name: &'a str,
    core: Core,
    paused: bool,
    bytes: mpsc::Receiver<Vec<u8>>,
    parser: Parser,
}

impl Stub<'_> {
    async fn serve(&mut self) -> anyhow::Result<()> {
        while let Some(bytes) = self.bytes.recv().await {
            for byte in bytes {
                let then = match self.parser.take(byte) {
                    None => continue,
                    Some(Message::Damaged) => {
                        say("-")?;
                        continue;
                    }
                    Some(Message::Interrupt) => Then::Answer(INTERRUPTED.to_owned()),
                    Some(Message::Packet(text)) => {
                        say("+")?;
                        self.obey(&text)
                    }
                };
                match then {
                    Then::Answer(text) => say(&packet(&text))?,
                    Then::End => return say(&packet("OK")),
                    Then::Run => {
                        let reason = self.run().await?;
                        say(&packet(&reason))?;
                        if !self.paused {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets the firmware run; gives why it has stopped or ended.
    async fn run(&mut self) -> anyhow::Result<String> {
        self.client.resume(self.name).await?;
        self.paused = false;
        tokio::select! {
            // Whatever gdb sends now: it sends nothing else than an interrupt, or has ended.
            _ = self.bytes.recv() => {
                self.client.pause(self.name).await?;
                self.paused = true;
                Ok(INTERRUPTED.to_owned())
            }
            exit = self.client.wait(self.name) => Ok(format!("W{:02x}", exit?.status)),
        }
    }

    fn obey(&self, text: &str) -> Then {
        Then::Answer(match text.split_at_checked(1) {
            Some(("?", _)) => STOPPED.to_owned(),
            Some(("g", "")) => self.registers(),
            Some(("m", range)) => self.read(range).unwrap_or_else(|| FAILED.to_owned()),
            Some(("M", change)) => self.write(change).map_or(FAILED, |()| "OK").to_owned(),
            Some(("c", "")) => return Then::Run,
            Some(("D" | "k", _)) => return Then::End,
            // There is one thread.
            Some(("H", _)) => "OK".to_owned(),
            // gdb would write breakpoints into memory if it did not hear of an error.
            Some(("Z" | "z" | "s" | "G" | "P", _)) => FAILED.to_owned(),
            Some(("q", "Attached")) => "1".to_owned(),
            Some(("q", query)) if query.starts_with("Supported") => {
                format!("PacketSize={:x};qXfer:features:read+", gdb_packet::LONGEST)
            }
            Some(("q", query)) => query
                .strip_prefix("Xfer:features:read:target.xml:")
                .and_then(|range| part(&core::description(), range))
                .unwrap_or_default(),
            _ => String::new(),
        })
    }

    fn registers(&self) -> String {
        self.core.registers().map_or_else(|e| failed(&e), |bytes| hex(&bytes))
    }

    fn read(&self, range: &str) -> Option<String> {
        let (address, size) = numbers(range)?;
        let bytes = self.core.read(address, usize::try_from(size).ok()?.min(MOST)).ok()?;
        Some(hex(&bytes))
    }

    fn write(&self, change: &str) -> Option<()> {
        let (range, data) = change.split_once(':')?;
        let ((address, size), bytes) = (numbers(range)?, unhex(data)?);
        (usize::try_from(size).ok()? == bytes.len()).then(|| self.core.write(address, &bytes).ok())?
    }
}

fn failed(error: &anyhow::Error) -> String {
    eprintln!("mica: {error:#}");
    FAILED.to_owned()
}

/// Two hexadecimal numbers with a comma between.
fn numbers(text: &str) -> Option<(u64, u64)> {
    let (first, second) = text.split_once(',')?;
    Some((u64::from_str_radix(first, 16).ok()?, u64::from_str_radix(second, 16).ok()?))
}

/// The part of a document that gdb asks for, marked as the last one or not.
fn part(document: &str, range: &str) -> Option<String> {
    let (offset, size) = numbers(range)?;
    let rest = document.get(usize::try_from(offset).ok()?..)?;
    let end = rest.len().min(usize::try_from(size).ok()?);
    let more = if end < rest.len() { 'm' } else { 'l' };
    Some(format!("{more}{}", rest.get(..end)?))
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to gdb")
}

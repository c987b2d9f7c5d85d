//! `mica console`: a terminal on a client's console.

use std::io::{IsTerminal, Read, Write};

use anyhow::Context;
use libmica::attach::{Attach, From, Mode};
use libmica::{Client, Error};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use tokio::io::AsyncWriteExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::args::ConsoleArgs;
use super::logs::attach_again;

/// Connects this terminal with the client's console, until the escape key is typed or the firmware has ended.
pub(super) async fn console(client: &Client, args: &ConsoleArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let mode = if args.read_only { Mode::Read } else { Mode::Write };
    let mut ask = Attach { stream: args.stream.clone(), from: From::End, mode };
    let mut attached = client.attach(&args.name, &ask).await?;
    let leave = match args.escape {
        _ if args.read_only => "Ctrl-C leaves".to_owned(),
        Escape(Some(key)) => format!("{} leaves", shown(key)),
        Escape(None) => "its end, or a signal, leaves".to_owned(),
    };
    eprintln!("mica: this is the console of {}; {leave}", args.name);
    let raw = if args.read_only { None } else { Raw::set()? };
    let mut keys = if args.read_only { None } else { Some(keyboard()?) };
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let ended = 'attached: loop {
        let (mut output, mut input) = attached.split();
        loop {
            let typed = async {
                match &mut keys {
                    Some(keys) => keys.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                chunk = output.next() => match chunk {
                    Ok(Some(chunk)) => {
                        out.write_all(&chunk.bytes)?;
                        out.flush()?;
                        ask.from = From::Position(chunk.position + chunk.bytes.len() as u64);
                    }
                    Ok(None) => break 'attached true,
                    Err(Error::ConsoleLost { .. }) => break,
                    Err(e) => return Err(e.into()),
                },
                typed = typed => match typed {
                    Some(bytes) => {
                        let left = args.escape.0.and_then(|key| bytes.iter().position(|&byte| byte == key));
                        // A broker that is gone shows at the output.
                        let _ = input.write_all(&bytes[..left.unwrap_or(bytes.len())]).await;
                        if left.is_some() {
                            break 'attached false;
                        }
                    }
                    None => keys = None,
                },
                _ = term.recv() => break 'attached false,
                _ = int.recv() => break 'attached false,
                _ = hangup.recv() => break 'attached false,
            }
        }
        attached = attach_again(client, &args.name, &ask).await?;
    };
    drop(raw);
    let name = &args.name;
    eprintln!(
        "\nmica: {}",
        if ended { format!("the firmware of {name} has ended") } else { format!("left {name}") }
    );
    Ok(())
}

/// What is typed, by a thread: standard input may be a file, for which nothing can wait.
fn keyboard() -> anyhow::Result<mpsc::Receiver<Vec<u8>>> {
    let (typed, keys) = mpsc::channel(1);
    let read = move || {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = std::io::stdin().read(&mut buffer) {
            if typed.blocking_send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keyboard".to_owned()).spawn(read)?;
    Ok(keys)
}

/// A terminal that passes on each key as it is, until this is dropped.
struct Raw(Termios);

impl Raw {
    /// Nothing if standard input is no terminal.
    fn set() -> anyhow::Result<Option<Self>> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&stdin, SetArg::TCSANOW, &raw).context("cannot use the terminal")?;
        Ok(Some(Self(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no modes.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

/// The key that leaves a console, if one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Escape(Option<u8>);

/// The key of a text such as `ctrl-]`; `none` for none.
pub(super) fn escape(text: &str) -> Result<Escape, String> {
    let lower = text.to_ascii_lowercase();
    if lower == "none" {
        return Ok(Escape(None));
    }
    let key = lower.strip_prefix("ctrl-").or_else(|| lower.strip_prefix('^'));
    match key.map(str::as_bytes) {
        Some([key @ (b'a'..=b'z' | b'[' | b'\\' | b']' | b'^' | b'_')]) => Ok(Escape(Some(key & 0x1f))),
        _ => Err(format!("{text:?} is no key: write ctrl-] or another letter behind ctrl-, or none")),
    }
}

fn shown(key: u8) -> String {
    format!("Ctrl-{}", char::from(key | 0x40))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn keys_are_read_as_people_write_them() {
        for (text, key, name) in [("ctrl-]", 0x1d, "Ctrl-]"), ("Ctrl-A", 1, "Ctrl-A"), ("^p", 0x10, "Ctrl-P")]
        {
            assert_eq!(escape(text).unwrap(), Escape(Some(key)));
            assert_eq!(shown(key), name);
        }
        assert_eq!(escape("none").unwrap(), Escape(None));
        for text in ["", "x", "ctrl-", "ctrl-1", "ctrl-ab"] {
            assert!(escape(text).unwrap_err().contains("is no key"), "{text}");
        }
    }
}

//! `mica logs`: what a console has shown.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::time::{Duration, SystemTime};

use libmica::attach::{Attach, Chunk, From, Mode};
use libmica::{Client, Error};

use super::args::LogsArgs;

/// How often a console whose broker was killed is looked for: the daemon starts another one at once.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Prints what is asked for.
pub(super) async fn logs(client: &Client, args: &LogsArgs, out: &mut impl Write) -> anyhow::Result<()> {
    match print(client, args, out).await {
        // Nobody reads any more.
        Err(e) if e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) => Ok(()),
        printed => printed,
    }
}

async fn print(client: &Client, args: &LogsArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let since = args.since.map(nanoseconds).unwrap_or_default();
    let mut page = Page::new(args.timestamps, args.tail, since);
    let from = if args.previous { From::Previous } else { From::Start };
    let ask = |from, mode| Attach { stream: args.stream.clone(), from, mode };
    let (mut kept, _) = client.attach(&args.name, &ask(from, Mode::Dump)).await?.split();
    while let Some(chunk) = kept.next().await? {
        page.add(&chunk, out)?;
    }
    page.turn(out)?;
    if args.follow && !args.previous {
        let mut position = page.position.unwrap_or_default();
        while let Some(lost) = follow(client, args, position, &mut page, out).await? {
            position = lost;
        }
    }
    Ok(())
}

/// Prints what comes, from `position` on. Gives where to go on if the broker is gone, and nothing at the end.
async fn follow(
    client: &Client,
    args: &LogsArgs,
    position: u64,
    page: &mut Page,
    out: &mut impl Write,
) -> anyhow::Result<Option<u64>> {
    let ask = Attach { stream: args.stream.clone(), from: From::Position(position), mode: Mode::Read };
    let attached = attach_again(client, &args.name, &ask).await?;
    let (mut output, _input) = attached.split();
    loop {
        match output.next().await {
            Ok(Some(chunk)) => page.add(&chunk, out)?,
            Ok(None) => return Ok(None),
            Err(Error::ConsoleLost { .. }) => return Ok(Some(page.position.unwrap_or(position))),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Attaches, also while another broker is on its way.
pub(super) async fn attach_again(
    client: &Client,
    name: &str,
    ask: &Attach,
) -> libmica::Result<libmica::client::Attached> {
    let mut tries = 0;
    loop {
        match client.attach(name, ask).await {
            // The daemon may not know yet that it is dead, or have closed the connection that was on its way there.
            Err(Error::Failed { .. } | Error::MalformedReply { .. }) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
            other => return other,
        }
    }
}

/// A time as `--since` has it: RFC 3339, or how long ago.
pub(super) fn since(text: &str) -> Result<SystemTime, String> {
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Ok(time);
    }
    let ago = humantime::parse_duration(text).ok();
    ago.and_then(|ago| SystemTime::now().checked_sub(ago)).ok_or_else(|| {
        format!("{text:?} is neither a time such as 2026-01-31T12:00:00Z nor a duration such as 10m")
    })
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What is printed.
struct Page {
    timestamps: bool,
    since: u64,
    /// The last lines, while more may come that count before them.
    tail: Option<(usize, VecDeque<Vec<u8>>)>,
    /// The next byte begins a line.
    at_begin: bool,
    /// The position of the byte that comes next.
    position: Option<u64>,
}

impl Page {
    fn new(timestamps: bool, tail: Option<usize>, since: u64) -> Self {
        let tail = tail.map(|most| (most, VecDeque::new()));
        Self { timestamps, since, tail, at_begin: true, position: None }
    }

    fn add(&mut self, chunk: &Chunk, out: &mut impl Write) -> anyhow::Result<()> {
        let missed = self.position.map_or(0, |expected| chunk.position.saturating_sub(expected));
        if missed > 0 {
            eprintln!("mica: {missed} bytes are lost here: they were not read in time");
        }
        self.position = Some(chunk.position + chunk.bytes.len() as u64);
        if chunk.time < self.since {
            return Ok(());
        }
        for line in chunk.bytes.split_inclusive(|&byte| byte == b'\n') {
            let begins = std::mem::replace(&mut self.at_begin, line.ends_with(b"\n"));
            let mut text = Vec::new();
            if begins && self.timestamps {
                let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(chunk.time);
                text.extend(format!("{} ", humantime::format_rfc3339_micros(time)).into_bytes());
            }
            text.extend(line);
            match &mut self.tail {
                None => out.write_all(&text)?,
                Some((_, lines)) if !begins && !lines.is_empty() => {
                    if let Some(last) = lines.back_mut() {
                        last.extend(text);
                    }
                }
                Some((most, lines)) => {
                    lines.push_back(text);
                    if lines.len() > *most {
                        lines.pop_front();
                    }
                }
            }
        }
        Ok(out.flush()?)
    }

    /// Prints the last lines. What follows is printed as it comes.
    fn turn(&mut self, out: &mut impl Write) -> anyhow::Result<()> {
        for line in self.tail.take().map(|(_, lines)| lines).unwrap_or_default() {
            out.write_all(&line)?;
        }
        Ok(out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn printed(mut page: Page, parts: &[(u64, &str)]) -> String {
        let (mut out, mut position) = (Vec::new(), 0);
        for (second, text) in parts {
            let chunk = Chunk { time: second * 1_000_000_000, position, bytes: text.as_bytes().to_vec() };
            position += text.len() as u64;
            page.add(&chunk, &mut out).unwrap();
        }
        page.turn(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_counted_and_dated_however_they_came() {
        let parts = [(1, "a\nb"), (2, "b\nc\r"), (3, "\nd")];
        assert_eq!(printed(Page::new(false, None, 0), &parts), "a\nbb\nc\r\nd");
        assert_eq!(printed(Page::new(false, Some(2), 0), &parts), "c\r\nd");
        assert_eq!(printed(Page::new(false, Some(0), 0), &parts), "");
        assert_eq!(printed(Page::new(false, None, 2_000_000_000), &parts), "b\nc\r\nd");
        assert_eq!(
            printed(Page::new(true, Some(3), 0), &parts),
            "1970-01-01T00:00:01.000000Z bb\n1970-01-01T00:00:02.000000Z c\r\n1970-01-01T00:00:03.000000Z d"
        );
    }

    #[test]
    fn times_are_moments_or_durations() {
        let moment = since("1970-01-01T00:00:02Z").unwrap();
        assert_eq!(nanoseconds(moment), 2_000_000_000);
        assert!(since("2m").unwrap() < SystemTime::now());
        assert!(since("yesterday").unwrap_err().contains("neither a time such as"));
    }
}

//! Clients as they run: looked at again and again.

mod sample;
mod screen;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use libmica::{Client, ClientState};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep};

use self::sample::{Sample, Sampler};
use self::screen::Screen;
use super::args::TopArgs;
use super::table::{self, numbers, words};
use super::units::{self, NONE};

/// Shows clients until it was told to end: in place on a terminal, else look below look.
pub(super) async fn top(client: &Client, args: &TopArgs, out: &mut impl Write) -> anyhow::Result<()> {
    if args.batch || args.json || !io::stdout().is_terminal() {
        return match batch(client, args, out).await {
            Err(e) if is_broken_pipe(&e) => Ok(()),
            ended => ended,
        };
    }
    live(client, args, out).await
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

async fn batch(client: &Client, args: &TopArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let mut sampler = Sampler::default();
    let mut looks = 0;
    loop {
        let clients = sampler.look(&client.ps().await?);
        let at = humantime::format_rfc3339_millis(SystemTime::now());
        if args.json {
            writeln!(out, "{}", json!({"at": at.to_string(), "clients": clients}))?;
        } else {
            let separator = if looks > 0 { "\n" } else { "" };
            writeln!(out, "{separator}{at}  {}", summary(&clients))?;
            for line in lines(&clients) {
                writeln!(out, "{line}")?;
            }
        }
        out.flush()?;
        looks += 1;
        if args.count.is_some_and(|count| looks >= count) {
            return Ok(());
        }
        sleep(args.delay).await;
    }
}

async fn live(client: &Client, args: &TopArgs, out: &mut impl Write) -> anyhow::Result<()> {
    // A daemon that is not there or cannot is told on the screen that stays.
    let mut sampler = Sampler::default();
    let mut picture = picture(&sampler.look(&client.ps().await?), None);
    let mut ends = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        ends.push(signal(kind).context("cannot watch for signals")?);
    }
    let [interrupt, terminate, hangup] = &mut ends[..] else { return Ok(()) };
    let mut resized = signal(SignalKind::window_change()).context("cannot watch for signals")?;
    let mut ticks = interval(args.delay);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut looks = 1;
    let screen = Screen::enter(out).context("cannot use the terminal")?;
    loop {
        Screen::draw(&picture, out).context("cannot write to the terminal")?;
        if args.count.is_some_and(|count| looks >= count) {
            return Ok(());
        }
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
            () = screen.quit() => return Ok(()),
            _ = resized.recv() => {}
            _ = ticks.tick() => {
                looks += 1;
                picture = look(client, &mut sampler).await;
            }
        }
    }
}

/// A daemon may be away for a moment, while it is updated say. Firmware runs on, and so does this.
async fn look(client: &Client, sampler: &mut Sampler) -> Vec<String> {
    match client.ps().await {
        Ok(table) => picture(&sampler.look(&table), None),
        Err(e) => picture(&[], Some(&e.to_string())),
    }
}

fn picture(samples: &[Sample], problem: Option<&str>) -> Vec<String> {
    let mut picture = vec![format!("mica top   {}   q ends", summary(samples)), String::new()];
    match problem {
        Some(problem) => picture.push(units::harmless(problem)),
        None => picture.extend(lines(samples)),
    }
    picture
}

fn summary(samples: &[Sample]) -> String {
    let running = samples.iter().filter(|sample| sample.state == ClientState::Running).count();
    format!("{} clients, {running} running", samples.len())
}

fn lines(samples: &[Sample]) -> Vec<String> {
    let columns = [
        words("NAME"),
        words("STATE"),
        numbers("UPTIME"),
        numbers("CPU %"),
        numbers("MEMORY"),
        numbers("CONSOLE"),
        numbers("CONSOLE/S"),
        numbers("LOST"),
        numbers("STARTS"),
        words("EXIT"),
        words("SILENT"),
    ];
    table::lines(&columns, &samples.iter().map(cells).collect::<Vec<_>>())
}

fn cells(sample: &Sample) -> [String; 11] {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    [
        sample.name.clone(),
        sample.state.to_string(),
        or_none(sample.uptime_usec.map(|usec| units::span(usec / 1_000_000))),
        or_none(sample.cpu_percent.map(|percent| format!("{percent:.1}"))),
        or_none(sample.memory_bytes.map(units::bytes)),
        or_none(sample.console.map(|shown| units::bytes(shown.bytes))),
        or_none(sample.console_rate.map(units::bytes)),
        or_none(sample.console.map(|shown| units::bytes(shown.lost_bytes))),
        sample.starts.to_string(),
        or_none(sample.exit.as_ref().map(units::exit)),
        or_none(sample.silent.as_ref().map(|silent| units::harmless(&silent.detail))),
    ]
}

/// Seconds between two looks.
pub(super) fn delay(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(delay) if delay >= Duration::from_millis(100) => Ok(delay),
        _ => Err("a look takes time: 0.1 seconds at least".to_owned()),
    }
}

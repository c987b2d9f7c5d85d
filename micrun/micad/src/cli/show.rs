//! Results, for people or as JSON.

use std::io::Write;
use std::time::SystemTime;

use anyhow::anyhow;
use libmica::ClientStatus;
use libmica::ext::{
    Account, ClientList, ClientTable, Diagnosis, ExitReport, PatchReport, Stats, Version, WaitingMachines,
};
use serde::Serialize;
use serde_json::json;

use super::{ps, units};

/// A document as JSON.
pub(super) fn document(value: &impl Serialize, out: &mut impl Write) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    Ok(writeln!(out)?)
}

/// The daemon's own lines below upstream's heading; or their parts.
pub(super) fn status(
    lines: &[(String, String)],
    list: &ClientList,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let patched = |name: &str| {
        list.clients.iter().find(|entry| entry.name == name).and_then(|entry| entry.patched.clone())
    };
    if !json {
        writeln!(out, "{}", libmica::status::header())?;
        for (line, _) in lines {
            writeln!(out, "{line}")?;
        }
        return Ok(());
    }
    let clients: anyhow::Result<Vec<_>> = lines
        .iter()
        .map(|(line, name)| {
            let status = ClientStatus::parse_for(name, line)
                .ok_or_else(|| anyhow!("the daemon's status of {name} cannot be understood: {line:?}"))?;
            let services: Vec<_> =
                status.services.iter().map(|s| json!({"name": s.name, "device": s.device})).collect();
            let mut client =
                json!({"name": name, "cpu": status.cpu, "state": status.state, "services": services});
            if let Some(digest) = patched(name) {
                client["patched"] = json!(digest);
            }
            Ok(client)
        })
        .collect();
    document(&json!({"clients": clients?}), out)
}

/// What a client uses.
pub(super) fn stats(stats: &Stats, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return document(stats, out);
    }
    writeln!(out, "state         {}", stats.state)?;
    if stats.pid != 0 {
        writeln!(out, "process       {}", stats.pid)?;
    }
    if stats.uptime_usec != 0 {
        writeln!(out, "uptime        {}", units::span(stats.uptime_usec / 1_000_000))?;
    }
    let measured = match stats.of {
        Some(Account::Cgroup) => Some("its cgroup, as in the container's metrics"),
        Some(Account::Process) | None if stats.pid != 0 => Some("its process"),
        _ => None,
    };
    if let Some(of) = measured {
        writeln!(out, "CPU time      {}", units::precise(stats.cpu_usec))?;
        writeln!(out, "memory        {}", units::bytes(stats.memory_bytes))?;
        if let Some(processes) = stats.processes {
            writeln!(out, "processes     {processes}, with threads")?;
        }
        if let (Some(read), Some(written)) = (stats.read_bytes, stats.written_bytes) {
            writeln!(out, "disks         {} read, {} written", units::bytes(read), units::bytes(written))?;
        }
        writeln!(out, "numbers of    {of}")?;
    }
    if let Some(silent) = &stats.silent {
        writeln!(out, "silent        by {}: {}", silent.seen_at, silent.detail)?;
    }
    if let Some(patched) = &stats.patched {
        writeln!(out, "patched to    {patched}")?;
    }
    match &stats.exit {
        Some(report) => exit(report, false, out),
        None => Ok(()),
    }
}

/// What was changed in running firmware.
pub(super) fn patched(report: &PatchReport, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return document(report, out);
    }
    let PatchReport { firmware, ranges, bytes, pause_usec } = report;
    Ok(writeln!(
        out,
        "patched to {firmware}: {bytes} bytes in {ranges} ranges, in a pause of {pause_usec} us"
    )?)
}

/// What firmware is doing.
pub(super) fn diagnosis(diagnosis: &Diagnosis, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return document(diagnosis, out);
    }
    Ok(writeln!(out, "{}", diagnosis.detail)?)
}

/// How a run ended.
pub(super) fn exit(report: &ExitReport, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return document(report, out);
    }
    Ok(writeln!(out, "status {} at {}: {}", report.status, report.exited_at, report.detail)?)
}

/// All clients.
pub(super) fn list(list: &ClientList, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return document(list, out);
    }
    for client in &list.clients {
        let tty = client.tty.as_ref().map(|tty| tty.display().to_string()).unwrap_or_default();
        let cpus = match (&client.cpus, &client.pool) {
            (Some(cpus), Some(pool)) => format!("{cpus} ({pool})"),
            (Some(cpus), None) => cpus.clone(),
            (None, _) => client.cpu.clone(),
        };
        write!(out, "{:<66}{:<11}{:<10}{cpus:<16} {tty}", client.name, client.state, client.pedestal)?;
        match &client.patched {
            Some(digest) => writeln!(out, "  patched to {digest}")?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

/// All clients with what they use.
pub(super) fn ps(table: &ClientTable, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return document(table, out);
    }
    for line in ps::lines(table, SystemTime::now()) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The versions of this command and of the daemon, which may not tell or not be there.
pub(super) fn version(daemon: Option<&Version>, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let own = env!("CARGO_PKG_VERSION");
    if json {
        return document(&json!({"mica": own, "daemon": daemon}), out);
    }
    writeln!(out, "mica {own}")?;
    match daemon {
        Some(v) => writeln!(out, "{} {} (protocol {})", v.daemon, v.version, v.protocol)?,
        None => writeln!(out, "no daemon that tells its version")?,
    }
    if let Some(WaitingMachines { ready, most, memory_bytes, hits, misses }) =
        daemon.and_then(|v| v.pools.as_ref()?.machines)
    {
        let mib = memory_bytes >> 20;
        writeln!(out, "waiting machines: {ready} of {most} ({mib} MiB), {hits} hits, {misses} misses")?;
    }
    Ok(())
}

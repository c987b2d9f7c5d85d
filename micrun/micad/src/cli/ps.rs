//! All clients, for people.

use std::time::SystemTime;

use libmica::ext::{ClientRow, ClientTable};

use super::table::{self, numbers, words};
use super::units::{self, NONE};

/// The table's lines.
pub(super) fn lines(table: &ClientTable, now: SystemTime) -> Vec<String> {
    let columns = [
        words("NAME"),
        words("STATE"),
        words("PEDESTAL"),
        words("CPUS"),
        numbers("UPTIME"),
        numbers("MEMORY"),
        numbers("CONSOLE"),
        numbers("LOST"),
        numbers("STARTS"),
        words("LAST EXIT"),
    ];
    let rows: Vec<_> = table.clients.iter().map(|row| cells(row, now)).collect();
    table::lines(&columns, &rows)
}

fn cells(row: &ClientRow, now: SystemTime) -> [String; 10] {
    let client = &row.client;
    let none = || NONE.to_owned();
    let cpus = client.cpus.clone().or_else(|| Some(client.cpu.clone()).filter(|cpu| !cpu.is_empty()));
    let exit = client.exit.as_ref().map(|report| match units::ago(&report.exited_at, now) {
        Some(ago) => format!("{}, {ago}", units::exit(report)),
        None => units::exit(report),
    });
    [
        client.name.clone(),
        client.state.to_string(),
        client.pedestal.clone(),
        cpus.unwrap_or_else(none),
        row.usage.map_or_else(none, |usage| units::span(usage.uptime_usec / 1_000_000)),
        row.usage.and_then(|usage| usage.memory_bytes).map_or_else(none, units::bytes),
        row.console.map_or_else(none, |shown| units::bytes(shown.bytes)),
        row.console.map_or_else(none, |shown| units::bytes(shown.lost_bytes)),
        row.starts.to_string(),
        exit.unwrap_or_else(none),
    ]
}

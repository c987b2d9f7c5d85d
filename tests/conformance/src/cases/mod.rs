//! The cases, a file for each part of the contract.

mod abandoned;
mod accounting;
mod bootstrap;
mod bootstrap_v3;
mod checkpoint;
mod command_line;
mod delete_command;
mod endings;
mod events;
mod execs;
mod fifos;
mod group;
mod hostile;
mod idle;
mod lifecycle;
mod load;
mod loggers;
mod logs;
mod mounts;
mod optional;
mod options;
mod pids;
mod refusals;
mod sandbox;
mod sandbox_ends;
mod sockets;
mod waits;

use crate::Case;

/// Every case, in the order of the table.
pub fn all() -> impl Iterator<Item = Case> {
    [
        command_line::CASES,
        bootstrap::CASES,
        bootstrap_v3::CASES,
        options::CASES,
        sockets::CASES,
        mounts::CASES,
        group::CASES,
        lifecycle::CASES,
        endings::CASES,
        waits::CASES,
        pids::CASES,
        refusals::CASES,
        optional::CASES,
        checkpoint::CASES,
        events::CASES,
        execs::CASES,
        abandoned::CASES,
        fifos::CASES,
        loggers::CASES,
        logs::CASES,
        delete_command::CASES,
        load::CASES,
        hostile::CASES,
        accounting::CASES,
        idle::CASES,
        sandbox::CASES,
        sandbox_ends::CASES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

//! `make bench`: what a shim costs, ours beside those of others, driven over ttrpc without containerd in between: the time
//! of each rpc on a quiet machine and on a busy one, the memory of one and of many, what an idle container costs, and how
//! long a pod waits for a large firmware. Prints Markdown, with the name of each table before it.
#![allow(clippy::print_stdout, reason = "the tables are the result")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure must say so and end"
)]

mod bare;
mod busy;
mod idle;
mod memory;
mod rounds;
mod samples;
mod stall;
mod traces;
mod way;

use clap::{Parser, ValueEnum};
use shim_conformance::Stage;
use shim_conformance::subjects::Mica;

/// Measures shims side by side, in turn.
#[derive(Parser)]
struct Args {
    /// Lives of a container in each way.
    #[arg(default_value_t = 40)]
    rounds: usize,
    /// Containers in the table of memory.
    #[arg(long, default_value_t = 50)]
    containers: usize,
    /// A shim of others, NAME=PROGRAM. Ratios are those to the first; without any, it is containerd's own.
    #[arg(long = "peer")]
    peers: Vec<way::Peer>,
    /// Only these tables.
    #[arg(long = "table", value_enum)]
    tables: Vec<Table>,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Table {
    /// Each rpc.
    Rpcs,
    /// Each rpc beside other work.
    Busy,
    /// Memory.
    Memory,
    /// Wake-ups.
    Idle,
    /// Waits for a large firmware.
    Stall,
    /// Each rpc without traces, with a few and with all.
    Traces,
}

fn main() {
    let args = Args::parse();
    let all = [Table::Rpcs, Table::Busy, Table::Memory, Table::Idle, Table::Stall, Table::Traces];
    let tables = if args.tables.is_empty() { &all[..] } else { &args.tables };
    let (traces, others): (Vec<_>, Vec<_>) = tables.iter().partition(|table| **table == Table::Traces);
    if !others.is_empty() {
        compare(&args, &others);
    }
    // Its daemon is another one.
    if !traces.is_empty() {
        traces::run(args.rounds);
        println!();
    }
}

fn compare(args: &Args, tables: &[Table]) {
    let ways = way::all(&args.peers);
    // Its daemon is there for all: who has no use of it leaves it alone.
    let mut stage = Stage::new(&Mica);
    for table in tables {
        match table {
            Table::Rpcs => rounds::run(&ways, &mut stage, args.rounds, "rpcs"),
            Table::Busy => {
                let _busy = busy::Busy::start();
                rounds::run(&ways, &mut stage, args.rounds, "rpcs-busy");
            }
            Table::Memory => memory::run(&ways, &mut stage, args.containers),
            Table::Idle => idle::run(&ways, &mut stage),
            Table::Stall => stall::run(&way::Way::freertos(), &mut stage),
            Table::Traces => {}
        }
        println!();
    }
}

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
    /// Each rpc without traces, with a few and with all; only by itself.
    Traces,
}

fn main() {
    let args = Args::parse();
    match args.tables.as_slice() {
        // Its daemon is another one.
        [Table::Traces] => traces::run(args.rounds),
        [] => compare(&args, &[Table::Rpcs, Table::Busy, Table::Memory, Table::Idle, Table::Stall]),
        tables => compare(&args, tables),
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
            Table::Traces => panic!("ask for the table of traces alone"),
        }
        println!();
    }
}

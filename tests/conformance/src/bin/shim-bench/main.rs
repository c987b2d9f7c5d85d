//! `make bench`: what a shim costs, ours beside containerd's own, driven over ttrpc without containerd in between:
//! the time of each rpc, the memory of one and of many, and how long a pod waits for a large firmware. Prints Markdown.
#![allow(clippy::print_stdout, reason = "the tables are the result")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure must say so and end"
)]

mod bare;
mod memory;
mod rounds;
mod samples;
mod stall;
mod way;

use clap::Parser;
use shim_conformance::Stage;
use shim_conformance::subjects::Mica;

/// Measures shims side by side, in turn.
#[derive(Parser)]
struct Args {
    /// Lives of a container in each way.
    #[arg(default_value_t = 40)]
    rounds: usize,
    /// Containers in the table of memory.
    #[arg(long, default_value_t = 20)]
    containers: usize,
}

fn main() {
    let args = Args::parse();
    // Its daemon is there for all: who has no use of it leaves it alone.
    let mut stage = Stage::new(&Mica);
    rounds::run(&mut stage, args.rounds);
    println!();
    memory::run(&mut stage, args.containers);
    println!();
    stall::run(&way::FREERTOS, &mut stage);
}

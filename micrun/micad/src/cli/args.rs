//! The command line of `mica`, from which help, completions and man pages are made.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use super::console::Escape;
use super::doctor;

/// Control RTOS firmware that a mica daemon runs.
#[derive(Debug, Parser)]
#[command(name = "mica", version, arg_required_else_help = true)]
pub struct Args {
    /// Directory of the daemon's sockets.
    #[arg(long, global = true, value_name = "DIR", default_value = libmica::names::RUNTIME_DIR)]
    pub runtime_dir: PathBuf,
    /// Directory that `create --all` reads.
    #[arg(long, global = true, value_name = "DIR", default_value = "/etc/mica")]
    pub conf_dir: PathBuf,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// How `top` shows clients.
#[derive(Debug, clap::Args)]
pub(super) struct TopArgs {
    /// Print one look below the other, as without a terminal.
    #[arg(long, short)]
    pub(super) batch: bool,
    /// End after so many looks.
    #[arg(long, short = 'n', value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// Seconds between two looks.
    #[arg(long, short, value_name = "SECONDS", default_value = "1", value_parser = super::top::delay)]
    pub(super) delay: Duration,
    /// Print JSON: one document, in one line, for each look.
    #[arg(long)]
    pub(super) json: bool,
}

/// What to do with a client's cores.
#[derive(Debug, clap::Args)]
pub(super) struct CoreArgs {
    /// The client. It may have been removed.
    pub(super) name: String,
    /// List them, the latest last. This is what is done if nothing else is asked for.
    #[arg(long)]
    pub(super) list: bool,
    /// Copy the latest one to this file.
    #[arg(long, short, value_name = "FILE", conflicts_with = "list")]
    pub(super) output: Option<PathBuf>,
    /// Remove them all.
    #[arg(long, conflicts_with_all = ["list", "output"])]
    pub(super) remove: bool,
    /// Print the list as JSON.
    #[arg(long, conflicts_with_all = ["output", "remove"])]
    pub(super) json: bool,
}

/// What `logs` prints.
#[derive(Debug, clap::Args)]
pub(super) struct LogsArgs {
    /// Go on with what comes, until the firmware has ended.
    #[arg(long, short, conflicts_with = "previous")]
    pub(super) follow: bool,
    /// Only what came after this time, such as `2026-01-31T12:00:00Z`, or so long ago, such as `10m`.
    #[arg(long, value_name = "TIME", value_parser = super::logs::since)]
    pub(super) since: Option<SystemTime>,
    /// What the run before this one has shown.
    #[arg(long, short)]
    pub(super) previous: bool,
    /// Only the last lines, so many.
    #[arg(long, short = 'n', value_name = "LINES")]
    pub(super) tail: Option<usize>,
    /// Another stream than the console, by the name or the number that a status has.
    #[arg(long, value_name = "NAME", default_value = "0")]
    pub(super) stream: String,
    /// Begin each line with when it came.
    #[arg(long, short)]
    pub(super) timestamps: bool,
    /// The client.
    pub(super) name: String,
}

/// How `console` connects.
#[derive(Debug, clap::Args)]
pub(super) struct ConsoleArgs {
    /// Only show what comes; type nothing.
    #[arg(long, short)]
    pub(super) read_only: bool,
    /// The key that leaves the console, such as `ctrl-p`; `none` for none.
    #[arg(long, value_name = "KEY", default_value = "ctrl-]", value_parser = super::console::escape)]
    pub(super) escape: Escape,
    /// Another stream than the console, by the name or the number that a status has.
    #[arg(long, value_name = "NAME", default_value = "0")]
    pub(super) stream: String,
    /// The client.
    pub(super) name: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a client from its conf file.
    Create {
        /// The conf file.
        #[arg(required_unless_present = "all")]
        file: Option<PathBuf>,
        /// Create the clients of all conf files and start those with `AutoBoot`.
        #[arg(long, conflicts_with = "file")]
        all: bool,
    },
    /// Boot a client's firmware.
    Start {
        /// The client.
        name: String,
    },
    /// Stop a client's firmware, or that of all clients.
    Stop {
        /// The client.
        #[arg(required_unless_present = "all")]
        name: Option<String>,
        /// Stop all that run, at the same time: for the machine's shutdown.
        #[arg(long, conflicts_with = "name")]
        all: bool,
        /// Cut the power, and do not ask the firmware to end first.
        #[arg(long)]
        now: bool,
    },
    /// Stop a client and forget it.
    Rm {
        /// The client.
        name: String,
    },
    /// Show the state of one client or of all.
    Status {
        /// The client; without a name, all clients.
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a resource of a client.
    Set {
        /// The client.
        name: String,
        /// `CPU`, `VCPU`, `CPUWeight`, `CPUCapacity`, `Memory` or `MaxMemory`.
        key: String,
        /// The new value.
        value: String,
    },
    /// Debug a client's firmware with gdb.
    Gdb {
        /// The client.
        name: String,
        /// Print gdb's command line instead of running it.
        #[arg(long)]
        print: bool,
    },
    /// Serve gdb, which starts it, for firmware on a core.
    #[command(hide = true)]
    GdbStub {
        /// The client.
        name: String,
        /// The directory of the driver's device.
        device: PathBuf,
    },
    /// Freeze a client's firmware.
    Pause {
        /// The client.
        name: String,
    },
    /// Resume a client's firmware after a pause.
    Resume {
        /// The client.
        name: String,
    },
    /// Write the state of a client's machine to a file. A machine that runs is paused meanwhile.
    Checkpoint {
        /// The client.
        name: String,
        /// The file. It is replaced once the state is complete.
        file: PathBuf,
    },
    /// Boot a client and continue from a saved state. Machine and firmware must be the same.
    Restore {
        /// The client, which must not run.
        name: String,
        /// The file that `checkpoint` wrote.
        file: PathBuf,
    },
    /// Change the memory of a client's running firmware to that of another one.
    Patch {
        /// The client.
        name: String,
        /// The firmware, an ELF with the same segments as the one that runs.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what a client uses.
    Stats {
        /// The client.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what a client's firmware is doing: for firmware that shows no sign of life.
    Diagnose {
        /// The client.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Wait until a client's firmware has ended, and show how.
    Wait {
        /// The client.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List all clients with their full names.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the daemon's metrics, as OpenMetrics text.
    Metrics {
        /// Print Prometheus's older text format.
        #[arg(long)]
        plain: bool,
    },
    /// Show all clients, with what they use and how they ended.
    Ps {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show clients as they run, the busiest first. `q` or Ctrl-C ends it.
    Top(TopArgs),
    /// Print what happens to clients, as it happens, until the daemon ends.
    Events {
        /// The client; without a name, all clients.
        name: Option<String>,
        /// Print JSON: one document in each line.
        #[arg(long)]
        json: bool,
    },
    /// Show everything about a client, and how its latest runs ended, as JSON. It may have been removed.
    Inspect {
        /// The client.
        name: String,
    },
    /// Say why a client's firmware has ended: how, where its processor was, its registers. It may have been removed.
    Why {
        /// The client.
        name: String,
        /// Tell of all ends that are remembered, the latest last.
        #[arg(long)]
        all: bool,
    },
    /// List, copy or remove the cores that a client's ends have left, for gdb. Only root can.
    Core(CoreArgs),
    /// Print what a client's console has shown: the last MiB, if micad.conf does not say otherwise.
    Logs(LogsArgs),
    /// Connect this terminal with a client's console. Others may be connected as well.
    Console(ConsoleArgs),
    /// Examine this machine: say what is wrong for firmware and containers, and what to do.
    ///
    /// The exit status is 0 if all is well, 3 with warnings, 4 with errors.
    Doctor(doctor::Options),
    /// Show the versions of this command and of the daemon.
    Version {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a completion script.
    #[command(hide = true)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the man pages.
    #[command(hide = true)]
    Man {
        /// Directory for them.
        dir: PathBuf,
    },
}

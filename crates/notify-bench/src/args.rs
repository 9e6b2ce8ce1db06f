//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Measures the engine, and kills the built binary.
#[derive(Debug, Parser)]
#[command(name = "notify-bench", bin_name = "cargo xtask")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compare the engine with bare loops, in alternating rounds
    Bench(BenchArgs),
    /// Compare the cost of a delivery with few and with many others pending in a closed lane
    Growth(GrowthArgs),
    /// Weigh the process: idle, after a burst, and with many deliveries pending
    Memory(MemoryArgs),
    /// Weigh one process; `memory` runs this in processes of their own
    #[command(hide = true)]
    MemoryOf(MemoryOfArgs),
    /// Kill the built binary at random instants, and count what was lost and what came twice
    Crash(CrashArgs),
    /// Insert events of standard input into a ledger; `crash` runs this in processes of their own
    #[command(hide = true)]
    Feed(FeedArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Goal {
    /// In memory, with a template
    #[value(name = "P1", alias = "p1")]
    Templated,
    /// In memory, without a template
    #[value(name = "P2", alias = "p2")]
    Ready,
    /// In memory, without a template, against a server that takes 50 ms
    #[value(name = "P4", alias = "p4")]
    Slow,
    /// SQLite, a burst
    #[value(name = "P5", alias = "p5")]
    Durable,
    /// SQLite, single events
    #[value(name = "P7", alias = "p7")]
    Single,
    /// Mails to one server
    #[value(name = "P13", alias = "p13")]
    Mail,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Which goals; P3 comes with P1 and P2, P6 with P5
    #[arg(long, value_delimiter = ',', default_value = "P1,P2,P5")]
    pub(crate) only: Vec<Goal>,
    /// How many rounds of each; the medians are compared
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// How many events a burst has
    #[arg(long, default_value_t = 20_000)]
    pub(crate) events: usize,
    /// How many workflows they come from
    #[arg(long, default_value_t = 16)]
    pub(crate) workflows: usize,
    /// Where the SQLite files are put
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Write everything that was measured into this file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GrowthArgs {
    /// How many deliveries are pending in the closed lane
    #[arg(long, value_delimiter = ',', default_value = "100,10000,100000")]
    pub(crate) pending: Vec<usize>,
    /// How many deliveries are measured
    #[arg(long, default_value_t = 5_000)]
    pub(crate) events: usize,
    /// How many rounds of each; the median counts
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Where the SQLite files are put
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Write everything that was measured into this file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MemoryArgs {
    /// How many events the burst has
    #[arg(long, default_value_t = 20_000)]
    pub(crate) events: usize,
    /// How many deliveries are pending for a destination that is gone
    #[arg(long, default_value_t = 100_000)]
    pub(crate) pending: usize,
    /// Where the SQLite files are put
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Write everything that was measured into this file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MemoryOfArgs {
    /// The ledger
    pub(crate) file: PathBuf,
    /// The webhook
    pub(crate) url: String,
    /// How many events there are
    pub(crate) events: usize,
    /// Whether they are to be delivered
    #[arg(long)]
    pub(crate) delivered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// The embedded ledger
    Sqlite,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CrashArgs {
    /// The ledger under test
    pub(crate) store: Store,
    /// How many rounds
    #[arg(long, default_value_t = 20)]
    pub(crate) rounds: u64,
    /// The first round's seed; each round has the next one
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many events a round has
    #[arg(long, default_value_t = 1_000)]
    pub(crate) events: usize,
    /// How many rounds run at once
    #[arg(long, default_value_t = 3)]
    pub(crate) jobs: usize,
    /// How the events come in; each way in every other round where nothing is said
    #[arg(long)]
    pub(crate) feed: Option<Way>,
    /// The binary `notify`; it is built where nothing is said
    #[arg(long)]
    pub(crate) binary: Option<PathBuf>,
    /// Keep the folders of the rounds below this one
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// Through `notify emit`
    Emit,
    /// Through the table `notify_inbox`
    Inbox,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FeedArgs {
    /// The ledger
    pub(crate) file: PathBuf,
}

//! What can be said on the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use workflow_notify::core::time::Span;

use crate::exit;

/// Tells people that a workflow ended, and keeps every promise on record until it is settled.
#[derive(Debug, Parser)]
#[command(name = "notify", version, propagate_version = true)]
pub(crate) struct Args {
    /// Show every attempt on standard error
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command as one execution of a workflow, then tell people how it ended
    Run(Box<RunArgs>),
    /// Deliver what is recorded and not yet delivered
    Deliver(DeliverArgs),
    /// Check definitions and accounts, and report everything that is wrong with them
    Check(CheckArgs),
    /// Look into the ledger
    Outbox(OutboxArgs),
    /// Run a local Slack, PagerDuty and mail server with an inbox page
    Sandbox(SandboxArgs),
}

impl Command {
    /// Returns the exit code for "we did not even begin".
    pub(crate) fn refusal(&self) -> ExitCode {
        match self {
            Self::Run(_) => exit::REFUSED.into(),
            _ => exit::WRONG_INPUT.into(),
        }
    }
}

/// Exit status: the command's own; 124 when it ran out of time, 125 when nothing was run because
/// of our own refusal, 126 when it cannot be executed, 127 when it is not found, 128 and the
/// signal's number when a signal ended it. A notification that fails never changes it.
#[derive(Debug, clap::Args)]
#[command(after_help = RunArgs::EXIT)]
pub(crate) struct RunArgs {
    /// The workflow's definition
    pub(crate) definition: PathBuf,
    /// Deliver to a local Slack, PagerDuty and mail server: no account, no configuration
    #[arg(long, conflicts_with = "config")]
    pub(crate) sandbox: bool,
    /// Keep the sandbox's inbox page up until Ctrl-C
    #[arg(long, requires = "sandbox")]
    pub(crate) hold: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// The project that the execution belongs to
    #[arg(long, default_value = "default")]
    pub(crate) project: String,
    /// The domain that the execution belongs to
    #[arg(long, default_value = "local")]
    pub(crate) domain: String,
    /// The execution's name; from the time where nothing is said
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Which attempt of the execution this is
    #[arg(long, default_value_t = 1)]
    pub(crate) attempt: u32,
    /// Where a person can look at the run
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// End the command after this time: `90s`, `2h 30m`
    #[arg(long, value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Kill the command when it is still there this long after it was asked to end
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub(crate) kill_after: Duration,
    /// How long to go on delivering after the command has ended
    #[arg(long, value_parser = duration, default_value = "5s")]
    pub(crate) wait: Duration,
    /// Leave the command's standard error alone; the failure then has no message
    #[arg(long)]
    pub(crate) no_capture: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

impl RunArgs {
    const EXIT: &'static str = "Exit status: the command's own; 124 when it ran out of time, \
        125 when nothing was run because of our own refusal, 126 when it cannot be executed, \
        127 when it is not found, 128 and the signal's number when a signal ended it. \
        A notification that fails never changes it.";
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArg {
    /// Accounts and outbox
    #[arg(
        long = "config",
        env = "NOTIFY_CONFIG",
        default_value = "notify.toml",
        value_name = "FILE",
        id = "config"
    )]
    pub(crate) path: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeliverArgs {
    /// Definitions of workflows whose ends other programs record
    pub(crate) definitions: Vec<PathBuf>,
    /// Leave when nothing is pending any more; with exit status 1 when something is held
    #[arg(long)]
    pub(crate) until_empty: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Definitions of workflows
    pub(crate) definitions: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OutboxArgs {
    #[command(subcommand)]
    pub(crate) command: OutboxCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OutboxCommand {
    /// List the latest deliveries with their states and reasons
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// How many
        #[arg(long, default_value_t = 50)]
        most: usize,
        #[command(flatten)]
        config: ConfigArg,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct SandboxArgs {
    /// Definitions whose accounts and recipients the sandbox is to know
    pub(crate) definitions: Vec<PathBuf>,
    /// Where `notify.toml`, the secrets and the outbox of the sandbox are put
    #[arg(long, default_value = "notify-sandbox")]
    pub(crate) dir: PathBuf,
    /// Make a service fail: `slack=500`, or `slack=429:3` for three requests
    #[arg(long, value_parser = crate::sandbox::parse_failure, value_name = "SERVICE=STATUS[:TIMES]")]
    pub(crate) fail: Vec<crate::sandbox::Fault>,
}

/// Longer than anybody waits, and short enough to be added to any instant.
const LONGEST: Duration = Duration::from_hours(24 * 365);

fn duration(text: &str) -> Result<Duration, String> {
    let span: Result<Span, _> = text.parse();
    span.map(|span| span.0.min(LONGEST))
        .map_err(|err: workflow_notify::core::Malformed| match err.help {
            Some(help) => format!("{}; {help}", err.message),
            None => err.message,
        })
}

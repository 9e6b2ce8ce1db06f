//! What can be said on the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use workflow_notify::core::time::Span;
use workflow_notify::core::{DeliveryId, Malformed};
use workflow_notify::outbox::DeliveryState;

use crate::exit;
use crate::test::Named;

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

impl Args {
    /// Reads the arguments of the process.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        // A sandbox has accounts of its own. That of the environment is meant for everything else.
        if let Some((name @ ("run" | "test"), given)) = matches.subcommand()
            && given.get_flag("sandbox")
            && given.value_source("config") == Some(ValueSource::CommandLine)
        {
            let message = "the argument '--sandbox' cannot be used with '--config <FILE>'";
            let given = command.find_subcommand_mut(name);
            return Err(given
                .unwrap_or(&mut Self::command())
                .error(ErrorKind::ArgumentConflict, message));
        }
        Self::from_arg_matches(&matches)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command as one execution of a workflow, then tell people how it ended
    Run(Box<RunArgs>),
    /// Record ends that other programs tell of, as JSON, and deliver
    Emit(EmitArgs),
    /// Deliver what is recorded and not yet delivered
    Deliver(DeliverArgs),
    /// Check definitions and accounts, and report everything that is wrong with them
    Check(CheckArgs),
    /// Send a real, marked test message through one account
    Test(TestArgs),
    /// Look into the ledger, and mend what is stuck there
    Outbox(OutboxArgs),
    /// Print the JSON Schema of definitions or of `notify.toml`, for editors and validators
    Schema(SchemaArgs),
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
    /// Which workflow it is, where the definition declares several
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// Deliver to a local Slack, PagerDuty and mail server: no account, no configuration; of a
    /// `notify.toml` only the templates are used
    #[arg(long)]
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
    /// Accounts, outbox, rules, templates and how the engine works
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
#[command(after_help = EmitArgs::HELP)]
pub(crate) struct EmitArgs {
    /// Where the events are; `-` for standard input
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
    /// Definitions of the workflows that ended, by name or by pattern
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(crate) definitions: Vec<PathBuf>,
    /// Only record, and leave delivery to a `notify deliver`
    #[arg(long)]
    pub(crate) record_only: bool,
    /// Answer with one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// How long to go on delivering after the last event
    #[arg(long, value_parser = duration, default_value = "5s")]
    pub(crate) wait: Duration,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

impl EmitArgs {
    const HELP: &'static str = "Events are JSON objects, one a line, or one document. Each is \
        answered on standard output, in the order of the input, as soon as it is durable: \
        `recorded EVENT`, `duplicate EVENT`, `conflict EVENT` with the event that is on record, \
        or `refused LINE WHY`. An event of a workflow that is not defined here waits for another \
        `notify deliver`.\n\n\
        Exit status: 0 when every event is on record, from now or from \
        before; 2 when one was refused or conflicts with an end on record, or when a file or an \
        argument is wrong; 1 when the input or the outbox failed before the end; 128 and the \
        signal's number when a signal ended it. What was acknowledged is on record in every case. \
        A notification that fails never changes it.";
}

#[derive(Debug, clap::Args)]
#[command(after_help = DeliverArgs::EXIT)]
pub(crate) struct DeliverArgs {
    /// Definitions of workflows whose ends other programs record, by name or by pattern
    pub(crate) definitions: Vec<PathBuf>,
    /// Leave when nothing is pending any more; with exit status 1 when something is held
    #[arg(long)]
    pub(crate) until_empty: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

impl DeliverArgs {
    const EXIT: &'static str = "Definitions, settings and files with secrets are read again when \
        they change, and everything on SIGHUP: a sound whole is put into force, anything else is \
        told of and changes nothing. A change of `[outbox]` or `[engine]` needs a restart. \
        With --until-empty nothing is read again.\n\n\
        Exit status: 0 when it was asked to end, and with --until-empty \
        when nothing is left; 1 when something is left or the outbox fails; 2 when a file or an \
        argument is wrong. What is left is listed on standard error.";
}

#[derive(Debug, clap::Args)]
#[command(after_help = CheckArgs::EXIT)]
pub(crate) struct CheckArgs {
    /// Definitions of workflows, by name or by pattern; without any, the settings are checked alone
    pub(crate) definitions: Vec<PathBuf>,
    /// Answer with one JSON document on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Print everything that is in force and where it came from, with references for secrets
    #[arg(long)]
    pub(crate) effective: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

impl CheckArgs {
    const EXIT: &'static str = "Exit status: 0 when everything is sound; 2 when something is \
        wrong, and all of it is told, up to a hundred problems a file; 1 when standard output \
        cannot be written. A secret that cannot be read, or is of the wrong form, is a warning.";
}

#[derive(Debug, clap::Args)]
#[command(after_help = TestArgs::HELP)]
pub(crate) struct TestArgs {
    /// The account, `slack.prod`; of a kind alone, `slack`, the default one
    #[arg(value_parser = parsed::<Named>, value_name = "ACCOUNT")]
    pub(crate) account: Named,
    /// Who is told, as often as it is wanted; without it those whom the account names
    #[arg(long, value_name = "RECIPIENT")]
    pub(crate) to: Vec<String>,
    /// Send it to a local Slack, PagerDuty and mail server: no account, no configuration
    #[arg(long)]
    pub(crate) sandbox: bool,
    /// Answer with one JSON document on standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

impl TestArgs {
    const HELP: &'static str = "The account is connected and each stage of the way to the vendor \
        is tried; then the message goes out, in one attempt. Where it arrives, what the outbox \
        holds for the account is released.\n\n\
        Exit status: 0 when it was delivered to everybody; 1 when the vendor or the way to it \
        refused, with the vendor's own words, or when standard output cannot be written; 2 when a \
        file or an argument is wrong, and nothing was sent.";
}

#[derive(Debug, clap::Args)]
pub(crate) struct SchemaArgs {
    /// Which file it describes
    #[arg(value_enum, default_value_t = SchemaOf::Definitions, value_name = "FILE")]
    pub(crate) of: SchemaOf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum SchemaOf {
    /// Definitions of workflows, in YAML or JSON
    Definitions,
    /// `notify.toml`
    Settings,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OutboxArgs {
    #[command(subcommand)]
    pub(crate) command: OutboxCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OutboxCommand {
    /// List the latest deliveries with their states and reasons
    List(ListArgs),
    /// Show everything that is on record of deliveries
    Show(ShowArgs),
    /// Send deliveries anew that are held, rejected, expired or wait
    Replay(ReplayArgs),
    /// Give up deliveries that wait or are held
    Drop(DropArgs),
    /// Make the ledger, or bring it up to date, and say where it is
    Init {
        #[command(flatten)]
        config: ConfigArg,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only what is in one of these states: pending, leased, delivered, rejected, expired, held,
    /// superseded, skipped; of events accepted, planned, unmatched, conflict, malformed
    #[arg(long = "state", value_name = "STATE")]
    pub(crate) states: Vec<String>,
    /// List events instead of deliveries
    #[arg(long)]
    pub(crate) events: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// How many
    #[arg(long, default_value_t = 50)]
    pub(crate) most: usize,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The deliveries, as `notify outbox list` names them
    #[arg(value_parser = parsed::<DeliveryId>, required = true, value_name = "ID")]
    pub(crate) ids: Vec<DeliveryId>,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

#[derive(Debug, clap::Args)]
#[command(after_help = format!("Deliveries become due now, as if they were new; `notify deliver` \
    sends them. What has arrived all the same arrives twice. {MENDED}"))]
pub(crate) struct ReplayArgs {
    /// The deliveries, as `notify outbox list` names them
    #[arg(value_parser = parsed::<DeliveryId>, required_unless_present = "states", value_name = "ID")]
    pub(crate) ids: Vec<DeliveryId>,
    /// All that is in this state: pending, held, rejected, expired
    #[arg(long = "state", value_parser = replayable, conflicts_with = "ids", value_name = "STATE")]
    pub(crate) states: Vec<DeliveryState>,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

#[derive(Debug, clap::Args)]
#[command(after_help = format!("Nobody is told by what is dropped. {MENDED}"))]
pub(crate) struct DropArgs {
    /// The deliveries, as `notify outbox list` names them
    #[arg(value_parser = parsed::<DeliveryId>, required = true, value_name = "ID")]
    pub(crate) ids: Vec<DeliveryId>,
    /// Why, for the record
    #[arg(long, default_value = "dropped by hand", value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

const MENDED: &str = "Each delivery is answered on standard output when that is on record.\n\n\
    Exit status: 0 when it was done to all of them; 2 when one is unknown or in a state that does \
    not allow it (it was done to the others), or when a file or an argument is wrong.";

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
    parsed::<Span>(text).map(|span| span.0.min(LONGEST))
}

fn replayable(text: &str) -> Result<DeliveryState, String> {
    const STATES: [DeliveryState; 4] = [
        DeliveryState::Pending,
        DeliveryState::Held,
        DeliveryState::Rejected,
        DeliveryState::Expired,
    ];
    let names = STATES.map(DeliveryState::name).join(", ");
    parsed(text)
        .ok()
        .filter(|state| STATES.contains(state))
        .ok_or_else(|| format!("what is in one of these states can be replayed: {names}"))
}

/// Reads a typed text, with the help in what is said about a wrong one.
fn parsed<T: FromStr<Err = Malformed>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|err: Malformed| match err.help {
        Some(help) => format!("{}; {help}", err.message),
        None => err.message,
    })
}

//! The command `notify` as a function, so that a program of anybody's is `notify` with more providers.
//!
//! ```no_run
//! // use my_provider as _;
//!
//! fn main() -> std::process::ExitCode {
//!     notify_cli::main()
//! }
//! ```
//!
//! Data goes to standard output, everything else to standard error.

mod args;
mod check;
mod deliver;
mod draw;
mod emit;
mod events;
mod excerpt;
mod exit;
mod job;
mod ledger;
mod mend;
mod patience;
mod reload;
mod report;
mod run;
mod sandbox;
mod schema;
mod setup;
mod show;
mod signals;
mod tail;
mod test;
mod tuning;

use std::process::ExitCode;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{Args, Command};

/// Does what the arguments of the process say, with every provider that is linked into the program.
///
/// It is a program's whole `main`: it reads the arguments and the environment, prints, and takes over
/// logging, signals and the process's crypto provider.
pub fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(err) => return exit::usage(&err),
    };
    log(args.verbose);
    // One crypto provider for the whole process, chosen by the binary and by nobody else. An error
    // means that it is installed already.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(err) => {
            report::error(&format!("cannot start: {err}"));
            return args.command.refusal();
        }
    };
    let code = runtime.block_on(async {
        match args.command {
            Command::Run(args) => run::run(*args).await,
            Command::Emit(args) => emit::emit(args).await,
            Command::Deliver(args) => deliver::deliver(args).await,
            Command::Check(args) => check::check(args).await,
            Command::Test(args) => test::test(args).await,
            Command::Outbox(args) => ledger::outbox(args).await,
            Command::Schema(args) => schema::schema(&args),
            Command::Sandbox(args) => sandbox::sandbox(args).await,
        }
    });
    // A read of standard error that still waits for a stray child must not keep the process.
    runtime.shutdown_background();
    code
}

/// Shows what the engine has to say: warnings and errors, with `--verbose` every attempt.
///
/// Nobody else is let through: an HTTP client's own log would show URLs that are secrets.
fn log(verbose: bool) {
    let level = if verbose { Level::DEBUG } else { Level::WARN };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    tracing_subscriber::registry()
        .with(lines.with_filter(Targets::new().with_target("notify_engine", level)))
        .init();
}

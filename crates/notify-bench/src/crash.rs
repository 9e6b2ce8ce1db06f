//! Real crashes of the built binary: processes that accept and deliver are killed at random
//! instants, and in the end everything that was acknowledged has arrived.

mod feeder;
mod ledger;
mod process;
mod round;
mod world;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use cargo_metadata::MetadataCommand;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

pub(crate) use crate::crash::feeder::feed;

use crate::args::{CrashArgs, Way};
use crate::crash::round::{Round, Told};
use crate::{Result, say};

pub(crate) async fn run(args: CrashArgs) -> Result<bool> {
    let binary = match &args.binary {
        Some(binary) => binary.canonicalize()?,
        None => build()?,
    };
    let rounds: VecDeque<Round> = (0..args.rounds)
        .map(|index| Round {
            number: index + 1,
            seed: args.seed.wrapping_add(index),
            way: args.feed.unwrap_or(match index % 2 {
                0 => Way::Emit,
                _ => Way::Inbox,
            }),
            events: args.events,
            binary: binary.clone(),
            keep: args.keep.clone(),
        })
        .collect();
    let rounds = Arc::new(Mutex::new(rounds));
    let mut jobs = JoinSet::new();
    for _ in 0..args.jobs.max(1) {
        let rounds = Arc::clone(&rounds);
        let runtime = Handle::current();
        jobs.spawn_blocking(move || {
            let next = || {
                rounds
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .pop_front()
            };
            let mut told = Told::default();
            while let Some(round) = next() {
                match round.run(&runtime) {
                    Ok(came) => {
                        say(&came);
                        told.add(&came);
                    }
                    Err(err) => {
                        say(format_args!(
                            "round {} seed {} failed: {err}",
                            round.number, round.seed
                        ));
                        told.broken += 1;
                    }
                }
            }
            told
        });
    }
    let mut all = Told::default();
    while let Some(told) = jobs.join_next().await {
        all.merge(&told?);
    }
    if all.broken > 0 || all.unexplained > 0 {
        say(format_args!(
            "rounds that failed {}, copies without a reason {}",
            all.broken, all.unexplained
        ));
    }
    say(format_args!(
        "rounds {} lost {} doubled {} in_flight {}",
        args.rounds, all.lost, all.doubled, all.in_flight
    ));
    Ok(all.lost == 0 && all.broken == 0 && all.unexplained == 0)
}

/// Builds the binary with the profile that this program was built with, and gives its path.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let release = !cfg!(debug_assertions);
    let mut command = Command::new(cargo);
    command.args(["build", "--package", "notify-cli", "--bin", "notify"]);
    if release {
        command.arg("--release");
    }
    let status = command.status()?;
    if !status.success() {
        return Err(format!("`notify` does not build: {status}").into());
    }
    let metadata = MetadataCommand::new().no_deps().exec()?;
    let folder = metadata
        .target_directory
        .join(if release { "release" } else { "debug" });
    Ok(Path::new(folder.as_str()).join("notify"))
}

//! `notify check`: everything that can be known before the first event.

mod effective;
mod json;

use std::process::ExitCode;

use workflow_notify::core::Secrets;
use workflow_notify::files::{Diagnostic, InForce, Reading};

use crate::args::CheckArgs;
use crate::draw::draw;
use crate::exit;
use crate::ledger::write;
use crate::setup::{self, Files, Refused};

/// What a check found.
enum Checked {
    Sound {
        warnings: Vec<Diagnostic>,
        secrets: Secrets,
        /// What is in force, where it was asked for.
        effective: Option<Vec<InForce>>,
    },
    Wrong(Vec<Diagnostic>),
}

pub(crate) async fn check(args: CheckArgs) -> ExitCode {
    let Ok(checked) = look(&args).await else {
        return exit::WRONG_INPUT.into();
    };
    let is_written = if args.json {
        write([json::document(&checked)])
    } else {
        tell(&checked, &args)
    };
    match checked {
        Checked::Sound { .. } if !is_written => exit::LEFT.into(),
        Checked::Sound { .. } => ExitCode::SUCCESS,
        Checked::Wrong(_) => exit::WRONG_INPUT.into(),
    }
}

async fn look(args: &CheckArgs) -> Result<Checked, Refused> {
    let files = Files::new(&args.definitions, &args.config.path)?;
    let Reading { loaded, .. } = files.read();
    Ok(match loaded {
        Ok(loaded) => {
            let secrets = setup::read_secrets(&loaded.config).await?;
            let mut warnings = loaded.warnings();
            warnings.extend(loaded.settings.warnings_of(&secrets));
            Checked::Sound {
                warnings,
                secrets,
                effective: args.effective.then(|| effective::values(&loaded)),
            }
        }
        Err(found) => Checked::Wrong(found.into_iter().collect()),
    })
}

/// Tells whether standard output took all of it.
fn tell(checked: &Checked, args: &CheckArgs) -> bool {
    match checked {
        Checked::Sound {
            warnings,
            secrets,
            effective,
        } => {
            draw(warnings);
            setup::warn_of_missing(secrets);
            effective
                .as_deref()
                .is_none_or(|values| write(effective::lines(values)))
        }
        Checked::Wrong(found) => {
            draw(found);
            setup::hint_at_missing(&args.config.path);
            true
        }
    }
}

//! `notify check`: everything that can be known before the first event.

use std::process::ExitCode;

use crate::args::CheckArgs;
use crate::exit;
use crate::setup;

pub(crate) fn check(args: &CheckArgs) -> ExitCode {
    match setup::load(&args.definitions, &args.config.path) {
        Ok(setup) => {
            setup.secrets();
            ExitCode::SUCCESS
        }
        Err(_) => exit::WRONG_INPUT.into(),
    }
}

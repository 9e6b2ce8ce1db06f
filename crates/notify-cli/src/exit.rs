//! Exit codes: public API, as `timeout` and `env` have them.

use std::process::ExitCode;

/// Something is left that could not be delivered, or not be recorded.
pub(crate) const LEFT: u8 = 1;
/// A file or an argument is wrong, and nothing was done; or some of what was given is, and the rest
/// was done.
pub(crate) const WRONG_INPUT: u8 = 2;
/// `run`: the command ran out of time.
pub(crate) const TIMED_OUT: u8 = 124;
/// `run`: our own refusal; nothing was run.
pub(crate) const REFUSED: u8 = 125;
/// `run`: the command cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// `run`: the command is not found.
pub(crate) const NOT_FOUND: u8 = 127;
/// `run`, `emit`: it was ended by the signal whose number is added.
pub(crate) const SIGNAL: u8 = 128;

/// Prints what clap has to say and picks the code: help is no error, and `run` refuses with its own.
pub(crate) fn usage(err: &clap::Error) -> ExitCode {
    // Nothing can be done about a standard error that is closed.
    err.print().ok();
    let command = std::env::args_os()
        .skip(1)
        .find(|arg| !arg.to_string_lossy().starts_with('-'));
    let run = command.is_some_and(|command| command == "run");
    match (err.use_stderr(), run) {
        (false, _) => ExitCode::SUCCESS,
        (true, true) => REFUSED.into(),
        (true, false) => WRONG_INPUT.into(),
    }
}

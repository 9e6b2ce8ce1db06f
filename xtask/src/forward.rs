//! Tasks that are programs of other packages: figures, crashes, the simulator.

use std::process::Command;

/// Builds the program that does a task, and runs it.
///
/// Figures are those of the release profile. The other tasks need no speed: they take `--release`
/// and do without otherwise, because building takes longer than what it saves.
pub(crate) fn run(task: &str, rest: &[&str]) -> Result<(), Vec<String>> {
    let figures = matches!(task, "bench" | "growth" | "memory");
    let release = figures || rest.contains(&"--release");
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet"]);
    if release {
        command.arg("--release");
    }
    match task {
        "simulate" => command.args(["--package", "notify-testkit", "--example", "simulate", "--"]),
        task => command.args(["--package", "notify-bench", "--", task]),
    };
    command.args(rest.iter().filter(|argument| **argument != "--release"));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(vec![format!("{task}: {status}")]),
        Err(err) => Err(vec![format!("cargo: {err}")]),
    }
}

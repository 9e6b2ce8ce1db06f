//! The schemas in the reference, and as strangers see them: a validator of Python's, an editor's language server from npm.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes the schemas of the program `notify` into the reference.
pub(crate) fn write() -> Result<(), Vec<String>> {
    for (of, name) in [
        ("definitions", "definitions.schema.json"),
        ("settings", "notify-toml.schema.json"),
    ] {
        let program = ["run", "--quiet", "--package", "notify-cli", "--", "schema"];
        let mut command = Command::new(env!("CARGO"));
        let schema = output(command.args(program).arg(of))?;
        let path = root().join("docs/reference").join(name);
        fs::write(path, schema).map_err(|err| vec![err.to_string()])?;
    }
    Ok(())
}

/// The validator, of a version that the results are stated for.
const VALIDATOR: &str = "jsonschema==4.26.0";

/// The language server that editors run for YAML.
const SERVER: &str = "yaml-language-server@1";

/// Holds a validator of Python's against the readers: every text that a test knows the verdict of.
///
/// Needs `python3`, and its registry the first time.
pub(crate) fn check() -> Result<(), Vec<String>> {
    let test = ["test", "--quiet", "--package", "notify-config"];
    let only = ["--test", "diagnostics", "the_schemas_agree"];
    run(Command::new(env!("CARGO")).args(test).args(only))?;
    let room = room("schema-check")?;
    let python = room.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&room))?;
        let install = ["-m", "pip", "install", "--quiet", VALIDATOR];
        run(Command::new(&python).args(install))?;
    }
    let cases = target().join("tmp/schema-cases.json");
    let script = scripts().join("check.py");
    run(Command::new(&python).arg(script).arg(cases))
}

/// Asks the language server that editors run what it offers inside a kind of somebody else's.
///
/// Needs `node` and `npm`, and their registry the first time.
pub(crate) fn completion() -> Result<(), Vec<String>> {
    let room = room("schema-completion")?;
    if !room.join("node_modules").exists() {
        let install = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
        run(Command::new("npm").args(install).arg(&room).arg(SERVER))?;
    }
    let example = root().join("examples/provider-ntfy/embedder/Cargo.toml");
    let mut program = Command::new(env!("CARGO"));
    program.args(["run", "--quiet", "--manifest-path"]);
    program.arg(example).args(["--", "schema"]);
    program.env("CARGO_TARGET_DIR", target());
    let printed = output(&mut program)?;
    let schema = room.join("definitions.schema.json");
    fs::write(&schema, printed).map_err(|err| vec![err.to_string()])?;
    let script = scripts().join("complete.mjs");
    run(Command::new("node").arg(script).arg(&room).arg(schema))
}

pub(crate) fn run(command: &mut Command) -> Result<(), Vec<String>> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(vec![format!("{command:?}: {status}")]),
        Err(err) => Err(vec![format!("{command:?}: {err}")]),
    }
}

pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, Vec<String>> {
    let output = command.output().map_err(|err| vec![err.to_string()])?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(vec![String::from_utf8_lossy(&output.stderr).into_owned()])
    }
}

pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schema")
}

pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Makes a folder for what a registry gives.
pub(crate) fn room(name: &str) -> Result<PathBuf, Vec<String>> {
    let room = target().join(name);
    match fs::create_dir_all(&room) {
        Ok(()) => Ok(room),
        Err(err) => Err(vec![format!("{}: {err}", room.display())]),
    }
}

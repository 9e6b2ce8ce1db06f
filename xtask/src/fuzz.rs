//! `cargo xtask fuzz [TARGET] [--seconds N]`: builds the fuzz targets and runs them, one after the other.
//!
//! The pinned stable toolchain does it: LLVM's counters are a code generation flag there, and only the
//! address sanitizer would need a nightly one. Core forbids `unsafe`, so that one would find little.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `cargo fuzz` passes too, but for the sanitizer.
const FLAGS: &str = "--cfg fuzzing \
    -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0";

/// How long each target runs where nothing is said.
const SECONDS: u32 = 60;

/// A single input may take this many seconds; what takes longer is a finding.
const PER_INPUT: u32 = 5;

pub(crate) fn run(arguments: &[&str]) -> Result<(), Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("fuzz");
    let mut targets = targets(&folder).map_err(|why| vec![why])?;
    let asked = Asked::of(arguments).map_err(|why| vec![why])?;
    if let Some(name) = asked.target {
        let known = targets.join(", ");
        targets.retain(|target| target == name);
        if targets.is_empty() {
            return Err(vec![format!("no target `{name}`: there are {known}")]);
        }
    }
    let built = build(&root).map_err(|why| vec![why])?;
    let fuzz = |target: &String| fuzz(&root, &built, target, asked.seconds).err();
    let problems: Vec<String> = targets.iter().filter_map(fuzz).collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

struct Asked<'a> {
    target: Option<&'a str>,
    seconds: u32,
}

impl<'a> Asked<'a> {
    fn of(arguments: &[&'a str]) -> Result<Self, String> {
        let (target, rest) = match arguments {
            [name, rest @ ..] if !name.starts_with('-') => (Some(*name), rest),
            rest => (None, rest),
        };
        let usage = || "usage: cargo xtask fuzz [TARGET] [--seconds N]".to_owned();
        let seconds = match rest {
            [] => SECONDS,
            ["--seconds", count] => count.parse().map_err(|_| usage())?,
            _ => return Err(usage()),
        };
        Ok(Self { target, seconds })
    }
}

/// Lists the targets: each file in `fuzz/targets` is one.
fn targets(folder: &Path) -> Result<Vec<String>, String> {
    let files =
        fs::read_dir(folder.join("targets")).map_err(|err| format!("fuzz/targets: {err}"))?;
    let mut names: Vec<String> = files
        .flatten()
        .filter_map(|file| file.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Builds all targets and gives the folder they are in.
fn build(root: &Path) -> Result<PathBuf, String> {
    let host = host()?;
    let target = root.join("target/fuzz/build");
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--locked",
            "--bins",
            "--manifest-path",
        ])
        .arg(root.join("fuzz/Cargo.toml"))
        // With a target named, build scripts and macros are built without the counters.
        .args(["--target", &host, "--target-dir"])
        .arg(&target)
        .env("RUSTFLAGS", FLAGS)
        .status()
        .map_err(|err| format!("cargo build: {err}"))?;
    if status.success() {
        Ok(target.join(host).join("release"))
    } else {
        Err("the fuzz targets do not build".to_owned())
    }
}

fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output();
    let output = output.map_err(|err| format!("rustc: {err}"))?.stdout;
    let text = String::from_utf8_lossy(&output).into_owned();
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "rustc does not name its host".to_owned())
}

/// Runs one target. Its own corpus is read; what it finds goes below `target`.
fn fuzz(root: &Path, built: &Path, target: &str, seconds: u32) -> Result<(), String> {
    let found = root.join("target/fuzz").join(target);
    let artifacts = found.join("failed");
    let corpus = found.join("corpus");
    for folder in [&artifacts, &corpus] {
        fs::create_dir_all(folder).map_err(|err| format!("{}: {err}", folder.display()))?;
    }
    let status = Command::new(built.join(target))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={PER_INPUT}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args([
            "-rss_limit_mb=2048",
            "-max_len=65536",
            "-print_final_stats=1",
        ])
        // New inputs go into the first folder.
        .arg(&corpus)
        .arg(root.join("fuzz/corpus").join(target))
        .status()
        .map_err(|err| format!("{target}: {err}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!(
            "{target}: failed; the input is in {}",
            artifacts.display()
        ))
    }
}

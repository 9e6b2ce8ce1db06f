//! A provider outside the workspace is discovered through the facade, whatever the linker does.

#![cfg(test)]

use std::path::Path;
use std::process::{Command, Output};

/// Builds the example as `profile` says, runs it, and expects its kind.
#[track_caller]
fn is_discovered(profile: &[&str], environment: &[(&str, &str)], folder: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manifest = root.join("examples/out-of-tree-provider/Cargo.toml");
    // Below the workspace's own target folder, so that it is cached with it.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../out-of-tree-provider");
    let build = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--offline",
            "--locked",
            "--manifest-path",
        ])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target)
        .args(profile)
        // Nobody debugs these programs.
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .env("CARGO_INCREMENTAL", "0")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(
        build.status.success(),
        "{}\nwhere the lock file is out of date: cargo update --workspace --manifest-path {}",
        text(&build),
        manifest.display()
    );
    let program = target.join(folder).join("kinds");
    let run = Command::new(program).output().unwrap();
    assert!(run.status.success(), "{}", text(&run));
    assert_eq!(text(&run), "ntfy\n");
}

fn text(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

/// One test, not three: builds in one folder wait for each other anyway.
#[test]
fn a_provider_outside_the_tree_is_discovered_in_debug_release_and_fat_lto() {
    is_discovered(&[], &[], "debug");
    let release = ["--release"];
    is_discovered(&release, &[], "release");
    // The same folder: cargo tells the two apart by their flags and keeps both.
    is_discovered(&release, &[("CARGO_PROFILE_RELEASE_LTO", "fat")], "release");
}

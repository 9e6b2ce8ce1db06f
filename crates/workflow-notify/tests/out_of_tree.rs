//! A provider outside the workspace: discovered, tested, built into programs, begun by the generator.
//!
//! Its builds share the workspace's target folder, where most of what they need is built already.

#![cfg(test)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use notify_testkit::provider::Expected;

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

fn example(path: &str) -> PathBuf {
    root().join("examples/provider-ntfy").join(path)
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("..")
}

/// Has cargo do something with a package outside the workspace, offline.
fn cargo(task: &str, manifest: &Path) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args([task, "--quiet", "--offline", "--locked", "--manifest-path"]);
    command.arg(manifest).arg("--target-dir").arg(target());
    command
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let hint = "where a lock file is out of date: cargo update --workspace --manifest-path";
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{hint} …",
        text(&output)
    );
    text(&output)
}

fn text(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

/// Builds a program as `profile` says, runs it, and expects these kinds.
#[track_caller]
fn is_discovered(program: &Path, profile: &[&str], lto: &str, expected: &str) {
    let mut build = cargo("build", &program.join("Cargo.toml"));
    succeeds(build.args(profile).env("CARGO_PROFILE_RELEASE_LTO", lto));
    let name = program.file_name().unwrap();
    let name = if name == "program" { "linked" } else { "kinds" };
    let folder = if profile.is_empty() {
        "debug"
    } else {
        "release"
    };
    let program = target().join(folder).join(name);
    assert_eq!(succeeds(&mut Command::new(program)), expected);
}

/// One test, not several: builds in one folder wait for each other anyway.
#[test]
fn a_provider_outside_the_tree_is_discovered_in_debug_release_and_fat_lto() {
    is_discovered(&example("embedder"), &[], "off", "ntfy\n");
    // What a linker leaves out does not depend on what a provider does: this one is quick to build.
    let quiet = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/linked/program");
    is_discovered(&quiet, &[], "off", "quiet\n");
    is_discovered(&quiet, &["--release"], "off", "quiet\n");
    // The same folder: cargo tells the two apart by their flags and keeps both.
    is_discovered(&quiet, &["--release"], "fat", "quiet\n");
}

#[test]
fn a_provider_outside_the_tree_passes_its_own_tests_and_is_short() {
    let ran = succeeds(&mut cargo("test", &example("Cargo.toml")));
    assert!(ran.contains("test result: ok. "), "{ran}");
    let library = fs::read_to_string(example("src/lib.rs")).unwrap();
    assert!(library.lines().count() < 200);
}

/// The blocks of the guide that are of one language.
fn blocks(language: &str) -> Vec<String> {
    let guide = root().join("docs/guides/write-a-provider.md");
    let guide = fs::read_to_string(guide).unwrap();
    guide
        .split(&format!("```{language}\n"))
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

fn block(language: &str, needle: &str) -> String {
    let mut found = blocks(language).into_iter();
    found.find(|block| block.contains(needle)).unwrap()
}

/// Drops how far lines are indented.
fn flat(text: &str) -> String {
    text.lines()
        .map(|line| line.trim().to_owned() + "\n")
        .collect()
}

#[test]
fn the_guide_shows_what_the_examples_do() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = [
        example("src/lib.rs"),
        example("tests/conformance.rs"),
        example("tests/gotify.rs"),
        example("tests/wire.rs"),
        example("notify/src/main.rs"),
        example("embedder/src/main.rs"),
        here.join("tests/provider_fn.rs"),
    ];
    let sources = sources.map(|path| flat(&fs::read_to_string(path).unwrap()));
    for block in blocks("rust") {
        let flat = flat(&block);
        assert!(
            sources.iter().any(|source| source.contains(&flat)),
            "{block}"
        );
    }
    let manifests = ["Cargo.toml", "notify/Cargo.toml"]
        .map(|name| fs::read_to_string(example(name)).unwrap())
        .concat();
    for block in blocks("toml") {
        if block.contains("[dependencies]") {
            for line in block.lines() {
                // The guide's checkout is beside the crate; the example is inside.
                let inside = |up| line.replace("../workflow-notify/crates", up);
                let known = ["../../crates", "../../../crates"].map(inside);
                let known = known.iter().any(|line| manifests.contains(line));
                assert!(known, "{line}");
            }
        }
    }
}

#[test]
fn the_words_of_outcomes_in_the_guide_are_words_of_the_suite() {
    let guide = root().join("docs/guides/write-a-provider.md");
    let guide = fs::read_to_string(guide).unwrap();
    let head = "| word | stands for |\n|---|---|\n";
    let (_, table) = guide.split_once(head).unwrap();
    let table = table.split("\n\n").next().unwrap();
    let mut words = Vec::new();
    for row in table.lines() {
        let first = row.split('|').nth(1).unwrap();
        words.extend(first.split('`').skip(1).step_by(2));
    }
    // A word that means nothing panics.
    for (index, word) in words.iter().enumerate() {
        let of_outcome = if index < 4 { "" } else { "rejected " };
        drop(Expected::new(&format!("{of_outcome}{word}")));
    }
    assert_eq!(words.len(), 19, "{words:?}");
}

/// Takes one request and gives this answer; gives the request.
fn served(listener: &TcpListener, answer: &str) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).unwrap();
        request.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&request);
        let head = text.split_once("\r\n\r\n");
        let length = |head: &str| {
            let lines = head.lines();
            let mut lengths = lines.filter_map(|line| line.strip_prefix("content-length: "));
            lengths.next().unwrap().parse::<usize>().unwrap()
        };
        if read == 0 || head.is_some_and(|(head, body)| body.len() >= length(head)) {
            break;
        }
    }
    let length = answer.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all((head + answer).as_bytes()).unwrap();
    String::from_utf8(request).unwrap()
}

#[test]
fn the_command_with_a_provider_more_checks_declares_and_delivers_its_kind() {
    succeeds(&mut cargo("build", &example("notify/Cargo.toml")));
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let settings = block("toml", "[accounts.ntfy.default]");
    let definition = block("yaml", "ntfy:");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "notify.toml",
        &settings.replace("https://ntfy.sh", &address),
    );
    write("etl.yaml", &definition);
    write(
        "wrong.yaml",
        &definition.replace("priority: 5", "priority: 9"),
    );
    let notify = |arguments: &[&str]| {
        let program = target().join("debug/notify-with-ntfy");
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder.path());
        command.env("NTFY_TOKEN", "tk_hunter2hunter2");
        command
    };
    succeeds(&mut notify(&["check", "etl.yaml"]));
    let schema = succeeds(&mut notify(&["schema"]));
    assert!(schema.contains("How urgent it is, from 1 to 5"), "{schema}");
    let wrong = notify(&["check", "wrong.yaml"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    let wrong = text(&wrong);
    for part in ["a priority is a number from 1 to 5", "wrong.yaml:6:"] {
        assert!(wrong.contains(part), "{wrong}");
    }

    let server = thread::spawn(move || served(&listener, r#"{"id":"xE73Iyuabi"}"#));
    let job = [
        "run",
        "etl.yaml",
        "--",
        "sh",
        "-c",
        "echo 'row 4' >&2; exit 3",
    ];
    let ran = notify(&job).output().unwrap();
    assert_eq!(ran.status.code(), Some(3), "{}", text(&ran));
    let request = server.join().unwrap();
    for part in [
        "POST / HTTP/1.1\r\n",
        "authorization: Bearer tk_hunter2hunter2\r\n",
        r#""topic":"my-topic""#,
        r#""title":"nightly-etl failed""#,
        r#""priority":5"#,
        r#""tags":["rotating_light"]"#,
        "row 4",
    ] {
        assert!(request.contains(part), "{part}\n{request}");
    }
    let listed = succeeds(&mut notify(&["outbox", "list", "--json"]));
    for part in [r#""state":"delivered""#, "xE73Iyuabi"] {
        assert!(listed.contains(part), "{listed}");
    }
}

#[test]
fn the_generator_writes_a_crate_that_compiles_and_passes_the_suite() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let xtask = |name: &str| {
        let mut command = Command::new(env!("CARGO"));
        command.args(["run", "--quiet", "--offline", "--package", "xtask", "--"]);
        command.args(["new-provider", name, "--into"]);
        command.arg(folder.path()).current_dir(root());
        command
    };
    succeeds(&mut xtask("ms-teams"));
    let again = xtask("ms-teams").output().unwrap();
    assert!(text(&again).contains("is there already, and nothing was written"));

    let manifest = folder.path().join("notify-ms-teams/Cargo.toml");
    // The lock file still has what this crate does not need.
    let mut update = Command::new(env!("CARGO"));
    update.args(["update", "--quiet", "--offline", "--workspace"]);
    succeeds(update.arg("--manifest-path").arg(&manifest));
    let mut test = cargo("test", &manifest);
    let ran = succeeds(as_in_the_workspace(&mut test));
    assert!(ran.contains("test result: ok. "), "{ran}");

    // The command is there at once, for the account and the notification of the README.
    let written = fs::read_to_string(&manifest).unwrap();
    assert!(written.ends_with(&block("toml", "members = ")), "{written}");
    let readme = fs::read_to_string(manifest.with_file_name("README.md")).unwrap();
    let shown = |language: &str| {
        let (_, rest) = readme.split_once(&format!("```{language}\n")).unwrap();
        rest.split("```").next().unwrap()
    };
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("notify.toml", shown("toml"));
    write(
        "etl.yaml",
        &format!("workflow: nightly-etl\n{}", shown("yaml")),
    );
    let mut check = cargo("run", &manifest);
    check.current_dir(folder.path());
    as_in_the_workspace(&mut check).args(["--package", "notify-with-ms-teams"]);
    succeeds(check.args(["--", "check", "etl.yaml"]));
}

/// Builds with the workspace's profile, so that what is built is shared.
fn as_in_the_workspace(command: &mut Command) -> &mut Command {
    command.args(["--config", "profile.dev.debug=\"line-tables-only\""]);
    command.args(["--config", "profile.dev.package.\"*\".debug=false"])
}

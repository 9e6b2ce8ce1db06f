//! The reference of `notify.toml`, held against what is accepted.

use std::fs;
use std::process::Output;

use crate::bench::{notify, root, text};
use crate::refusals::flat;

fn page() -> String {
    fs::read_to_string(root().join("docs/reference/notify-toml.md")).unwrap()
}

fn check(settings: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notify.toml"), settings).unwrap();
    let mut command = notify();
    command.current_dir(folder.path()).arg("check");
    command.env("STATE_DIRECTORY", "state").output().unwrap()
}

/// The first cells of the tables below a heading, up to the next one.
fn rows(heading: &str) -> Vec<(String, String)> {
    let page = page();
    let (_, below) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = below.split("\n## ").next().unwrap();
    let cells = |line: &str| {
        let line = line.strip_prefix("| `")?.strip_suffix(" |")?;
        let (key, rest) = line.split_once("` |")?;
        let last = rest.rsplit("| ").next()?;
        Some((key.to_owned(), last.trim_matches('`').to_owned()))
    };
    section.lines().filter_map(cells).collect()
}

/// The keys that are offered in place of an unknown one.
fn offered(settings: &str) -> Vec<String> {
    let stderr = flat(&text(&check(settings).stderr));
    let (_, below) = stderr.split_once("unknown key `qqqqqqqqqqqq`").unwrap();
    let (_, help) = below.split_once("help: ").unwrap();
    let help = help.split("NOTIFY-").next().unwrap();
    let names = help.split('`').skip(1).step_by(2).map(str::to_owned);
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('[')).collect();
    names.sort();
    names
}

#[track_caller]
fn explains(heading: &str, settings: &str, others: &[&str]) {
    let mut keys: Vec<String> = rows(heading).into_iter().map(|(key, _)| key).collect();
    keys.extend(others.iter().map(ToString::to_string));
    keys.sort();
    assert_eq!(keys, offered(settings), "{heading}");
}

#[test]
fn every_key_is_in_the_tables() {
    explains("`[engine]`", "[engine]\nqqqqqqqqqqqq = 1\n", &[]);
    // The text of the help names the section, too.
    let outbox = offered("[outbox]\nqqqqqqqqqqqq = 1\n");
    let keys: Vec<String> = rows("`[outbox]`").into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, outbox);

    let notification = "phases = [\"failed\"]\nslack = \"#a\"\n";
    let mut rules = offered(&format!("[[rules]]\nqqqqqqqqqqqq = 1\n{notification}"));
    let matched = format!("[[rules]]\nmatch = {{ qqqqqqqqqqqq = 1 }}\n{notification}");
    rules.extend(offered(&matched));
    let mut keys: Vec<String> = rows("`[[rules]]`")
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    // Kinds are of the providers that are linked in; what a rule matches is its own.
    rules.retain(|key| !["email", "pagerduty", "webhook", "match"].contains(&key.as_str()));
    keys.retain(|key| key != "match");
    keys.sort();
    rules.sort();
    assert_eq!(keys, rules);
}

#[test]
fn the_defaults_in_the_tables_are_those_in_force() {
    let output = check("");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut command = notify();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notify.toml"), "").unwrap();
    command.current_dir(folder.path());
    let output = command.args(["check", "--effective"]).output().unwrap();
    let stdout = text(&output.stdout);
    let engine = rows("`[engine]`");
    assert_eq!(engine.len(), 8);
    for (key, default) in engine {
        let line = stdout.lines().find(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.starts_with(&[&format!("engine.{key}"), "=", &default])
        });
        assert!(line.is_some(), "{key} is not {default} in {stdout}");
        let written = check(&format!("[engine]\n{key} = {default}\n"));
        assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    }
}

#[test]
fn the_references_example_is_accepted() {
    let page = page();
    let example = page.split("```toml\n").nth(1).unwrap();
    let output = check(example.split("```").next().unwrap());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

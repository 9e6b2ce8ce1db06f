//! The house rules: who may depend on whom, what may not be linked, what every file has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use notify_core::Code;

/// Which of our crates may depend on which. The table is in `ARCHITECTURE.md` too.
const EDGES: [(&str, &[&str]); 12] = [
    ("notify-core", &[]),
    ("notify-template", &["notify-core"]),
    ("notify-http", &["notify-core"]),
    ("notify-outbox", &["notify-core"]),
    ("notify-outbox-sqlite", &["notify-core", "notify-outbox"]),
    (
        "notify-engine",
        &["notify-core", "notify-outbox", "notify-template"],
    ),
    ("notify-config", &["notify-core", "notify-template"]),
    ("notify-sandbox", &[]),
    (
        "notify-testkit",
        &[
            "notify-core",
            "notify-outbox",
            "notify-engine",
            "notify-sandbox",
        ],
    ),
    ("notify-bench", ANY),
    ("workflow-notify", ANY),
    ("notify-cli", ANY),
];

/// A crate without a row of its own is a provider.
const PROVIDER: &[&str] = &["notify-core", "notify-http"];

/// Facade and programs may depend on everything.
const ANY: &[&str] = &["*"];

/// What may not be in the graph, and why.
const BANNED: [(&str, &str); 5] = [
    (
        "ring",
        "a second crypto provider makes rustls refuse to choose",
    ),
    ("openssl-sys", "one TLS stack: rustls with aws-lc-rs"),
    ("native-tls", "one TLS stack: rustls with aws-lc-rs"),
    ("serde_yaml", "archived; YAML goes through serde-saphyr"),
    ("figment", "merging layers lose the place of a value"),
];

/// How many crates `notify-core` may bring along, itself included.
const CORE_BUDGET: usize = 30;

pub(crate) fn run() -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    match MetadataCommand::new().exec() {
        Ok(metadata) => {
            let root = metadata.workspace_root.clone().into_std_path_buf();
            edges(&metadata, &mut problems);
            banned(&mut problems);
            core_budget(&mut problems);
            headers(&root, &mut problems);
            kinds(&root, &mut problems);
            error_pages(&root, &mut problems);
            links(&root, &mut problems);
        }
        Err(err) => problems.push(format!("cargo metadata: {err}")),
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn edges(metadata: &Metadata, problems: &mut Vec<String>) {
    let members: BTreeSet<String> = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| package.name.to_string())
        .collect();
    let allowed: BTreeMap<&str, &[&str]> = EDGES.into_iter().collect();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let may = match allowed.get(name) {
            Some(may) => *may,
            None if name == "xtask" => ANY,
            None => PROVIDER,
        };
        for dependency in &package.dependencies {
            let ours = members.contains(&dependency.name);
            let normal = dependency.kind == DependencyKind::Normal;
            if ours && normal && may != ANY && !may.contains(&dependency.name.as_str()) {
                let row = if allowed.contains_key(name) {
                    ""
                } else {
                    ": without a row in the table of edges it is a provider"
                };
                problems.push(format!("{name} may not depend on {}{row}", dependency.name));
            }
        }
    }
}

fn banned(problems: &mut Vec<String>) {
    let linked = tree(&["--workspace", "--edges", "normal,build,dev"]);
    for (name, why) in BANNED {
        if linked.contains(name) {
            problems.push(format!("{name} is in the graph: {why}"));
        }
    }
}

fn core_budget(problems: &mut Vec<String>) {
    let brought = tree(&["--package", "notify-core", "--edges", "normal,build"]).len();
    if brought == 0 || brought > CORE_BUDGET {
        problems.push(format!(
            "notify-core brings {brought} crates; at most {CORE_BUDGET}"
        ));
    }
}

/// Lists the crates that are really built. The graph of `cargo metadata` has more: it counts
/// optional dependencies whose features are off.
fn tree(what: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix", "none", "--format", "{p}"])
        .args(what)
        .output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let lines = String::from_utf8_lossy(&text).into_owned();
    lines
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Every Rust file says in its first line what it is for.
fn headers(root: &Path, problems: &mut Vec<String>) {
    for file in files(root, "rs") {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        if !first.starts_with("//!") && !first.starts_with("#![doc") {
            problems.push(format!(
                "{}: the first line is no `//!`",
                shown(root, &file)
            ));
        }
    }
}

/// Engine, ledger and file reader treat all kinds alike: none of them names one.
fn kinds(root: &Path, problems: &mut Vec<String>) {
    for folder in [
        "notify-engine",
        "notify-outbox",
        "notify-outbox-sqlite",
        "notify-config",
    ] {
        for file in files(&root.join("crates").join(folder).join("src"), "rs") {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for kind in ["\"email\"", "\"slack\"", "\"pagerduty\"", "\"webhook\""] {
                if code.contains(kind) {
                    problems.push(format!("{}: names the kind {kind}", shown(root, &file)));
                }
            }
        }
    }
}

/// Every code has a page, and every page has a code.
fn error_pages(root: &Path, problems: &mut Vec<String>) {
    let folder = root.join("docs/errors");
    let codes: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
    let pages: BTreeSet<String> = files(&folder, "md")
        .iter()
        .filter_map(|page| Some(page.file_name()?.to_string_lossy().into_owned()))
        .collect();
    for missing in codes.difference(&pages) {
        problems.push(format!("docs/errors/{missing} is missing"));
    }
    for stray in pages.difference(&codes).filter(|page| *page != "README.md") {
        problems.push(format!("docs/errors/{stray} is about no code"));
    }
}

/// Every relative link of a page leads to something.
fn links(root: &Path, problems: &mut Vec<String>) {
    for page in files(root, "md") {
        let text = fs::read_to_string(&page).unwrap_or_default();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = target.split('#').next().unwrap_or_default();
            // What has no dot and no slash is a name that rustdoc resolves.
            let is_file = path.contains('/') || path.contains('.');
            let elsewhere = path.contains("://") || path.contains("::") || path.contains(' ');
            let base = page.parent().unwrap_or(root);
            if is_file && !elsewhere && !base.join(path).exists() {
                problems.push(format!(
                    "{}: the link to `{target}` is broken",
                    shown(root, &page)
                ));
            }
        }
    }
}

fn shown(root: &Path, file: &Path) -> String {
    file.strip_prefix(root)
        .unwrap_or(file)
        .display()
        .to_string()
}

/// Lists the files below a folder that have this ending, but for what builds leave behind.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && name != ".git" {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

//! `cargo xtask new-provider NAME`: a crate that compiles and passes the suite, to be filled in.
//!
//! Beside the crate's folder two files of the facade change: its manifest, which gets a feature and
//! an optional dependency, and its `lib.rs`, which gets the line that links the provider. With
//! `--into FOLDER` the crate is a workspace of its own somewhere else, with the command `notify` that
//! links it, and nothing here changes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use notify_core::{Cause, Outcome, Registry, provider_fn};

const MANIFEST: &str = include_str!("../new-provider/Cargo.toml.in");
const README: &str = include_str!("../new-provider/README.md.in");
const LIBRARY: &str = include_str!("../new-provider/lib.rs.in");
const CONFORMANCE: &str = include_str!("../new-provider/conformance.rs.in");
const WIRE: &str = include_str!("../new-provider/wire.rs.in");
const COMMAND: &str = include_str!("../new-provider/notify/Cargo.toml.in");
const MAIN: &str = include_str!("../new-provider/notify/main.rs.in");

const FACADE: &str = "crates/workflow-notify/Cargo.toml";
const LINKS: &str = "crates/workflow-notify/src/lib.rs";

const USAGE: &str = "usage: cargo xtask new-provider NAME [--into FOLDER]";

pub(crate) fn run(asked: &[&str]) -> Result<(), Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let made = match asked {
        [name] => inside(&root, name),
        [name, "--into", folder] | ["--into", folder, name] => outside(&root, name, folder),
        _ => Err(USAGE.to_owned()),
    };
    let told = made.map_err(|problem| vec![problem])?;
    writeln!(std::io::stdout(), "{told}").map_err(|err| vec![err.to_string()])
}

/// Makes a crate of this workspace.
fn inside(root: &Path, name: &str) -> Result<String, String> {
    let name = Name::new(root, name)?;
    let read = |file: &str| {
        let text = fs::read_to_string(root.join(file));
        text.map_err(|err| format!("{file}: {err}"))
    };
    // Both changes are known before anything is written.
    let facade = with_feature(&read(FACADE)?, &name)
        .ok_or_else(|| format!("{FACADE}: there is no place for a feature and a dependency"))?;
    let links = with_link(&read(LINKS)?, &name)
        .ok_or_else(|| format!("{LINKS}: there is no line that links a provider"))?;
    let package = name.package();
    write_crate(&root.join("crates").join(&package), &name, &Home::Inside)?;
    for (file, text) in [(FACADE, facade), (LINKS, links)] {
        fs::write(root.join(file), text).map_err(|err| format!("{file}: {err}"))?;
    }
    // The lock file learns of the new member.
    let mut update = Command::new(env!("CARGO"));
    update.args(["update", "--quiet", "--offline", "--workspace"]);
    update.arg("--manifest-path").arg(root.join("Cargo.toml"));
    finish(&mut update)?;
    let kind = name.kind;
    Ok(format!(
        "crates/{package}: the provider\n\
         {FACADE}: the feature `{kind}`\n\
         {LINKS}: the line that links it\n\n\
         cargo test --package {package}\n\
         cargo run --features workflow-notify/{kind} -- check FLOW.yaml"
    ))
}

/// Makes a crate that is a workspace of its own.
fn outside(root: &Path, name: &str, folder: &str) -> Result<String, String> {
    let name = Name::new(root, name)?;
    let absolute = |path: &Path| {
        let path = path.canonicalize();
        path.map_err(|err| format!("{folder}: {err}"))
    };
    let home = Home::Outside(absolute(root)?);
    let folder = absolute(Path::new(folder))?.join(name.package());
    write_crate(&folder, &name, &home)?;
    // The versions that everything here is tested with.
    let (from, to) = (root.join("Cargo.lock"), folder.join("Cargo.lock"));
    fs::copy(from, to).map_err(|err| err.to_string())?;
    let (folder, kind) = (folder.display(), name.kind);
    Ok(format!(
        "{folder}: the provider, a workspace of its own\n\
         {folder}/notify: the command `notify` with it\n\n\
         cd {folder}\n\
         cargo test\n\
         cargo run --package notify-with-{kind} -- check FLOW.yaml"
    ))
}

/// Where a crate is made.
enum Home {
    /// In this workspace.
    Inside,
    /// Elsewhere, with this workspace at a path.
    Outside(PathBuf),
}

/// Writes the crate into a folder that is not there yet.
fn write_crate(folder: &Path, name: &Name<'_>, home: &Home) -> Result<(), String> {
    let failed = |err: std::io::Error| format!("{}: {err}", folder.display());
    match fs::create_dir(folder) {
        Err(err) if err.kind() == std::io::ErrorKind::AlreadyExists => {
            let folder = folder.display();
            return Err(format!(
                "{folder} is there already, and nothing was written"
            ));
        }
        made => made.map_err(failed)?,
    }
    let mut files = vec![
        ("Cargo.toml", MANIFEST),
        ("README.md", README),
        ("src/lib.rs", LIBRARY),
        ("tests/conformance.rs", CONFORMANCE),
        ("tests/wire.rs", WIRE),
    ];
    if let Home::Outside(_) = home {
        files.extend([("notify/Cargo.toml", COMMAND), ("notify/src/main.rs", MAIN)]);
    }
    // The length of a name decides where lines break.
    let mut format = Command::new("rustfmt");
    format.args(["--edition", "2024"]);
    for (file, text) in files {
        let file = folder.join(file);
        let parent = file.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(failed)?;
        fs::write(&file, name.fill(&home.fill(text))).map_err(failed)?;
        if file.extension().is_some_and(|ending| ending == "rs") {
            format.arg(file);
        }
    }
    let format = format.status();
    format.map_err(|err| format!("rustfmt: {err}")).map(drop)
}

impl Home {
    /// Fills in what a manifest inherits and where its dependencies are.
    fn fill(&self, template: &str) -> String {
        let (inherited, tables) = match self {
            Self::Inside => (
                "version.workspace = true\nedition.workspace = true\nrust-version.workspace = true\n\
                 license.workspace = true\npublish.workspace = true",
                "[lints]\nworkspace = true",
            ),
            Self::Outside(_) => (
                "version = \"0.1.0\"\nedition = \"2024\"\npublish = false",
                "# A workspace of its own.\n[workspace]\nmembers = [\"notify\"]",
            ),
        };
        let ours = ["notify-core", "notify-http"].map(|name| self.dependency(name, None));
        let others = [
            ("async-trait", "\"0.1\""),
            ("serde", "{ version = \"1\", features = [\"derive\"] }"),
            ("serde_json", "\"1\""),
        ];
        let others = others.map(|(name, version)| self.dependency(name, Some(version)));
        let dependencies = [&ours[..], &others[..]].concat().join("\n");
        let for_tests = [
            self.dependency("notify-testkit", None),
            self.tokio().to_owned(),
        ];
        template
            .replace("@inherited@", inherited)
            .replace("@dependencies@", &dependencies)
            .replace("@dev-dependencies@", &for_tests.join("\n"))
            .replace("@tables@", tables)
            .replace("@command@", &self.dependency("notify-cli", None))
    }

    /// Writes the dependency on the runtime of tests.
    const fn tokio(&self) -> &'static str {
        match self {
            Self::Inside => "tokio = { workspace = true, features = [\"macros\", \"rt\"] }",
            Self::Outside(_) => "tokio = { version = \"1\", features = [\"macros\", \"rt\"] }",
        }
    }

    /// Writes one dependency; those without a version are ours.
    fn dependency(&self, name: &str, version: Option<&str>) -> String {
        match (self, version) {
            (Self::Inside, _) => format!("{name}.workspace = true"),
            (Self::Outside(_), Some(version)) => format!("{name} = {version}"),
            (Self::Outside(root), None) => {
                let path = root.join("crates").join(name);
                format!("{name} = {{ path = {:?} }}", path.display().to_string())
            }
        }
    }
}

/// The name of a kind that can have a provider.
struct Name<'a> {
    kind: &'a str,
}

impl<'a> Name<'a> {
    fn new(root: &Path, kind: &'a str) -> Result<Self, String> {
        let name = Self { kind };
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let words = || kind.split('-');
        let well_formed = kind.starts_with(|first: char| first.is_ascii_lowercase())
            && kind.len() <= 40
            && words().all(|word| !word.is_empty() && word.bytes().all(letter));
        if !well_formed {
            return Err(format!(
                "`{}` cannot name a provider: write up to 40 lower-case ASCII letters and digits, \
                 a letter first, words joined by single `-`",
                kind.escape_debug()
            ));
        }
        // What the registry of a program would refuse.
        let probe = provider_fn(kind.to_owned().leak(), |_, _| async {
            Outcome::not_delivered(Cause::Internal, "")
        });
        if let Err(err) = Registry::of([probe]) {
            let why = std::error::Error::source(&err).map_or(err.to_string(), ToString::to_string);
            return Err(format!("`{kind}` cannot be a kind: {why}"));
        }
        if let Some(file) = home_of(root, kind) {
            return Err(format!("the kind `{kind}` is taken: {file} has it"));
        }
        // A type of this name would hide one that the crate uses.
        let pascal = name.pascal();
        let words = LIBRARY.split(|letter: char| !letter.is_alphanumeric());
        if pascal == "Self" || words.into_iter().any(|word| word == pascal) {
            return Err(format!(
                "`{kind}` cannot name a provider: its type `{pascal}` would hide another"
            ));
        }
        Ok(name)
    }

    fn package(&self) -> String {
        format!("notify-{}", self.kind)
    }

    fn pascal(&self) -> String {
        let capital = |word: &str| {
            let mut letters = word.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first
                .into_iter()
                .chain(letters.collect::<Vec<_>>())
                .collect::<String>()
        };
        self.kind.split('-').map(capital).collect()
    }

    fn fill(&self, template: &str) -> String {
        let package = self.package();
        template
            .replace("@kind@", self.kind)
            .replace("@KIND@", &self.kind.to_ascii_uppercase().replace('-', "_"))
            .replace("@Kind@", &self.pascal())
            .replace("@crate@", &package.replace('-', "_"))
            .replace("@package@", &package)
    }
}

/// Finds the file of a crate here that has a kind.
fn home_of(root: &Path, kind: &str) -> Option<String> {
    let declared = format!("const KIND: &'static str = \"{kind}\"");
    let mut open = vec![root.join("crates")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let in_tests = path.ends_with("tests") || path.ends_with("target");
            if path.is_dir() && !in_tests {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                if code.contains(&declared) {
                    let path = path.strip_prefix(root).unwrap_or(&path);
                    return Some(path.display().to_string());
                }
            }
        }
    }
    None
}

/// Adds a feature and an optional dependency to a manifest, each in its place.
fn with_feature(manifest: &str, name: &Name<'_>) -> Option<String> {
    let (kind, package) = (name.kind, name.package());
    let feature = format!("{kind} = [\"dep:{package}\"]");
    let manifest = in_order(manifest, "[features]", &feature)?;
    let dependency = format!("{package} = {{ path = \"../{package}\", optional = true }}");
    in_order(&manifest, "[dependencies]", &dependency)
}

/// Adds a line to a table, before the first that comes after it; the feature `default` stays first.
fn in_order(manifest: &str, table: &str, line: &str) -> Option<String> {
    let mut lines: Vec<&str> = manifest.lines().collect();
    let begin = lines.iter().position(|line| *line == table)? + 1;
    let later = |other: &&str| {
        let default = other.starts_with("default ");
        other.is_empty() || (!default && key(other) > key(line))
    };
    let rest = lines.get(begin..)?;
    let at = rest.iter().position(later).unwrap_or(rest.len());
    lines.insert(begin + at, line);
    Some(lines.join("\n") + "\n")
}

fn key(line: &str) -> &str {
    line.split([' ', '.', '=']).next().unwrap_or_default()
}

/// Adds the line that links the provider's crate, among those of others.
fn with_link(library: &str, name: &Name<'_>) -> Option<String> {
    let link = format!("use {} as _;", name.package().replace('-', "_"));
    let feature = format!("#[cfg(feature = \"{}\")]", name.kind);
    let mut lines: Vec<&str> = library.lines().collect();
    let is_link = |line: &str| line.starts_with("use notify_") && line.ends_with(" as _;");
    let links = lines.iter().enumerate().filter(|(_, line)| is_link(line));
    let links: Vec<(usize, &&str)> = links.collect();
    let later = links.iter().find(|(_, other)| ***other > *link);
    // Each line has its condition above it.
    let at = match later {
        Some((at, _)) => at.checked_sub(1)?,
        None => links.last()?.0 + 1,
    };
    lines.splice(at..at, [feature.as_str(), link.as_str()]);
    Some(lines.join("\n") + "\n")
}

fn finish(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(err) => Err(format!("{command:?}: {err}")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cargo_metadata::MetadataCommand;

    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn a_name_is_checked_and_refused_with_the_reason() {
        let long = "x".repeat(41);
        let table = [
            ("matrix", None),
            ("ms-teams2", None),
            ("", Some("cannot name a provider")),
            ("Matrix", Some("cannot name a provider")),
            ("ms_teams", Some("cannot name a provider")),
            ("-matrix", Some("cannot name a provider")),
            ("ms--teams", Some("cannot name a provider")),
            ("2fa", Some("cannot name a provider")),
            ("../matrix", Some("cannot name a provider")),
            ("mätrix", Some("cannot name a provider")),
            (&long, Some("cannot name a provider")),
            ("when", Some("a key of every notification")),
            ("email", Some("taken: crates/notify-core/src/email.rs")),
            (
                "pagerduty",
                Some("taken: crates/notify-core/src/pagerduty.rs"),
            ),
            ("message", Some("its type `Message` would hide another")),
            ("self", Some("its type `Self` would hide another")),
        ];
        for (name, expected) in table {
            let refused = Name::new(&root(), name).err();
            match expected {
                None => assert_eq!(refused, None, "{name}"),
                Some(why) => assert!(
                    refused.as_deref().is_some_and(|text| text.contains(why)),
                    "{name}: {refused:?}"
                ),
            }
        }
    }

    #[test]
    fn the_facade_gets_a_feature_a_dependency_and_a_link_in_their_places() {
        let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
        for kind in ["aaa", "matrix", "zulip"] {
            let name = Name { kind };
            let (before, links) = (read(FACADE), read(LINKS));
            let after = with_feature(&before, &name).unwrap();
            let added: Vec<&str> = after
                .lines()
                .filter(|line| !before.contains(&format!("{line}\n")))
                .collect();
            let feature = format!("{kind} = [\"dep:notify-{kind}\"]");
            let path = format!("../notify-{kind}");
            let dependency = format!("notify-{kind} = {{ path = \"{path}\", optional = true }}");
            assert_eq!(added, [feature.as_str(), dependency.as_str()]);
            assert_eq!(after.lines().count(), before.lines().count() + 2);

            let linked = with_link(&links, &name).unwrap();
            let pair = format!("#[cfg(feature = \"{kind}\")]\nuse notify_{kind} as _;\n");
            assert_eq!(linked.replace(&pair, ""), links);
            let uses: Vec<&str> = linked
                .lines()
                .filter(|line| line.ends_with(" as _;"))
                .collect();
            assert!(uses.is_sorted(), "{uses:?}");
        }
    }

    /// Copies a file, or a folder but for what builds leave behind.
    fn copy(from: &Path, to: &Path) {
        if from.is_file() {
            fs::copy(from, to).unwrap();
        } else if !from.ends_with("target") {
            fs::create_dir_all(to).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                copy(&entry.path(), &to.join(entry.file_name()));
            }
        }
    }

    /// Names the platform that everything is built for.
    fn host() -> String {
        let told = Command::new("rustc").arg("-vV").output().unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        let host = told.lines().find_map(|line| line.strip_prefix("host: "));
        host.unwrap().to_owned()
    }

    /// Reads every file below a folder.
    fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files(&path));
            } else {
                found.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
        found
    }

    #[test]
    fn a_crate_of_the_workspace_changes_two_files_and_the_lock_and_is_written_once() {
        let there = std::env::temp_dir().join(format!("new-provider-{}", std::process::id()));
        for part in ["Cargo.toml", "Cargo.lock", "crates", "xtask"] {
            fs::create_dir_all(&there).unwrap();
            copy(&root().join(part), &there.join(part));
        }
        let before = files(&there);
        inside(&there, "matrix").unwrap();
        let after = files(&there);
        let folder = there.join("crates/notify-matrix");
        let changed: Vec<&Path> = after
            .iter()
            .filter(|(path, text)| before.get(*path) != Some(text))
            .filter(|(path, _)| !path.starts_with(&folder))
            .map(|(path, _)| path.strip_prefix(&there).unwrap())
            .collect();
        assert_eq!(changed, ["Cargo.lock", FACADE, LINKS].map(Path::new));
        assert_eq!(files(&folder).len(), 5);

        // The manifests are sound and the lock file knows them. What other platforms need was never
        // downloaded.
        let platform = format!("--filter-platform={}", host());
        let metadata = MetadataCommand::new()
            .current_dir(&there)
            .other_options(["--offline".to_owned(), "--locked".to_owned(), platform])
            .exec()
            .unwrap();
        let packages = metadata.workspace_packages();
        let of = |name: &str| packages.iter().find(|one| one.name == name).unwrap();
        let features = &of("workflow-notify").features;
        assert_eq!(features["matrix"], ["dep:notify-matrix"]);
        assert!(!features["default"].contains(&"matrix".to_owned()));
        assert_eq!(of("notify-matrix").dependencies.len(), 7);

        let again = inside(&there, "matrix").unwrap_err();
        assert!(
            again.contains("`matrix` is taken: crates/notify-matrix"),
            "{again}"
        );
        let core = inside(&there, "core").unwrap_err();
        assert!(
            core.contains("is there already, and nothing was written"),
            "{core}"
        );
        assert_eq!(files(&there), after);
        fs::remove_dir_all(&there).unwrap();
    }

    #[test]
    fn every_mark_of_the_templates_is_filled() {
        let name = Name { kind: "ms-teams" };
        let home = Home::Outside(root());
        for template in [MANIFEST, README, LIBRARY, CONFORMANCE, WIRE, COMMAND, MAIN] {
            let filled = name.fill(&home.fill(template));
            let mark = filled.split('@').nth(1);
            assert_eq!(mark, None, "{filled}");
        }
        assert!(name.fill(LIBRARY).contains("pub struct MsTeamsAccount"));
        assert!(name.fill(README).contains("MS_TEAMS_TOKEN"));
    }
}

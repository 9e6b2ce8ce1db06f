//! Whether a change of the files is noticed, and what is in force after a load.

use std::fs;

use notify_config::{Diagnostic, EngineSettings, Installation, Outbox, Variables, load};
use notify_core::{Code, Weight};

use crate::providers::registry;
use crate::{Files, with};

const SETTINGS: &str = r##"
[outbox]
url = "sqlite:${DATA}/notify.db"

[accounts.ntfy.prod]
token = { file = "secrets/token" }
topics = ["#ops", "#${TEAM}"]

[accounts.email.default]
enabled = false
smtp = "smtps://smtp.example.com"
password = { command = ["printf", "s3cret"], timeout = "5s" }

[engine]
collapse_after = 0
max_age = "48h"

[templates]
failed = { file = "failed.md" }

[[rules]]
match = { project = "prod", workflow = "billing-*" }
phases = ["failed", "aborted"]
ntfy = { to = "#ops", template = { use = "failed" } }
"##;

const NOTIFICATIONS: &str = r##"  - phases: failed
    when: changed
    ntfy: ["#${TEAM}"]
  - phases: aborted
    ntfy: {to: "#ops", priority: 3, template: {use: failed}}
"##;

/// An installation with one of everything.
fn installed(files: &Files) -> Installation {
    for folder in ["workflows", "..1", "..2"] {
        fs::create_dir(files.0.path().join(folder)).unwrap();
    }
    files.write("..1/token", "one");
    files.write("..2/token", "two");
    link(files, "..1", "secrets");
    files.write("failed.md", "{{ workflow }} failed");
    files.write("notify.toml", SETTINGS);
    files.write("workflows/a.yaml", with(NOTIFICATIONS));
    let pattern = files.0.path().join("workflows/**/*.yaml");
    Installation::new([pattern], files.0.path().join("notify.toml"))
        .variables(Variables::of([("TEAM", "data"), ("DATA", "var")]))
}

/// Lets a name stand for another folder from one moment to the next, as Kubernetes does.
fn link(files: &Files, to: &str, name: &str) {
    let at = |name: &str| files.0.path().join(name);
    std::os::unix::fs::symlink(to, at("next")).unwrap();
    fs::rename(at("next"), at(name)).unwrap();
}

#[test]
fn everything_is_loaded_and_fits() {
    let files = Files::new();
    let loaded = installed(&files).read(&registry()).loaded.unwrap();
    let database = files.0.path().join("var/notify.db");
    assert_eq!(loaded.settings.outbox(), Outbox::Sqlite(database));
    assert_eq!(loaded.settings.engine().collapse_after, Some(0));
    let workflow = loaded.config.workflows().next().unwrap();
    let [first, second] = workflow.notifications() else {
        panic!("{workflow:?}");
    };
    assert_eq!(first.recipients()[0].as_str(), "#data");
    let source = Some("{{ workflow }} failed");
    assert_eq!(second.template(), source);
    let [rule] = loaded.config.rules() else {
        panic!("{:?}", loaded.config.rules());
    };
    assert_eq!(rule.notifications()[0].template(), source);
    assert_eq!(loaded.config.resolve_secrets().missing().count(), 0);
}

#[test]
fn any_change_of_content_is_noticed_and_nothing_else_is() {
    type Change = (&'static str, fn(&Files), bool);
    let table: [Change; 12] = [
        ("nothing", |_| {}, false),
        (
            "the same text",
            |files| drop(files.write("notify.toml", SETTINGS)),
            false,
        ),
        (
            "settings",
            |files| drop(files.write("notify.toml", "[outbox]")),
            true,
        ),
        (
            "a definition",
            |files| drop(files.write("workflows/a.yaml", "x")),
            true,
        ),
        (
            "a new definition",
            |files| drop(files.write("workflows/b.yaml", "x")),
            true,
        ),
        (
            "another file",
            |files| drop(files.write("workflows/b.txt", "x")),
            false,
        ),
        (
            "a definition less",
            |files| fs::remove_file(files.0.path().join("workflows/a.yaml")).unwrap(),
            true,
        ),
        (
            "a template",
            |files| drop(files.write("failed.md", "x")),
            true,
        ),
        (
            "a secret",
            |files| drop(files.write("secrets/token", "x")),
            true,
        ),
        (
            "one of the same length",
            |files| drop(files.write("secrets/token", "eno")),
            true,
        ),
        (
            "a link to another secret",
            |files| link(files, "..2", "secrets"),
            true,
        ),
        (
            "a link to the same secret",
            |files| {
                files.write("..2/token", "one");
                link(files, "..2", "secrets");
            },
            false,
        ),
    ];
    for (what, change, noticed) in table {
        let files = Files::new();
        let installation = installed(&files);
        let before = installation.read(&registry());
        change(&files);
        assert_eq!(before.watch.changed(), noticed, "{what}");
        let after = installation.read(&registry());
        let same = before.watch.fingerprint() == after.watch.fingerprint();
        assert_eq!(same, !noticed, "{what}");
        assert!(!after.watch.changed(), "{what}");
    }
}

#[test]
fn a_broken_load_waits_for_a_change_too() {
    let files = Files::new();
    let installation = installed(&files);
    files.write("failed.md", "a\n{{ worflow }} failed");
    let reading = installation.read(&registry());
    let found = reading.loaded.unwrap_err().to_string();
    let folder = format!("{}/", files.0.path().display());
    assert_eq!(
        found.replace(&folder, ""),
        "failed.md:2:4: unknown field `worflow`"
    );
    assert!(!reading.watch.changed());
    files.write("failed.md", "{{ workflow }} failed");
    assert!(reading.watch.changed());
    installation.read(&registry()).loaded.unwrap();
}

#[test]
fn sound_files_are_checked_against_each_other_beside_broken_ones() {
    let files = Files::new();
    let installation = installed(&files);
    files.write(
        "workflows/b.yaml",
        "workflow: b\nnotifications: [{phases: faild, ntfy: \"#ops\"}]\n",
    );
    let text = "workflow: c\nnotifications: [{phases: failed, ntfy: \"#opps\"}]\n";
    files.write("workflows/c.yaml", text);
    let found = installation.read(&registry()).loaded.unwrap_err();
    let codes: Vec<Code> = found.iter().map(Diagnostic::code).collect();
    assert_eq!(codes, [Code::UNKNOWN_PHASE, Code::UNREACHABLE_RECIPIENT]);
}

#[test]
fn a_secret_that_others_can_read_is_warned_of_at_its_place() {
    use std::os::unix::fs::PermissionsExt;

    let files = Files::new();
    let installation = installed(&files);
    let secret = files.0.path().join("..1/token");
    let set = |mode| fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
    set(0o600);
    let loaded = installation.read(&registry()).loaded.unwrap();
    assert_eq!(loaded.warnings().len(), 0);
    for mode in [0o640, 0o604] {
        set(mode);
        let warnings = loaded.warnings();
        let places: Vec<_> = warnings.iter().map(Diagnostic::position).collect();
        assert_eq!(places, [Some((6, 18))]);
        assert_eq!(warnings[0].weight(), Weight::Warning);
        assert_eq!(warnings[0].code(), Code::LOOSE_SECRET);
    }
}

#[test]
fn what_is_in_force_says_where_it_came_from() {
    let files = Files::new();
    let loaded = installed(&files).read(&registry()).loaded.unwrap();
    let engine = EngineSettings {
        in_flight: Some(64),
        ..EngineSettings::default()
    };
    let list = loaded.effective(&engine);
    let lines: Vec<String> = list.iter().map(ToString::to_string).collect();
    let folder = format!("{}/", files.0.path().display());
    insta::assert_snapshot!(lines.join("\n").replace(&folder, ""));
    let json = serde_json::to_value(&list).unwrap();
    assert_eq!(json[0]["origin"]["variables"][0], "DATA");
}

#[test]
fn what_is_wrong_in_one_section_hides_nothing_of_the_others() {
    let files = Files::new();
    let definition = files.write(
        "a.yaml",
        "workflow: a\nnotifications:\n  - {phases: faild, ntfy: {to: \"#ops\", account: prd}}\n  \
         - {phases: failed, ntfy: {to: [\"#opps\", \"o o\"], account: prod}}\n  \
         - {phases: failed, ntfy: {to: \"#any\", account: broken, template: {use: no}}}\n---\n\
         notifications: [{phases: failed, email: me@example.com}]\n",
    );
    let settings = files.write(
        "notify.toml",
        "[engine]\nin_flight = \"x\"\n[accounts.ntfy.prod]\ntoken = { env = \"A\" }\ntopics = \
         [\"#ops\"]\n[accounts.ntfy.broken]\nretries = 3\n[[rules]]\nphases = \"faild\"\nntfy = { \
         to = \"#opps\", account = \"prod\" }\n",
    );
    let found = load(&registry(), &[definition], &settings).unwrap_err();
    let folder = format!("{}/", files.0.path().display());
    let found: Vec<String> = found
        .iter()
        .map(|one| {
            let (line, _) = one.position().unwrap();
            let file = one.file().replace(&folder, "");
            format!("{file}:{line}: {one}")
        })
        .collect();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn the_templates_of_another_file_are_taken_and_nothing_else_of_it() {
    let files = Files::new();
    let definition = files.write(
        "a.yaml",
        with("  - {phases: failed, ntfy: {to: \"#ops\", template: {use: short}}}\n"),
    );
    let settings = files.write(
        "sandbox.toml",
        "[accounts.ntfy.default]\ntoken = { env = \"A\" }\n",
    );
    let installation = Installation::new([definition], settings);
    let other = files.write("notify.toml", "nonsense = 1\n[templates]\nshort = \"oh\"\n");
    let read = |installation: &Installation| installation.read(&registry()).loaded;
    assert!(read(&installation).is_err());
    let installation = installation.templates_of(other);
    read(&installation).unwrap();
    files.write("notify.toml", "[templates]\nshort = \"{{ oh }}\"\n");
    let found = read(&installation).unwrap_err();
    let codes: Vec<Code> = found.iter().map(Diagnostic::code).collect();
    assert_eq!(codes, [Code::TEMPLATE], "{found}");
}

//! What the reader of a wrong file is shown: message, place and help.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bad_input;
mod json;
mod providers;
mod recipients;
mod schemas;
mod secrets;
mod toml;
mod watch;
mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme};
use notify_config::{
    Definitions, Diagnostic, Diagnostics, Document, ProcessSecrets, Settings, Source, Variables,
    config, definitions, load,
};
use notify_core::{Code, Place};

use crate::providers::registry;

const ACCOUNTS: &str = "
[accounts.email.default]
smtp = \"smtps://smtp.example.com\"

[accounts.ntfy.prod]
token = { env = \"NTFY_TOKEN\" }
topics = [\"#data-alerts\", \"#ops\"]
";

/// Draws what was found as a terminal of 80 columns would show it, without colour.
fn draw(found: &Diagnostics) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    let handler = handler.with_width(80).without_syntax_highlighting();
    let mut drawn = String::new();
    for diagnostic in found {
        handler.render_report(&mut drawn, diagnostic).unwrap();
        drawn.push('\n');
    }
    drawn
}

/// Two accounts of one kind, none the default, and none of the other.
const SEVERAL: &str = "
[accounts.ntfy.prod]
token = { env = \"A\" }
topics = [\"#data-alerts\", \"#ops\"]

[accounts.ntfy.dev]
token = { env = \"B\" }

[templates]
failed = \"{{ workflow }} failed\"
";

/// The variables that the texts may name.
fn variables() -> Variables {
    Variables::of([
        ("NOBODY", "hunter2"),
        ("HUNTER", "hunter2"),
        ("TEAM", "data"),
    ])
}

/// Loads definitions.
fn definition(text: &str) -> Result<Definitions, Diagnostics> {
    definition_in("nightly-etl.yaml", text)
}

/// Loads definitions from a file of this name.
fn definition_in(name: &str, text: &str) -> Result<Definitions, Diagnostics> {
    Definitions::parse_with(&registry(), [Source::new(name, text)], &variables())
}

/// Loads a `notify.toml`.
fn settings(text: &str) -> Result<Settings, Diagnostics> {
    Settings::parse_with(&registry(), "notify.toml", text, &variables())
}

/// Checks definitions against a `notify.toml`.
fn against(text: &str, accounts: &str) -> Result<notify_core::Config, Diagnostics> {
    let settings = settings(accounts).unwrap();
    let definition = definition(text).unwrap();
    config(&definition, &settings, settings.secrets())
}

fn with(notification: &str) -> String {
    format!("workflow: nightly-etl\nnotifications:\n{notification}")
}

/// Makes a test of each line: its name, the characters that are labelled, the text.
///
/// What the reader is told is a snapshot of the test's name.
#[macro_export]
macro_rules! refused {
    ($table:ident, $read:expr => $($name:ident $labels:literal $text:expr;)+) => {
        mod $table {
            use super::*;

            $(
                #[test]
                fn $name() {
                    let name = concat!(stringify!($table), "__", stringify!($name));
                    let text: String = $text.into();
                    let found = $read(&text).map(drop);
                    $crate::check_refused(name, $labels, &text, found);
                }
            )+
        }
    };
}

/// Asserts what is labelled and what is told; nothing that is told holds a secret.
#[track_caller]
fn check_refused(name: &str, labels: &str, text: &str, result: Result<(), Diagnostics>) {
    let found = result.unwrap_err();
    let drawn = draw(&found);
    assert!(!drawn.contains("hunter2"), "{drawn}");
    assert!(!format!("{found} {found:?}").contains("hunter2"));
    let labelled: Vec<String> = found.iter().filter_map(shown_at).collect();
    assert_eq!(labelled.join(";"), labels, "{text}\n{drawn}");
    insta::with_settings!({
        description => text,
        omit_expression => true,
        prepend_module_to_snapshot => false,
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/diagnostics/snapshots"),
    }, {
        insta::assert_snapshot!(name, drawn);
    });
}

/// Returns the labelled characters as they are shown.
fn shown_at(found: &Diagnostic) -> Option<String> {
    use miette::Diagnostic as _;

    let span = found.span()?;
    let source = found.source_code()?;
    let shown = source.read_span(&span.into(), 0, 0).ok()?;
    Some(String::from_utf8(shown.data().to_vec()).unwrap())
}

/// Checks rules against the accounts beside them.
fn with_rules(text: &str) -> Result<notify_core::Config, Diagnostics> {
    let settings = settings(text)?;
    let none = Definitions::parse(&registry(), []).unwrap();
    config(&none, &settings, settings.secrets())
}

#[test]
fn a_sound_installation_loads() {
    let text = with("  - phases: failed\n    ntfy: {to: \"#ops\", priority: 3}\n");
    let settings = settings(ACCOUNTS).unwrap();
    let definitions = definition(&text).unwrap();
    let config = config(&definitions, &settings, settings.secrets()).unwrap();
    assert_eq!(config.workflows().count(), 1);
    assert_eq!(settings.outbox_path(), Path::new("notify.db"));
}

#[test]
fn the_outbox_is_beside_the_settings() {
    let outbox = |name, text| {
        Settings::parse(&registry(), name, text)
            .unwrap()
            .outbox_path()
    };
    let text = "[outbox]\nurl = \"sqlite:var/ledger.db\"\n";
    assert_eq!(
        outbox("/etc/notify.toml", text),
        Path::new("/etc/var/ledger.db")
    );
    assert_eq!(outbox("a/notify.toml", ""), Path::new("a/notify.db"));
    let text = "[outbox]\nurl = \"sqlite:/var/ledger.db\"\n";
    assert_eq!(outbox("a/notify.toml", text), Path::new("/var/ledger.db"));
}

#[test]
fn a_broken_line_does_not_show_its_secret() {
    for line in [
        "token = \"hunter2",
        "token = hunter2",
        "token = 'hunter2",
        "token: hunter2",
        "token hunter2",
        "token = \"hunter2\" \"hunter2\"",
        "token = { \"hunter2\"",
        "token = \"\"\"\nhunter2",
        "token = \"\\q hunter2\"",
    ] {
        let text = format!("[accounts.ntfy.prod]\n{line}\n");
        let found = draw(&settings(&text).unwrap_err());
        assert!(found.contains("NOTIFY-0003"), "{found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn a_secret_in_the_settings_is_refused_and_not_shown() {
    let found = settings("[accounts.ntfy.prod]\ntoken = \"hunter2\"\n").unwrap_err();
    assert!(!format!("{found} {found:?} {}", draw(&found)).contains("hunter2"));
    insta::assert_snapshot!(draw(&found));
}

#[test]
fn a_secret_beside_another_problem_is_not_shown_either() {
    let text = "[accounts.ntfy.prod]\ntoken = \"hunter2\"\nretries = \"many\"\n";
    let found = settings(text).unwrap_err();
    assert!(!draw(&found).contains("hunter2"));
    insta::assert_snapshot!(draw(&found));
}

#[test]
fn a_secret_in_a_section_that_nobody_loads_is_not_shown() {
    for text in [
        "[accounts.ntfi.prod]\ntoken = \"hunter2\"\n",
        "[account.ntfy.prod]\ntoken = \"hunter2\"\n",
        "[accounts.ntfy.prod]\ntokn = \"hunter2\"\n",
        "[accounts.ntfy.prod]\n# token = \"hunter2\"\nretries = 300\n",
        "[accounts.ntfy.\"a.b\"]\ntoken = \"hunter2\"\n",
        "[accounts.ntfy]\nprod = [\"hunter2\"]\n",
        "[accounts.ntfy]\ntoken = \"hunter2\"\n",
        "[accounts]\nntfy = \"hunter2\"\n",
        "accounts = \"hunter2\"\n",
        "outbox = \"hunter2\"\n",
        "[accounts.ntfy.prod]\ntoken = { env = \"T\" }\ntopics = \"hunter2\"\n",
        "[outbox]\nurl = \"postgres://notify:hunter2@db/notify\"\n",
        "[accounts.ntfy.prod]\ntoken = { value = \"hunter2\" }\n",
        "[accounts.ntfy.prod.token]\nvalue = \"hunter2\"\n",
    ] {
        let found = draw(&settings(text).unwrap_err());
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn a_configuration_that_is_taken_for_a_definition_shows_no_secret() {
    for text in [
        "token = \"hunter2\"\n",
        "[accounts.ntfy.prod]\ntoken = \"hunter2\"\n",
    ] {
        let source = Source::new("notify.toml", text);
        let found = draw(&Definitions::parse(&registry(), [source]).unwrap_err());
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn another_outbox_than_sqlite_is_refused() {
    for url in [
        "",
        "notify.db",
        "sqlite:",
        "sqlite://notify.db",
        "sqlite::memory:",
        "sqlite:file:x",
    ] {
        let found = settings(&format!("[outbox]\nurl = \"{url}\"\n")).unwrap_err();
        assert!(
            found.iter().all(|found| found.code() == Code::WRONG_VALUE),
            "{url}: {found}"
        );
    }
}

#[test]
fn a_recipient_that_cannot_be_reached_is_refused_at_its_place() {
    let text = with(
        "  - phases: failed\n    ntfy: [\"#ops\", \"#dta-alerts\"]\n  - phases: aborted\n    ntfy: {to: \"#opps\"}\n",
    );
    insta::assert_snapshot!(draw(&against(&text, ACCOUNTS).unwrap_err()));
}

#[test]
fn a_workflow_that_is_declared_twice_is_refused_with_the_other_file() {
    let text = with("  - {phases: failed, email: me@example.com}\n");
    let sources = ["a.yaml", "b.yaml"].map(|name| Source::new(name, &text));
    let definitions = Definitions::parse(&registry(), sources).unwrap();
    let settings = settings(ACCOUNTS).unwrap();
    let found = config(&definitions, &settings, settings.secrets()).unwrap_err();
    insta::assert_snapshot!(draw(&found));
}

/// A folder of files that are there as long as it is.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Draws what was found with the folder's name taken out.
    fn draw(&self, found: &Diagnostics) -> String {
        let folder = self.0.path().display().to_string();
        draw(found).replace(&format!("{folder}/"), "")
    }
}

#[test]
fn all_files_are_told_all_their_problems_in_one_run() {
    let files = Files::new();
    let paths = [
        files.write(
            "b.yaml",
            with("  - phases: running\n    emial: me@example.com\n"),
        ),
        files.write(
            "a.yaml",
            "notifications:\n  - phases: failed\n    email: [x, y@example.com]\nowner: z\n",
        ),
        files.write("empty.yaml", ""),
        files.write(
            "good.yaml",
            with("  - {phases: failed, email: me@example.com}\n"),
        ),
    ];
    let toml = files.write("notify.toml", "[outbox]\nurl = 3\n");
    let found = load(&registry(), &paths, &toml).unwrap_err();
    let folder = format!("{}/", files.0.path().display());
    insta::assert_snapshot!(found.to_string().replace(&folder, "").replace("; ", "\n"));
}

#[test]
fn what_does_not_fit_is_told_once_the_files_are_sound() {
    let files = Files::new();
    let paths = [files.write("a.yaml", with("  - {phases: failed, ntfy: \"#ops\"}\n"))];
    let toml = files.write("notify.toml", "");
    let found = load(&registry(), &paths, &toml).unwrap_err();
    assert!(
        found
            .iter()
            .all(|found| found.code() == Code::UNKNOWN_ACCOUNT),
        "{found}"
    );
    let toml = files.write("notify.toml", ACCOUNTS);
    let (config, settings) = load(&registry(), &paths, &toml).unwrap();
    assert_eq!(config.workflows().count(), 1);
    assert_eq!(settings.outbox_path(), files.0.path().join("notify.db"));
}

#[test]
fn secrets_are_read_beside_the_settings() {
    let files = Files::new();
    files.write("token", "s3cret\n");
    let paths = [files.write("a.yaml", with("  - {phases: failed, ntfy: \"#ops\"}\n"))];
    let toml = files.write(
        "notify.toml",
        "[accounts.ntfy.prod]\ntoken = { file = \"token\" }\n",
    );
    let (config, _) = load(&registry(), &paths, &toml).unwrap();
    let secrets = config.resolve_secrets();
    assert_eq!(
        (secrets.mask("a s3cret").as_ref(), secrets.missing().count()),
        ("a [secret]", 0)
    );
    let elsewhere = ProcessSecrets::new("/nonexistent");
    let settings = Settings::read(&registry(), &toml).unwrap();
    let definitions = definitions(&registry(), &paths).unwrap();
    let moved = config_with(&definitions, &settings, elsewhere);
    assert_eq!(moved.resolve_secrets().missing().count(), 1);
}

fn config_with(
    definitions: &Definitions,
    settings: &Settings,
    secrets: ProcessSecrets,
) -> notify_core::Config {
    config(definitions, settings, Arc::new(secrets)).unwrap()
}

#[test]
fn every_label_covers_exactly_what_it_is_about() {
    let one = |notification: &str| with(&format!("  - phases: failed\n    {notification}\n"));
    let yaml = [
        (
            with("  - phases: [failed, runing]\n    email: a@b.c\n"),
            "runing",
        ),
        (with("  - phases: 'runing'\n    email: a@b.c\n"), "'runing'"),
        (with("  - phases: []\n    email: a@b.c\n"), "[]"),
        (
            with("  - phases: [ # none\n    ]\n    email: a@b.c\n"),
            "[ # none",
        ),
        (
            with("  - email: a@b.c\n    when: changed\n"),
            "email: a@b.c",
        ),
        (with("  - {email: a@b.c}\n"), "{email: a@b.c}"),
        (one("email: \"a\""), "\"a\""),
        (one("email:\n      - a@b.c\n      - é"), "é"),
        (one("email: {to: [a@b.c, é]}"), "é"),
        (one("email:"), "email"),
        (one("email: # x"), "# x"),
        (one("email: {to: }"), "to"),
        (one("email: {to: [ ]}"), "[ ]"),
        (one("email: {to: null}"), "null"),
        (one("email:\n      - # x"), "# x"),
        (one("emial: a@b.c"), "emial"),
        (one("email: a@b.c\n    when: chnged"), "chnged"),
        (one("email: {to: a@b.c, account: a.b}"), "a.b"),
        (one("ntfy: {to: x, priority: high}"), "high"),
        (one("ntfy: {to: x, \"priorty\": 1}"), "\"priorty\""),
        (
            "x: &x [é]\nworkflow: w\nnotifications: [{phases: failed, email: *x}]\n".to_owned(),
            "x;é",
        ),
        ("workflow: w\n".to_owned(), "workflow: w"),
        ("a: 1\r\na: 2\r\n".to_owned(), "a;a: 1;a: 1;a"),
        ("é: [\r\n  é: ]\r\nb: }\r\n".to_owned(), "}"),
    ];
    let registry = registry();
    for (text, expected) in yaml {
        let source = Source::new("a.yaml", &text);
        let found = Definitions::parse(&registry, [source.clone()]).unwrap_err();
        assert_eq!(
            labelled(&found, &source),
            expected,
            "{text}\n{}",
            draw(&found)
        );
    }
    let toml = [
        ("x = 1", "x"),
        ("[outbox]\nurl = 1", "1"),
        ("[outbox]\nurl = 'a'", "'a'"),
        ("outbox = 1", "1"),
        ("[accounts.ntfy.a]\n", "[accounts.ntfy.a]"),
        ("[accounts.ntfy]\na = 1", "1"),
        ("[accounts.ntfy]\na.retries = 1", "a"),
        (
            "[accounts.ntfy.a]\ntoken = {env = 'A'}\ntopics = ['é', 3]",
            "3",
        ),
        (
            "[accounts.ntfy.a]\ntoken = {env = 'A'}\nretries = 300",
            "300",
        ),
        (
            "[accounts.ntfy.a]\ntoken = {env = 'A'}\ndefault = 'x'",
            "'x'",
        ),
        ("[accounts.ntfy.a]\ntoken = ['x']", "['x']"),
        ("[accounts.ntfy.a]\ntoken = 'é'", "'é'"),
        ("a = 1\r\n\ta = 2\r\n", "a;a"),
    ];
    for (text, expected) in toml {
        let source = Source::new("notify.toml", text);
        let found = Settings::parse(&registry, "notify.toml", text).unwrap_err();
        assert_eq!(
            labelled(&found, &source),
            expected,
            "{text}\n{}",
            draw(&found)
        );
    }
}

/// Returns the labelled texts, which the tables separate by `;`.
fn labelled(found: &Diagnostics, source: &Source) -> String {
    let texts: Vec<&str> = found
        .iter()
        .map(|found| &source.text()[found.span().unwrap()])
        .collect();
    texts.join(";")
}

#[test]
fn a_place_is_found_as_deep_as_the_document_goes() {
    let source = Source::new("a.yaml", "slack: [a, b]\nemail: c\nntfy: {to: [d]}\n");
    let document = Document::yaml(&source).unwrap();
    let path =
        |kind: &str, index: usize| notify_core::Path::root().then(kind).then("to").then(index);
    let table = [
        (path("slack", 1), Place::Value, "b"),
        (path("slack", 7), Place::Value, "[a, b]"),
        (path("email", 0), Place::Value, "c"),
        (path("ntfy", 0), Place::Value, "d"),
        (path("ntfy", 0), Place::Key, "d"),
        (notify_core::Path::root().then("ntfy"), Place::Key, "ntfy"),
    ];
    for (path, place, expected) in table {
        assert_eq!(
            &source.text()[document.span(&path, place)],
            expected,
            "{path}"
        );
    }
}

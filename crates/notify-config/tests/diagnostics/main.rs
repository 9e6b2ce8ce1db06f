//! What the reader of a wrong file is shown: message, place and help.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod providers;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme};
use notify_config::{
    Definitions, Diagnostics, Document, ProcessSecrets, Settings, Source, config, definitions, load,
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

/// Loads one definition.
fn definition(text: &str) -> Result<Definitions, Diagnostics> {
    Definitions::parse(&registry(), [Source::new("nightly-etl.yaml", text)])
}

/// Loads a `notify.toml`.
fn settings(text: &str) -> Result<Settings, Diagnostics> {
    Settings::parse(&registry(), "notify.toml", text)
}

/// Checks a definition against a `notify.toml`.
fn against(text: &str, accounts: &str) -> Diagnostics {
    let settings = settings(accounts).unwrap();
    let definition = definition(text).unwrap();
    config(&definition, &settings, settings.secrets()).unwrap_err()
}

fn with(notification: &str) -> String {
    format!("workflow: nightly-etl\nnotifications:\n{notification}")
}

/// Asserts the snapshot of what a definition is told.
macro_rules! refused {
    ($text:expr) => {
        insta::assert_snapshot!(draw(&definition(&$text).unwrap_err()))
    };
}

/// Asserts the snapshot of what a `notify.toml` is told.
macro_rules! settings_refused {
    ($text:expr) => {
        insta::assert_snapshot!(draw(&settings($text).unwrap_err()))
    };
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
fn a_phase_that_is_no_end_is_refused() {
    refused!(with(
        "  - phases: [running, failed]\n    email: me@example.com\n"
    ));
}

#[test]
fn an_unknown_phase_is_refused() {
    refused!(with("  - phases: faild\n    email: me@example.com\n"));
}

#[test]
fn an_empty_list_of_phases_is_refused() {
    refused!(with("  - phases: []\n    email: me@example.com\n"));
}

#[test]
fn a_notification_without_phases_is_refused() {
    refused!(with("  - email: me@example.com\n    when: changed\n"));
}

#[test]
fn an_empty_list_of_recipients_is_refused() {
    refused!(with("  - phases: failed\n    email: []\n"));
}

#[test]
fn a_malformed_recipient_is_refused_at_its_place_in_the_list() {
    refused!(with(
        "  - phases: failed\n    email: [me@example.com, jane@localhost]\n"
    ));
}

#[test]
fn a_channel_that_became_a_comment_is_shown() {
    refused!(with("  - phases: failed\n    ntfy: #data-alerts\n"));
}

#[test]
fn a_channel_that_became_a_comment_in_a_list_is_shown() {
    refused!(with(
        "  - phases: failed\n    ntfy:\n      - #data-alerts\n      - \"#ops\"\n"
    ));
}

#[test]
fn a_channel_without_quotes_in_brackets_is_refused() {
    refused!(with("  - phases: failed\n    ntfy: [#data-alerts]\n"));
}

#[test]
fn an_unknown_kind_is_refused() {
    refused!(with("  - phases: failed\n    emial: me@example.com\n"));
}

#[test]
fn an_unknown_key_in_a_notification_is_refused() {
    refused!(with(
        "  - phases: failed\n    email: me@example.com\n    wehn: changed\n"
    ));
}

#[test]
fn an_unknown_key_at_the_top_is_refused() {
    refused!(with(
        "  - {phases: failed, email: me@example.com}\nowner: jane\n"
    ));
}

#[test]
fn an_unknown_option_is_refused() {
    refused!(with(
        "  - phases: failed\n    ntfy:\n      to: [\"#ops\"]\n      prioritty: 3\n"
    ));
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    refused!(with(
        "  - phases: failed\n    email: me@example.com\n    phases: aborted\n"
    ));
}

#[test]
fn on_is_not_the_key_for_phases() {
    refused!(with("  - on: failed\n    email: me@example.com\n"));
}

#[test]
fn a_notification_of_two_kinds_is_refused() {
    refused!(with(
        "  - phases: failed\n    email: me@example.com\n    ntfy: \"#ops\"\n"
    ));
}

#[test]
fn a_notification_of_no_kind_is_refused() {
    refused!(with("  - phases: failed\n    when: changed\n"));
}

#[test]
fn a_tab_that_indents_is_refused() {
    refused!("workflow: nightly-etl\nnotifications:\n\t- phases: failed\n");
}

#[test]
fn a_bracket_that_is_not_closed_is_refused() {
    refused!(with(
        "  - phases: [failed, timed_out\n    email: me@example.com\n"
    ));
}

#[test]
fn a_quote_that_is_not_closed_is_refused() {
    refused!(with("  - phases: failed\n    ntfy: \"#data-alerts\n"));
}

#[test]
fn a_second_document_is_refused() {
    refused!(with(
        "  - {phases: failed, email: me@example.com}\n---\nworkflow: other\n"
    ));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..8 {
        let before = format!("*a{}", level - 1);
        let list = vec![before; 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{list}]").unwrap();
    }
    let found = definition(&bomb).unwrap_err();
    assert!(
        found.iter().all(|found| found.code() == Code::TOO_LARGE),
        "{found}"
    );
}

#[test]
fn deep_nesting_is_refused() {
    for text in [
        format!("a: {}{}\n", "[".repeat(100_000), "]".repeat(100_000)),
        "- ".repeat(100_000),
        "{a: ".repeat(100_000),
    ] {
        let found = definition(&text).unwrap_err();
        assert!(
            found.iter().all(|found| found.code() == Code::TOO_LARGE),
            "{found}"
        );
    }
}

#[test]
fn deep_nesting_in_toml_is_refused() {
    for text in [
        format!("a = {}{}\n", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{}a = 1\n", "a.".repeat(400_000)),
        format!("[{}a]\n", "a.".repeat(400_000)),
        format!("a = {}\n", "{ a = ".repeat(100_000)),
    ] {
        settings(&text).unwrap_err();
    }
}

#[test]
fn a_configuration_is_not_a_definition() {
    refused!(ACCOUNTS);
}

#[test]
fn a_text_is_not_a_definition() {
    refused!("nightly-etl\n");
}

#[test]
fn a_wrong_type_is_refused() {
    refused!("workflow: [nightly-etl]\nnotifications:\n  phases: failed\n");
}

#[test]
fn a_definition_in_json_is_told_the_same() {
    refused!(
        "{\n\t\"workflow\": \"nightly-etl\",\n\t\"notifications\": [\n\t\t{\"phases\": [\"running\"], \"email\": [\"me@example.com\"]}\n\t]\n}\n"
    );
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
    let text = with("  - phases: [running]\n    email: me@example.com\n");
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let (unix, windows) = (
        definition(&text).unwrap_err(),
        definition(&windows).unwrap_err(),
    );
    assert_eq!(draw(&unix), draw(&windows).replace('\r', ""));
    assert_eq!(unix.to_string(), windows.to_string());
    for text in [
        ACCOUNTS.to_owned(),
        format!("\u{feff}{}", ACCOUNTS.replace('\n', "\r\n")),
    ] {
        settings(&text).unwrap();
    }
}

#[test]
fn nothing_but_comments_is_an_empty_definition() {
    refused!("# to be written\n");
}

#[test]
fn a_secret_address_in_a_definition_is_not_shown() {
    let text = with("  - phases: failed\n    ntfy: [\"https://push.example.com/hunter2\"]\n");
    let found = draw(&definition(&text).unwrap_err());
    assert!(!found.contains("hunter2"), "{found}");
    insta::assert_snapshot!(found);
}

#[test]
fn toml_that_is_none_is_refused() {
    settings_refused!("[accounts.email.default\nsmtp = \"smtp://mail\"\n");
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
    settings_refused!("[accounts.ntfy.prod]\ntoken = hunter2\n");
}

#[test]
fn a_key_that_stands_twice_in_toml_is_refused() {
    settings_refused!("[accounts.email.default]\nsmtp = \"smtp://a\"\nsmtp = \"smtp://b\"\n");
}

#[test]
fn unknown_keys_in_toml_are_refused() {
    settings_refused!(
        "acounts = 1\n[outbox]\npath = \"x\"\n[email.default]\nsmtp = \"x\"\n[accounts.ntfy.prod]\ntoken = { env = \"T\" }\nretrys = 3\n"
    );
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
fn an_unknown_kind_of_account_is_refused() {
    settings_refused!("[accounts.ntfi.prod]\ntoken = { env = \"NTFY_TOKEN\" }\n");
}

#[test]
fn two_default_accounts_are_refused() {
    settings_refused!(
        "[accounts.ntfy.a]\ndefault = true\ntoken = { env = \"A\" }\n\n[accounts.ntfy.b]\ndefault = true\ntoken = { env = \"B\" }\n"
    );
}

#[test]
fn an_account_has_no_dot_in_its_name() {
    settings_refused!("[accounts.ntfy.\"prod.eu\"]\ntoken = { env = \"A\" }\n");
}

#[test]
fn an_account_that_lacks_a_key_is_refused_at_its_header() {
    settings_refused!("[accounts.ntfy.prod]\nretries = 3\n");
}

#[test]
fn another_outbox_than_sqlite_is_refused() {
    settings_refused!("[outbox]\nurl = \"postgres://notify@db/notify\"\n");
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
fn an_unknown_account_is_refused() {
    let text = with("  - phases: failed\n    ntfy:\n      to: \"#ops\"\n      account: prd\n");
    insta::assert_snapshot!(draw(&against(&text, ACCOUNTS)));
}

#[test]
fn a_kind_without_an_account_is_refused() {
    let text = with("  - phases: failed\n    ntfy: [\"#ops\"]\n");
    insta::assert_snapshot!(draw(&against(&text, "")));
}

#[test]
fn a_recipient_that_cannot_be_reached_is_refused_at_its_place() {
    let text = with(
        "  - phases: failed\n    ntfy: [\"#ops\", \"#dta-alerts\"]\n  - phases: aborted\n    ntfy: {to: \"#opps\"}\n",
    );
    insta::assert_snapshot!(draw(&against(&text, ACCOUNTS)));
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
fn what_is_no_file_is_refused() {
    let files = Files::new();
    let paths = [
        files.0.path().join("missing.yaml"),
        files.0.path().join("folder.yaml"),
    ];
    std::fs::create_dir(&paths[1]).unwrap();
    insta::assert_snapshot!(files.draw(&definitions(&registry(), &paths).unwrap_err()));
}

#[test]
fn a_device_is_refused_without_being_opened() {
    let found = definitions(&registry(), &["/dev/zero".into()]).unwrap_err();
    assert!(
        found.iter().all(|found| found.code() == Code::UNREADABLE),
        "{found}"
    );
}

#[test]
fn a_huge_file_is_refused_without_being_read() {
    let files = Files::new();
    let path = files.write("huge.yaml", "");
    // A sparse file of a size that no memory holds: reading it would show.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(1 << 42).unwrap();
    insta::assert_snapshot!(files.draw(&definitions(&registry(), &[path]).unwrap_err()));
}

#[test]
fn a_binary_file_is_refused_and_not_shown() {
    let files = Files::new();
    let path = files.write("a.out", b"\x7fELF\x02\x01\x01\0\0\xff\xfe\n");
    insta::assert_snapshot!(files.draw(&definitions(&registry(), &[path]).unwrap_err()));
    let path = files.write("a.out", b"\0\0\0\0");
    let found = definitions(&registry(), &[path]).unwrap_err();
    assert!(
        found.iter().all(|found| found.code() == Code::SYNTAX),
        "{found}"
    );
}

#[test]
fn a_text_in_another_encoding_is_refused_at_its_byte() {
    let files = Files::new();
    let path = files.write("a.yaml", b"workflow: nightly\n# f\xfcr M\xe4rz\n");
    insta::assert_snapshot!(files.draw(&definitions(&registry(), &[path]).unwrap_err()));
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
        (one("email: {}"), "{}"),
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
        ("a: 1\r\na: 2\r\n".to_owned(), "a"),
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
        ("a = 1\r\n\ta = 2\r\n", "a"),
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

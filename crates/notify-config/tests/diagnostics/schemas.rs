//! What the schemas say of every text that is refused, and of many that are taken.
//!
//! A schema refuses what is refused, wherever it can see why; where it cannot, `unseen.toml` has the
//! reason. It takes all that is taken. The cases are left in `target/tmp/schema-cases.json` for a
//! validator that is not ours: `cargo xtask schema-check`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use jsonschema::Validator;
use notify_config::{Diagnostics, Document, Source, schema};
use notify_core::problem::Segment;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::providers::registry;
use crate::{definition, definition_in, settings};

/// What the front of a snapshot holds: the text that was refused.
#[derive(Deserialize)]
struct Front {
    description: Option<String>,
}

/// Cases that a schema takes, and why it cannot refuse them.
#[derive(Deserialize)]
struct Unseen {
    reason: String,
    cases: BTreeSet<String>,
}

/// A text with what the reader says of it.
struct Case {
    name: String,
    /// The plain values of its documents; `None` where it is not of its format at all.
    values: Option<Vec<Value>>,
    of_settings: bool,
    taken: bool,
}

impl Case {
    fn of(name: String, file: &str, text: &str, taken: bool) -> Self {
        let of_settings = file == "notify.toml";
        let source = Source::new(file, text);
        let document = if of_settings {
            Document::toml(&source)
        } else {
            Document::yaml(&source)
        };
        let values = document.ok().map(|document| {
            let whole = document.to_value();
            let part = |path: notify_core::Path| match path.segments() {
                [Segment::Index(index)] => whole.get(index).unwrap().clone(),
                _ => whole.clone(),
            };
            document.documents().into_iter().map(part).collect()
        });
        Self {
            name,
            values,
            of_settings,
            taken,
        }
    }
}

fn refused() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics/snapshots");
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let file = match name.split("__").next().unwrap() {
            "yaml" | "yaml_and_accounts" => "nightly-etl.yaml",
            "json" | "json_and_accounts" => "nightly-etl.json",
            "toml" | "toml_and_accounts" => "notify.toml",
            _ => continue,
        };
        let snapshot = fs::read_to_string(&path).unwrap();
        let front = snapshot.split("\n---\n").next().unwrap();
        let front: Front = serde_saphyr::from_str(front.trim_start_matches("---\n")).unwrap();
        cases.push(Case::of(name, file, &front.description.unwrap(), false));
    }
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

/// Notifications for a definition, each taken.
const NOTIFICATIONS: &[&str] = &[
    "{phases: failed, email: me@example.com}",
    "{phases: [failed, timed_out], email: [me@example.com, Jürgen@exämple.de]}",
    "{phases: [FAILED, timed-out, ' aborted '], email: ' me@example.com '}",
    "{phases: [4, '6', 7, 8], email: me@example.com}",
    "{phases: [failed, failed], email: [me@example.com, me@example.com]}",
    "{phases: '${PHASE}', email: '${TEAM}@example.com'}",
    "{phases: failed, email: '${MAIL}'}",
    "{phases: failed, email: {to: me@example.com}}",
    "{phases: failed, email: {to: [me@example.com], account: prod-eu_1}}",
    "{phases: failed, ntfy: '#ops'}",
    "{phases: failed, ntfy: {to: ['#ops'], priority: 3}}",
    "{phases: failed, ntfy: {}}",
    "{phases: failed, ntfy: {priority: 3}}",
    "{phases: failed, ntfy: ['#ops', me@example.com]}",
    "{phases: failed, ntfy: me@example.com}",
    "{phases: failed, ntfy: {to: ['#ops'], priority: null}}",
    "{phases: failed, ntfy: {to: '#ops', template: '# {{ workflow }} failed'}}",
    "{phases: failed, ntfy: {to: '#ops', template: {use: failed}}}",
    "{phases: failed, when: changed, email: me@example.com}",
    "{phases: succeeded, when: recovered, email: me@example.com}",
    "{phases: failed, when: {streak: 3}, email: me@example.com}",
    "{phases: failed, when: {attempt: 2}, email: me@example.com}",
    "{phases: failed, when: {longer_than: 2h 30m}, email: me@example.com}",
    "{phases: failed, when: {failure: system}, email: me@example.com}",
    "{phases: failed, when: {labels: {team: data}}, email: me@example.com}",
    "{phases: failed, when: {labels: {}}, email: me@example.com}",
    "{phases: failed, when: {all: [changed, {any: [recovered, {not: {streak: 1}}]}]}, email: me@example.com}",
    "{phases: failed, when: {all: []}, email: me@example.com}",
    "{phases: failed, if_unknown: hold, email: me@example.com}",
    "{phases: failed, if_unknown: resend, email: me@example.com}",
];

/// Whole definitions, each taken.
const DEFINITIONS: &[&str] = &[
    "workflow: nightly-etl\nnotifications: []\n",
    "workflow: Abrechnung für März\nnotifications: []\n",
    "workflow: w\nnotifications:\n  - &all {phases: failed, email: a@example.com}\n  - *all\n",
    "workflows:\n  - {workflow: a, notifications: []}\n  - {workflow: b, notifications: []}\n",
    "workflow: a\nnotifications: []\n---\nworkflow: b\nnotifications: []\n",
];

/// Settings, each taken.
const SETTINGS: &[&str] = &[
    "",
    "[outbox]\nurl = \"sqlite:var/notify.db\"\n",
    "[outbox]\nurl = \"sqlite:/var/${TEAM}/notify.db\"\n",
    "[outbox]\nurl = \"memory:\"\n",
    "[outbox]\n",
    "[engine]\nin_flight = 64\nin_flight_per_lane = 8\ncollapse_after = 0\nfirst_wait = \"1s\"\n\
     longest_wait = \"1h 30m\"\nmax_age = \"48h\"\nthrottled_wait = \"PT30S\"\n\
     longest_retry_after = \"90 minutes\"\n",
    "[accounts.email.default]\nsmtp = \"smtps://smtp.example.com\"\n",
    "[accounts.email.default]\nsmtp = \"${SMTP}\"\npassword = { file = \"/run/secrets/smtp\" }\n",
    "[accounts.ntfy.prod]\ndefault = true\nenabled = false\ntoken = { env = \"T\" }\nretries = 255\ntopics = []\n",
    "[accounts.ntfy.prod]\ntoken = { command = [\"pass\", \"show\", \"\"], timeout = \"5s\" }\n",
    "[accounts.ntfy]\n[accounts.email]\n",
    "[templates]\nfailed = \"{{ workflow }} failed\"\n",
    "[[rules]]\nphases = \"failed\"\nntfy = \"#ops\"\n",
    "[[rules]]\nmatch = { project = \"prod\", workflow = \"billing-*\", labels = { team = \"?\" } }\n\
     phases = [\"failed\", \"aborted\"]\nwhen = { not = \"changed\" }\nntfy = { to = [\"#ops\"], priority = 1 }\n",
];

#[track_caller]
fn taken_by_reader<T>(text: &str, read: Result<T, Diagnostics>) {
    let found = read.err().map(|found| found.to_string());
    assert_eq!(found, None, "{text}");
}

fn taken() -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, notification) in NOTIFICATIONS.iter().enumerate() {
        let text = crate::with(&format!("  - {notification}\n"));
        let text = text
            .replace("${PHASE}", "failed")
            .replace("${MAIL}", "a@b.c");
        taken_by_reader(notification, definition(&text));
        let text = crate::with(&format!("  - {notification}\n"));
        let name = format!("notification__{index}");
        cases.push(Case::of(name, "nightly-etl.yaml", &text, true));
    }
    for (index, text) in DEFINITIONS.iter().enumerate() {
        taken_by_reader(text, definition_in("nightly-etl.yaml", text));
        let name = format!("definition__{index}");
        cases.push(Case::of(name, "nightly-etl.yaml", text, true));
    }
    for (index, text) in SETTINGS.iter().enumerate() {
        let known = text.replace("${SMTP}", "smtp://a");
        taken_by_reader(text, settings(&known));
        cases.push(Case::of(
            format!("settings__{index}"),
            "notify.toml",
            text,
            true,
        ));
    }
    cases
}

fn unseen() -> BTreeMap<String, String> {
    let text = include_str!("unseen.toml");
    let table: BTreeMap<String, Unseen> = toml::from_str(text).unwrap();
    let cases = table.into_values().flat_map(|unseen| {
        let of = move |case| (case, unseen.reason.clone());
        unseen.cases.into_iter().map(of)
    });
    cases.collect()
}

#[test]
fn the_schemas_agree_with_the_readers_wherever_they_can() {
    let (definitions, settings) = (
        schema::definitions(&registry()),
        schema::settings(&registry()),
    );
    let validators = [&definitions, &settings].map(jsonschema::validator_for);
    let [of_definitions, of_settings]: [Validator; 2] = validators.map(Result::unwrap);
    let mut unseen = unseen();
    let (mut wrong, mut dumped) = (Vec::new(), Vec::new());
    for case in refused().into_iter().chain(taken()) {
        let validator = if case.of_settings {
            &of_settings
        } else {
            &of_definitions
        };
        let reason = unseen.remove(&case.name);
        let Some(values) = case.values else {
            assert!(reason.is_none(), "{}: no schema is asked", case.name);
            continue;
        };
        let errors: Vec<String> = values
            .iter()
            .flat_map(|value| validator.iter_errors(value))
            .map(|error| error.to_string())
            .collect();
        if errors.is_empty() != (case.taken || reason.is_some()) {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            wrong.push(format!("{}: {} {errors:?}", case.name, values.join(" ")));
        }
        dumped.push(json!({
            "name": case.name,
            "schema": if case.of_settings { "settings" } else { "definitions" },
            "values": values,
            "taken": case.taken,
            "unseen": reason,
        }));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unseen.is_empty(), "there is no such case: {unseen:?}");
    let dump = json!({
        "schemas": {"definitions": definitions, "settings": settings},
        "cases": dumped,
    });
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schema-cases.json");
    fs::write(path, dump.to_string()).unwrap();
}

#[test]
fn the_schemas_are_schemas() {
    for schema in [
        schema::definitions(&registry()),
        schema::settings(&registry()),
    ] {
        jsonschema::draft202012::meta::validate(&schema).unwrap();
    }
}

#[test]
fn a_kind_that_is_linked_in_is_described_with_its_options() {
    let schema = schema::definitions(&registry());
    let options = &schema["$defs"]["notification-ntfy"]["anyOf"][0]["properties"];
    assert_eq!(options["priority"]["description"], "How urgent it is.");
    assert_eq!(options["priority"]["maximum"], 255);
    assert!(schema["$defs"]["Notification"]["properties"]["ntfy"].is_object());
    assert!(schema["$defs"]["Notification"]["properties"]["slack"].is_null());
}

#[test]
fn nothing_in_the_settings_is_null() {
    let text = schema::settings(&registry()).to_string();
    assert!(!text.contains("\"null\""), "{text}");
}

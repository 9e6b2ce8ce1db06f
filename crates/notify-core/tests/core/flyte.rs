//! Flyte's own cases, and the table of what is different here on purpose.
//!
//! The cases themselves are not ours to publish: `NOTIFY_GOLDEN_DIR` says where they are. Cases of our
//! own with the same behaviours are run always.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use notify_core::{
    Code, Email, Malformed, Notification, NotificationKind, PagerDuty, Phases, Problems, Slack,
    TerminalPhase,
};
use serde_json::{Map, Value, json};

use crate::providers::registry;

/// One declared notification and what Flyte makes of it.
struct Case {
    id: String,
    /// The same notification in our form.
    ours: Value,
    /// Flyte's value; `None` where Flyte refuses.
    flyte: Option<Declared>,
}

/// The phases by number and the recipients, in their order.
#[derive(Debug, PartialEq)]
struct Declared {
    phases: Vec<u64>,
    recipients: Vec<String>,
}

/// A case on which we do otherwise, or the row that says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Difference {
    case: String,
    flyte: String,
    here: String,
}

impl Case {
    fn load(&self) -> Result<Notification, Problems> {
        registry().load_notification(&self.ours)
    }

    fn difference(&self) -> Option<Difference> {
        let flyte = if self.flyte.is_some() {
            "accepted"
        } else {
            "refused"
        };
        let here = match (self.load(), &self.flyte) {
            (Err(_), _) => "refused",
            (Ok(ours), Some(flyte)) if declared(&ours) != *flyte => "changed",
            (Ok(_), _) => "accepted",
        };
        (flyte != here).then(|| Difference {
            case: self.id.clone(),
            flyte: flyte.to_owned(),
            here: here.to_owned(),
        })
    }
}

fn declared(notification: &Notification) -> Declared {
    Declared {
        phases: notification.phases().iter().map(number).collect(),
        recipients: notification
            .recipients()
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}

const fn number(phase: TerminalPhase) -> u64 {
    match phase {
        TerminalPhase::Succeeded => 4,
        TerminalPhase::Failed => 6,
        TerminalPhase::Aborted => 7,
        TerminalPhase::TimedOut => 8,
    }
}

/// Reads the table of the page.
fn documented() -> BTreeSet<Difference> {
    let page = "../../docs/reference/flyte-differences.md";
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let page = fs::read_to_string(page).unwrap();
    page.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, case, flyte, here, reason, _] = cells.as_slice() else {
                panic!("not four columns: {line}");
            };
            assert!(!reason.is_empty(), "{line}");
            Difference {
                case: case.trim_matches('`').to_owned(),
                flyte: (*flyte).to_owned(),
                here: (*here).to_owned(),
            }
        })
        .collect()
}

/// Tells whether a row is about this case.
fn covers(row: &Difference, found: &Difference) -> bool {
    let same = (&row.flyte, &row.here) == (&found.flyte, &found.here);
    let mut rest = found.case.as_str();
    let parts: Vec<&str> = row.case.split('*').collect();
    let last = parts.len() - 1;
    let fits = parts.iter().enumerate().all(|(index, part)| {
        let found_at = match index {
            0 => rest.starts_with(part).then_some(0),
            _ if index == last && part.is_empty() => Some(rest.len()),
            _ if index == last => rest.ends_with(part).then(|| rest.len() - part.len()),
            _ => rest.find(part),
        };
        found_at
            .inspect(|at| rest = &rest[at + part.len()..])
            .is_some()
    });
    same && fits && rest.is_empty()
}

/// Holds the differences of these cases against the page; gives the rows that are about one of them.
#[track_caller]
fn check(cases: &[Case]) -> BTreeSet<Difference> {
    let documented = documented();
    let mut used = BTreeSet::new();
    for found in cases.iter().filter_map(Case::difference) {
        let rows: Vec<_> = documented
            .iter()
            .filter(|row| covers(row, &found))
            .collect();
        assert!(!rows.is_empty(), "not in the page: {found:?}");
        used.extend(rows.into_iter().cloned());
    }
    used
}

#[test]
fn the_page_lists_the_differences_and_nothing_else() {
    let used = check(&own_cases());
    assert_eq!(used, documented(), "a row is about no difference");
}

#[test]
fn every_case_of_flyte_is_accepted_or_refused_as_the_page_says() {
    let Some(golden) = golden("validation_cases.json") else {
        return;
    };
    let rows = golden["cases"].as_array().unwrap();
    assert!(!rows.is_empty(), "no cases");
    let cases: Vec<Case> = rows.iter().map(flyte_case).collect();
    check(&cases);
    for case in &cases {
        all_faults_are_reported(case);
        the_builder_agrees(case);
    }
}

#[test]
fn every_phase_of_flyte_is_an_end_here_when_it_is_one_there() {
    let Some(golden) = golden("phases.json") else {
        return;
    };
    let values = golden["values"].as_array().unwrap();
    assert_eq!(values.len(), 10);
    for value in values {
        let number = value["number"].to_string();
        let texts = [
            value["name"].as_str().unwrap(),
            value["lower"].as_str().unwrap(),
            number.as_str(),
        ];
        let read = texts.map(|text| text.parse::<TerminalPhase>().ok());
        assert_eq!(read[0].is_some(), value["terminal"], "{value}");
        assert!(read.iter().all(|phase| *phase == read[0]), "{value}");
    }
}

#[test]
fn our_own_cases_agree_with_the_builder_and_report_every_fault() {
    for case in own_cases() {
        all_faults_are_reported(&case);
        the_builder_agrees(&case);
    }
}

fn golden(name: &str) -> Option<Value> {
    let Some(folder) = env::var_os("NOTIFY_GOLDEN_DIR").map(PathBuf::from) else {
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: NOTIFY_GOLDEN_DIR is not set");
        }
        return None;
    };
    let path = folder.join("flyte").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    Some(serde_json::from_str(&text).unwrap())
}

/// Brings one of Flyte's cases into our form.
fn flyte_case(row: &Value) -> Case {
    let id = row["id"].as_str().unwrap().to_owned();
    let mut input = row["input"].as_object().unwrap().clone();
    input.remove("note");
    let class = row["class"].as_str().unwrap();
    let flyte = match row["flytekit"].as_str().unwrap() {
        "accepted" => Some(decode(&id, row["proto_hex"].as_str().unwrap())),
        refused => {
            assert!(refused.starts_with("rejected_at_"), "{id}: {refused}");
            None
        }
    };
    let ours = match class {
        "Notification" => {
            if let Some(recipients) = input.remove("pager_duty") {
                input.insert("pagerduty".to_owned(), recipients);
            }
            Value::Object(input)
        }
        _ => ours(&kind_of(class), input),
    };
    Case { id, ours, flyte }
}

fn kind_of(class: &str) -> String {
    let kind = class.to_lowercase();
    assert!(registry().get(&kind).is_some(), "{class}");
    kind
}

/// Puts the arguments of a class of Flyte's under a kind of ours; further ones stay what they are.
fn ours(kind: &str, mut arguments: Map<String, Value>) -> Value {
    let mut notification = Map::new();
    if let Some(mut phases) = arguments.remove("phases") {
        for phase in phases.as_array_mut().into_iter().flatten() {
            // Without the remark it could not be told from the member of the enum.
            let text = phase
                .as_str()
                .and_then(|text| text.strip_suffix(" (as a string)"));
            *phase = text.map_or(phase.clone(), Value::from);
        }
        notification.insert("phases".to_owned(), phases);
    }
    if let Some(recipients) = arguments.remove("recipients_email") {
        arguments.insert("to".to_owned(), recipients);
    }
    notification.insert(kind.to_owned(), Value::Object(arguments));
    Value::Object(notification)
}

/// Decodes a `flyteidl.admin.Notification`: phases packed in field 1, one of the kinds in 2 to 4 with
/// its recipients in field 1.
fn decode(id: &str, hex: &str) -> Declared {
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    let mut declared = Declared {
        phases: Vec::new(),
        recipients: Vec::new(),
    };
    for (field, bytes) in fields(&bytes) {
        match field {
            1 => declared
                .phases
                .extend(bytes.iter().map(|byte| u64::from(*byte))),
            2..=4 => declared
                .recipients
                .extend(fields(bytes).map(|(_, text)| String::from_utf8(text.to_vec()).unwrap())),
            other => panic!("{id}: field {other}"),
        }
    }
    declared
}

/// Walks the length-delimited fields of a message; every length here is below 128.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [tag, length, rest @ ..] = bytes else {
            assert!(bytes.is_empty(), "cut off");
            return None;
        };
        assert!(tag & 7 == 2 && *length < 128, "not of the expected form");
        let (field, rest) = rest.split_at(usize::from(*length));
        bytes = rest;
        Some((tag >> 3, field))
    })
}

/// Counts the phases and recipients that are wrong for themselves; each has a problem at its place.
#[track_caller]
fn all_faults_are_reported(case: &Case) {
    let Err(problems) = case.load() else {
        return;
    };
    let places: Vec<String> = problems.iter().map(|one| one.path.to_string()).collect();
    let has = |place: String| {
        assert!(
            places.contains(&place),
            "{}: {place} not in {places:?}",
            case.id
        );
    };
    for (index, phase) in items(&case.ours["phases"]) {
        let text = phase
            .as_str()
            .map_or_else(|| phase.to_string(), str::to_owned);
        if text.parse::<TerminalPhase>().is_err() {
            has(format!("phases[{index}]"));
        }
    }
    for problem in &problems {
        if matches!(problem.code, Code::NOT_TERMINAL | Code::UNKNOWN_PHASE) {
            for phase in TerminalPhase::ALL {
                let said = problem.to_string();
                assert!(said.contains(&format!("`{phase}`")), "{}: {said}", case.id);
            }
        }
    }
    let nobody = problems.iter().any(|one| one.code == Code::NO_RECIPIENT);
    for kind in registry().kinds() {
        let recipients = &case.ours[kind]["to"];
        if recipients.as_array().is_some_and(Vec::is_empty) {
            assert!(nobody, "{}: {problems}", case.id);
        }
        for (index, recipient) in items(recipients) {
            let bad = recipient
                .as_str()
                .is_none_or(|text| parsed(kind, text).is_err());
            if bad {
                has(format!("{kind}.to[{index}]"));
            }
        }
    }
}

fn items(list: &Value) -> impl Iterator<Item = (usize, &Value)> {
    list.as_array().into_iter().flatten().enumerate()
}

fn parsed(kind: &str, text: &str) -> Result<(), Malformed> {
    match kind {
        Email::KIND => text
            .parse::<<Email as NotificationKind>::Recipient>()
            .map(|_| ()),
        Slack::KIND => text
            .parse::<<Slack as NotificationKind>::Recipient>()
            .map(|_| ()),
        _ => text
            .parse::<<PagerDuty as NotificationKind>::Recipient>()
            .map(|_| ()),
    }
}

/// Builds the same notification in code where code can say it, and expects the same answer.
#[track_caller]
fn the_builder_agrees(case: &Case) {
    let phases: Option<Vec<String>> = items(&case.ours["phases"])
        .map(|(_, phase)| match phase {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .collect();
    for kind in registry().kinds() {
        let body = case.ours.get(kind).and_then(Value::as_object);
        let plain = body.is_some_and(|body| body.keys().all(|key| key == "to"));
        let texts: Option<Vec<&str>> = items(&case.ours[kind]["to"])
            .map(|(_, recipient)| recipient.as_str())
            .collect();
        let (true, true, Some(texts), Some(phases)) = (
            plain,
            case.ours["phases"].is_array() && case.ours[kind]["to"].is_array(),
            texts,
            phases.as_ref(),
        ) else {
            continue;
        };
        let built = match kind {
            Email::KIND => build::<Email>(phases, &texts),
            Slack::KIND => build::<Slack>(phases, &texts),
            _ => build::<PagerDuty>(phases, &texts),
        };
        assert_eq!(built, case.load().ok(), "{}", case.id);
    }
}

fn build<K: NotificationKind>(phases: &[String], recipients: &[&str]) -> Option<Notification>
where
    K::Recipient: FromStr<Err = Malformed> + Display,
{
    let phases: Result<Vec<TerminalPhase>, _> = phases.iter().map(|text| text.parse()).collect();
    let phases = Phases::collect(phases.ok()?)?;
    let parsed: Result<Vec<K::Recipient>, Malformed> =
        recipients.iter().map(|text| text.parse()).collect();
    let mut recipients = parsed.ok()?.into_iter();
    let spec = K::on(phases).to(recipients.next()?);
    let spec = recipients.try_fold(spec, notify_core::Spec::and).ok()?;
    Some(spec.into())
}

/// Cases of our own: every row of the page, and what is the same in both.
fn own_cases() -> Vec<Case> {
    let jane = "jane@example.org";
    let case = |id: &str, phases: Value, to: Value, flyte: Option<(&[u64], &[&str])>| {
        let (class, _) = id.split_once('.').unwrap();
        let arguments = Map::from_iter([
            ("phases".to_owned(), phases),
            ("recipients_email".to_owned(), to),
        ]);
        Case {
            id: id.to_owned(),
            ours: ours(&kind_of(class), arguments),
            flyte: flyte.map(|(phases, recipients)| Declared {
                phases: phases.to_vec(),
                recipients: recipients.iter().map(|text| (*text).to_owned()).collect(),
            }),
        }
    };
    let several = |id: &str, kinds: &[&str]| {
        let mut ours = json!({"phases": [6]});
        for kind in kinds {
            ours[*kind] = json!([jane]);
        }
        let recipients = kinds.last().map(|_| jane.to_owned());
        Case {
            id: id.to_owned(),
            ours,
            flyte: Some(Declared {
                phases: vec![6],
                recipients: recipients.into_iter().collect(),
            }),
        }
    };
    let mut with_template = case("Slack.unknown_argument", json!([6]), json!([jane]), None);
    with_template.ours["slack"]["template"] = json!("**{{ workflow.name }}** failed");
    let mut with_other = case("Slack.unknown_other", json!([6]), json!([jane]), None);
    with_other.ours["slack"]["subject"] = json!("x");
    let failed = || json!([6]);
    vec![
        with_other,
        with_template,
        // The same in both.
        case(
            "Email.phase.FAILED",
            json!(["FAILED"]),
            json!([jane]),
            Some((&[6], &[jane])),
        ),
        case(
            "Slack.phases.two",
            json!([6, 8]),
            json!([jane]),
            Some((&[6, 8], &[jane])),
        ),
        case(
            "Slack.recipients.channel",
            failed(),
            json!(["#etl"]),
            Some((&[6], &["#etl"])),
        ),
        case(
            "Email.recipients.unicode",
            failed(),
            json!(["ük@exämple.org"]),
            Some((&[6], &["ük@exämple.org"])),
        ),
        case(
            "PagerDuty.recipients.service",
            failed(),
            json!(["etl"]),
            Some((&[6], &["etl"])),
        ),
        case(
            "Email.phase.RUNNING",
            json!(["RUNNING"]),
            json!([jane]),
            None,
        ),
        case("Email.phases.empty", json!([]), json!([jane]), None),
        case("Email.phases.null", json!(null), json!([jane]), None),
        case("Email.phases.float", json!([6.0]), json!([jane]), None),
        case("Email.phases.bool", json!([true]), json!([jane]), None),
        case("Email.phases.negative", json!([-6]), json!([jane]), None),
        case("Email.phases.unknown_42", json!([42]), json!([jane]), None),
        case(
            "Email.phases.two_invalid",
            json!([0, 3]),
            json!([jane]),
            None,
        ),
        case("Email.recipients.number", failed(), json!([7]), None),
        case("Slack.both_bad", json!([9]), json!([]), None),
        // The rows of the page.
        case("Slack.phases.bare_int", json!(6), json!([jane]), None),
        case(
            "Slack.phases.name_string",
            json!(["FAILED (as a string)"]),
            json!([jane]),
            None,
        ),
        case(
            "Email.phases.duplicate",
            json!([6, 6]),
            json!([jane]),
            Some((&[6, 6], &[jane])),
        ),
        case(
            "Email.phases.reversed",
            json!([7, 6]),
            json!([jane]),
            Some((&[7, 6], &[jane])),
        ),
        case(
            "Slack.recipients.empty",
            failed(),
            json!([]),
            Some((&[6], &[])),
        ),
        case(
            "Email.recipients.null",
            failed(),
            json!(null),
            Some((&[6], &[])),
        ),
        case(
            "Email.recipients.blank",
            failed(),
            json!([""]),
            Some((&[6], &[""])),
        ),
        case(
            "Slack.recipients.one_blank_of_two",
            failed(),
            json!([jane, ""]),
            Some((&[6], &[jane, ""])),
        ),
        case(
            "Email.recipients.space",
            failed(),
            json!(["  "]),
            Some((&[6], &["  "])),
        ),
        case(
            "Email.recipients.not_an_email",
            failed(),
            json!(["jane"]),
            Some((&[6], &["jane"])),
        ),
        case(
            "Slack.recipients.not_an_email",
            failed(),
            json!(["jane"]),
            Some((&[6], &["jane"])),
        ),
        case(
            "Email.recipients.bare_string",
            failed(),
            json!("xy"),
            Some((&[6], &["x", "y"])),
        ),
        case(
            "PagerDuty.recipients.bare_string",
            failed(),
            json!("xy"),
            Some((&[6], &["x", "y"])),
        ),
        case(
            "Email.recipients.channel",
            failed(),
            json!(["#etl"]),
            Some((&[6], &["#etl"])),
        ),
        case(
            "PagerDuty.recipients.channel",
            failed(),
            json!(["#etl"]),
            Some((&[6], &["#etl"])),
        ),
        case(
            "Email.recipients.header_injection",
            failed(),
            json!(["j@a.org\nCc: k@a.org"]),
            Some((&[6], &["j@a.org\nCc: k@a.org"])),
        ),
        case(
            "Email.recipients.invisible",
            failed(),
            json!(["j\u{200b}@a.org"]),
            Some((&[6], &["j\u{200b}@a.org"])),
        ),
        case(
            "Email.recipients.duplicate",
            failed(),
            json!([jane, jane]),
            Some((&[6], &[jane, jane])),
        ),
        case(
            "PagerDuty.phase.FAILED",
            failed(),
            json!([jane]),
            Some((&[6], &[jane])),
        ),
        several("Notification.no_kind", &[]),
        several("Notification.slack_and_email", &["email", "slack"]),
        several("Notification.all_three", &["email", "slack", "pagerduty"]),
    ]
}

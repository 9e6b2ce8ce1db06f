//! What Kapacitor and Prefect post to Slack, next to what is posted here: the page lists where both
//! say the same and where they differ on purpose, no more and no less.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};

use notify_core::{Accounts, Failure};

use super::*;

/// One thing of one case, there and here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Facet {
    case: String,
    there: String,
    here: String,
}

impl Facet {
    fn new(case: &str, key: &str, there: impl Into<String>, here: impl Into<String>) -> Self {
        Self {
            case: format!("{case}.{key}"),
            there: there.into(),
            here: here.into(),
        }
    }

    fn holds(&self) -> bool {
        self.there == self.here
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
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// Reads the rows of the table under a heading, each as its cells.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let path = "../../docs/reference/slack-differences.md";
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once(&format!("## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells = line.trim_matches('|').split('|');
        cells
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect()
    })
    .collect()
}

/// Tells whether a text is of a form in which `*` stands for anything.
fn fits(form: &str, text: &str) -> bool {
    let parts: Vec<&str> = form.split('*').collect();
    let [first, .., last] = parts.as_slice() else {
        return form == text;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for part in &parts[1..parts.len() - 1] {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// Holds what was found against the page; each row is about something, and everything has a row.
#[track_caller]
fn check(found: &[Facet], of: &str) {
    let mut used = BTreeSet::new();
    let (differs, holds) = (rows("Where they differ"), rows("Where both say the same"));
    for facet in found {
        let rows = if facet.holds() { &holds } else { &differs };
        let row = rows.iter().find(|row| {
            fits(&row[0], &facet.case)
                && (facet.holds() || fits(&row[1], &facet.there) && fits(&row[2], &facet.here))
        });
        let row = row.unwrap_or_else(|| panic!("not in the page: {facet:?}"));
        assert!(!row.last().unwrap().is_empty(), "{row:?}");
        used.insert(row[0].clone() + &row[1]);
    }
    for row in differs
        .iter()
        .chain(&holds)
        .filter(|row| row[0].starts_with(of))
    {
        assert!(
            used.contains(&(row[0].clone() + &row[1])),
            "about nothing: {row:?}"
        );
    }
}

fn said(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Makes the section that a row's means, at this address; what it cannot say is left out and named.
fn section(row: &Value, slack: &HttpFake) -> (Value, String, BTreeSet<&'static str>) {
    let token = row["section"]["token"].as_str().unwrap();
    let mut refused = BTreeSet::new();
    let (mut section, secret) = if token.is_empty() {
        let url = slack.url("/services/T00000000/B00000000/hunter2hunter2");
        (json!({"webhook_url": {"env": "T"}}), url)
    } else {
        let section = json!({"token": {"env": "T"}, "base_url": slack.url("/api/")});
        (section, token.to_owned())
    };
    for (key, own) in [("username", "username"), ("icon-emoji", "icon_emoji")] {
        let value = row["options"].get(key).unwrap_or(&row["section"][key]);
        if said(value) == "none" {
            continue;
        }
        let mut with = section.clone();
        with[own] = value.clone();
        if DESCRIPTOR
            .load_account("slack.prod".parse().unwrap(), &with)
            .is_ok()
        {
            section = with;
        } else {
            refused.insert(own);
        }
    }
    (section, secret, refused)
}

async fn kapacitor_request(row: &Value) -> Vec<Facet> {
    let case = format!("kapacitor.{}", row["name"].as_str().unwrap());
    let facet = |key, there: &Value, here: String| Facet::new(&case, key, said(there), here);
    let theirs = &row["request"];
    let level = row["event"]["level"].as_str().unwrap();
    let phase = match level {
        "OK" => TerminalPhase::Succeeded,
        "WARNING" => TerminalPhase::Aborted,
        "CRITICAL" => TerminalPhase::Failed,
        _ => return vec![facet("level", &json!(level), "none".to_owned())],
    };
    let slack = HttpFake::answering(|request, _| match request.path() {
        "/api/auth.test" => answer(200, HOME),
        "/api/chat.postMessage" => answer(200, POSTED),
        _ => answer(200, "ok"),
    });
    let (section, secret, refused) = section(row, &slack);
    let account = account(&section);
    let to = theirs["json"]["channel"].as_str().unwrap();
    let reached = to.parse::<SlackRecipient>().is_ok();
    let notification = notification(&json!(if reached { to } else { "#alerts" }));
    let severity = match phase {
        TerminalPhase::Succeeded => Severity::Info,
        TerminalPhase::Aborted => Severity::Warning,
        _ => Severity::Error,
    };
    let words = row["event"]["message"].as_str().unwrap();
    let message = Message::new(words, severity).footer("analytics/production");
    let ended = event(phase);
    let recipient = notification.recipients()[0].clone();
    let delivery = Delivery::new(id(), &ended, &notification, &recipient, now());
    let payload = account.payload(&delivery, &message);
    let transport = connect(&*account, &secret);
    receipt(attempt(&*transport, prepared(recipient.as_str(), payload), now()).await);
    let request = asked(&slack).remove(0);
    let body = request.json();
    let (bar, their_bar) = (&body["attachments"][0], &theirs["json"]["attachments"][0]);
    let header = |name| request.header(name).unwrap_or("none").to_owned();
    let channel = match (reached, body.get("channel")) {
        (false, _) => "refused".to_owned(),
        (true, None) => "the webhook's own".to_owned(),
        (true, Some(channel)) => said(channel),
    };
    let own = |key: &str| {
        let refused = refused.contains(key).then(|| "refused".to_owned());
        refused.unwrap_or_else(|| said(&body[key]))
    };
    let verb = request.line().split(' ').next().unwrap().to_owned();
    let media_type = header("content-type");
    let media_type = media_type.split(';').next().unwrap().to_owned();
    vec![
        facet("method", &theirs["method"], verb),
        facet("media type", &theirs["headers"]["Content-Type"], media_type),
        facet(
            "authorization",
            &theirs["headers"]["Authorization"],
            header("authorization"),
        ),
        facet("channel", &theirs["json"]["channel"], channel),
        facet("username", &theirs["json"]["username"], own("username")),
        facet(
            "icon_emoji",
            &theirs["json"]["icon_emoji"],
            own("icon_emoji"),
        ),
        facet("text", &theirs["json"]["text"], said(&body["text"])),
        facet("color", &their_bar["color"], said(&bar["color"])),
        facet("fallback", &their_bar["fallback"], said(&bar["fallback"])),
        facet("bar text", &their_bar["text"], said(&bar["text"])),
        facet(
            "mrkdwn_in",
            &their_bar["mrkdwn_in"],
            said(&bar["mrkdwn_in"]),
        ),
    ]
}

async fn kapacitor_response(row: &Value) -> Vec<Facet> {
    let case = format!("kapacitor.{}", row["name"].as_str().unwrap());
    let recommended = row["recommended"].as_str().unwrap();
    let there = match recommended {
        "delivered" => "delivered",
        "rejected when loading" => "refused when it is loaded",
        said if said.contains("permanent") => "rejected",
        said if said.contains("retry") => "not_delivered",
        other => panic!("{other}"),
    };
    let Some(response) = row.get("response") else {
        let accounts = match row["name"].as_str().unwrap() {
            "no section at all" => json!({}),
            _ => json!({"slack": {"prod": {"token": {"env": "T"}}}}),
        };
        let registry = Registry::of([DESCRIPTOR]).unwrap();
        let accounts = Accounts::load(&registry, &accounts).unwrap();
        let notification = notification(&json!({"to": "#a", "account": "acme"}));
        let resolved = accounts.resolve(notification.kind(), notification.account());
        let here = resolved.map_or("refused when it is loaded", |_| "loaded");
        return vec![Facet::new(&case, "outcome", there, here)];
    };
    let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
    let body = response["body"].as_str().unwrap();
    let mut reply = Reply::new(status).body(body);
    for (name, value) in response["headers"].as_object().into_iter().flatten() {
        reply = reply.header(name, value.as_str().unwrap());
    }
    let (outcome, _) = if body.starts_with('{') {
        by_token("#alerts", vec![reply.into()]).await
    } else {
        by_webhook(vec![reply.into()]).await
    };
    let mut facets = vec![Facet::new(&case, "outcome", there, outcome.name())];
    if let Some((_, wait)) = recommended.split_once("not before ") {
        let Outcome::NotDelivered { retry_after, .. } = outcome else {
            panic!("{outcome:?}");
        };
        let here = retry_after.map(|wait| format!("{} s", wait.as_secs()));
        facets.push(Facet::new(&case, "wait", wait, here.unwrap_or_default()));
    }
    facets
}

fn prefect_payload(row: &Value) -> Vec<Facet> {
    let state = row["state"].as_str().unwrap();
    let case = format!("prefect.{state}.{}", row["case"].as_str().unwrap());
    let (phase, severity) = match state {
        "Success" => (TerminalPhase::Succeeded, Severity::Info),
        "Failed" => (TerminalPhase::Failed, Severity::Error),
        "TimedOut" => (TerminalPhase::TimedOut, Severity::Error),
        "Cancelled" => (TerminalPhase::Aborted, Severity::Warning),
        _ => return vec![Facet::new(&case, "sent", "sent", "not an end")],
    };
    let bar = &row["payload"]["attachments"][0];
    let said_there = said(&bar["fields"][0]["value"]);
    let words = said_there.trim_matches('`').to_owned();
    let name = row["tracked_name"].as_str().unwrap();
    let headline = format!("{name} {}", phase.words());
    let mut message = Message::new(headline, severity).footer("analytics/production");
    let mut ended = event(phase);
    if words != "none" && !phase.is_success() {
        ended = ended.failure(Failure::new(&words));
    }
    let failure = ended.failure.as_ref();
    let failure = failure.map(|failure| Block::Code(failure.message.clone()));
    message.blocks.extend(failure);
    let account = webhook_account();
    let notification = notification(&json!("#a"));
    let to = &notification.recipients()[0];
    let delivery = Delivery::new(id(), &ended, &notification, to, now());
    let payload = account.payload(&delivery, &message);
    let body: Value = serde_json::from_slice(&payload.body).unwrap();
    let own = &body["attachments"][0];
    let code = own["blocks"][0].pointer("/elements/0/elements/0/text");
    let footer = own["blocks"].as_array().unwrap().last().unwrap();
    let facet = |key, there: &Value, here: &Value| Facet::new(&case, key, said(there), said(here));
    vec![
        facet("color", &bar["color"], &own["color"]),
        facet("fallback", &bar["fallback"], &own["fallback"]),
        facet("author_name", &bar["author_name"], &body["username"]),
        facet("author_icon", &bar["author_icon"], &body["icon_url"]),
        facet("title", &bar["title"], &own["title"]),
        facet("text", &bar["text"], &body["blocks"][0]["text"]["text"]),
        Facet::new(
            &case,
            "message",
            words,
            code.map_or("none".to_owned(), said),
        ),
        facet("footer", &bar["footer"], &footer["elements"][0]["text"]),
    ]
}

#[tokio::test]
async fn kapacitors_requests_and_answers_are_as_the_page_says() {
    let Some(golden) = golden("kapacitor/payloads.json") else {
        return;
    };
    let mut found = Vec::new();
    for row in golden["slack_requests"].as_array().unwrap() {
        found.extend(kapacitor_request(row).await);
    }
    for row in golden["slack_responses"].as_array().unwrap() {
        found.extend(kapacitor_response(row).await);
    }
    assert!(found.len() > 50, "{}", found.len());
    check(&found, "kapacitor");
}

#[test]
fn prefects_messages_are_as_the_page_says() {
    let Some(golden) = golden("prefect/v1_slack_payloads.json") else {
        return;
    };
    let rows = golden["payloads"].as_array().unwrap();
    let found: Vec<_> = rows.iter().flat_map(prefect_payload).collect();
    assert!(found.len() > 100, "{}", found.len());
    check(&found, "prefect");
}

#[test]
fn a_form_stands_for_what_it_looks_like() {
    let table = [
        ("a.*", "a.b.c", true),
        ("*.c", "a.b.c", true),
        ("a.*.c", "a.b.c", true),
        ("a.*.c", "a.c", false),
        ("a", "a", true),
        ("a", "ab", false),
        ("*", "", true),
    ];
    for (form, text, expected) in table {
        assert_eq!(fits(form, text), expected, "{form} {text}");
    }
}

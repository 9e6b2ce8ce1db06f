//! One mail to several recipients, and what becomes of each.

use mail_parser::HeaderForm;
use notify_core::content::Severity;
use notify_core::{
    Config, Delivery, DeliveryId, Execution, Message, Notification, Outcome, Prepared, Registry,
    TerminalPhase, Timestamp, Workflow, WorkflowEnded, WorkflowName,
};
use notify_email::DESCRIPTOR;
use notify_testkit::fake::{SmtpAct, SmtpFake, SmtpScript};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

use crate::reuse::Client;
use crate::{Fixed, detail, parse, short};

const AHEAD: &str = "250-mail.test\r\n250 PIPELINING";

fn notification(body: &Value) -> Notification {
    let registry = Registry::of([DESCRIPTOR]).unwrap();
    let declared = json!({"phases": "failed", "email": body});
    registry.load_notification(&declared).unwrap()
}

fn event(run: &str) -> WorkflowEnded {
    WorkflowEnded::new(
        WorkflowName::new("nightly-etl").unwrap(),
        Execution::new("analytics", "production", run).unwrap(),
        TerminalPhase::Failed,
    )
}

/// Prepares everybody's delivery as the engine does.
fn batch(client: &Client, notification: &Notification, run: &str) -> Vec<Prepared> {
    let message = Message::new("nightly-etl failed", Severity::Error);
    let event = event(run);
    let at: Timestamp = "2026-11-20T23:57:46Z".parse().unwrap();
    let everybody = notification.everybody();
    let prepare = |(number, recipient): (usize, &_)| {
        let id = DeliveryId::from_uuid(Uuid::from_u128(number as u128));
        let delivery = Delivery::new(id, &event, notification, recipient, at);
        Prepared {
            id,
            recipient: Clone::clone(recipient),
            payload: client.account.payload(&delivery, &message),
        }
    };
    everybody.iter().enumerate().map(prepare).collect()
}

fn shorts(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().map(short).collect()
}

fn team() -> Notification {
    notification(&json!({
        "to": ["jane@example.org", "joe@example.org"],
        "cc": ["lead@example.org"],
        "bcc": ["audit@example.org"],
        "together": true,
    }))
}

#[tokio::test]
async fn one_mail_goes_to_all_and_names_all_but_the_hidden() {
    for ehlo in ["250 mail.test", AHEAD] {
        let fake = SmtpFake::start(SmtpScript::default().ehlo(ehlo));
        let client = Client::to(&fake);
        let team = team();
        assert!(client.account.together(&team));
        let batch = batch(&client, &team, "run-17");
        let outcomes = client.deliver(&batch).await;
        assert_eq!(shorts(&outcomes), ["delivered"; 4]);
        let mails = fake.mails();
        assert_eq!(mails.len(), 1);
        let rcpts = mails[0]
            .commands
            .iter()
            .filter(|line| line.starts_with("RCPT"));
        assert_eq!(rcpts.count(), 4);
        let wire = mails[0].wire.as_deref().unwrap();
        assert!(!wire.contains("audit") && !wire.contains("Bcc"), "{wire}");
        let parsed = parse(wire.as_bytes());
        let to: Vec<_> = parsed
            .to()
            .unwrap()
            .iter()
            .map(|to| to.address().unwrap())
            .collect();
        assert_eq!(to, ["jane@example.org", "joe@example.org"]);
        let cc = parsed.cc().unwrap().first().unwrap();
        assert_eq!(cc.address(), Some("lead@example.org"));
        let Outcome::Delivered(receipt) = &outcomes[0] else {
            panic!("{outcomes:?}");
        };
        assert_eq!(receipt.id, format!("<{}>", parsed.message_id().unwrap()));
    }
}

#[test]
fn every_part_of_a_mail_to_many_is_the_same_mail_and_another_run_gets_another() {
    let client = Client::of(&crate::section("smtps://smtp.example.com"));
    let all = batch(&client, &team(), "run-17");
    assert!(all.iter().all(|one| one.payload == all[0].payload));
    let next = batch(&client, &team(), "run-18");
    let id = |prepared: &Prepared| {
        parse(&prepared.payload.body)
            .message_id()
            .unwrap()
            .to_owned()
    };
    assert_ne!(id(&all[0]), id(&next[0]));
    // Without `together`, everybody gets a mail of their own.
    let alone = notification(&json!(["jane@example.org", "joe@example.org"]));
    assert!(!client.account.together(&alone));
    let own = batch(&client, &alone, "run-17");
    assert_ne!(id(&own[0]), id(&own[1]));
    let parsed = parse(&own[0].payload.body);
    assert_eq!(parsed.to().unwrap().iter().count(), 1);
}

#[tokio::test]
async fn each_recipient_has_an_outcome_of_its_own() {
    for ehlo in ["250 mail.test", AHEAD] {
        let script = SmtpScript::default()
            .ehlo(ehlo)
            .rcpt_for("joe", "550 5.1.1 no such user")
            .rcpt_for("lead", "450 4.2.0 busy");
        let fake = SmtpFake::start(script.clone());
        let client = Client::to(&fake);
        let outcomes = client.deliver(&batch(&client, &team(), "run-17")).await;
        let expected = [
            "delivered",
            "rejected destination",
            "not_delivered unavailable",
            "delivered",
        ];
        assert_eq!(shorts(&outcomes), expected, "{outcomes:?}");

        // What comes after the refusals is about the others.
        let fake = SmtpFake::start(script.message(SmtpAct::Close));
        let client = Client::to(&fake);
        let outcomes = client.deliver(&batch(&client, &team(), "run-17")).await;
        let expected = [
            "unknown connect",
            "rejected destination",
            "not_delivered unavailable",
            "unknown connect",
        ];
        assert_eq!(shorts(&outcomes), expected, "{outcomes:?}");
    }
}

#[tokio::test]
async fn with_nobody_left_no_mail_is_said() {
    for ehlo in ["250 mail.test", AHEAD] {
        for data in ["354 go", "554 5.5.1 no valid recipients"] {
            let script = SmtpScript::default()
                .ehlo(ehlo)
                .rcpt("550 5.1.1 no")
                .data(data);
            let fake = SmtpFake::start(script);
            let client = Client::to(&fake);
            let outcomes = client.deliver(&batch(&client, &team(), "run-17")).await;
            assert_eq!(
                shorts(&outcomes),
                ["rejected destination"; 4],
                "{outcomes:?}"
            );
            assert!(fake.mails().iter().all(|mail| mail.wire.is_none()));
        }
    }
}

#[tokio::test]
async fn who_is_one_too_many_goes_in_the_next_transaction_at_once() {
    let script = SmtpScript::default()
        .rcpt_for("lead", "452 4.5.3 too many recipients")
        .rcpt_for("audit", "452 4.5.3 too many recipients");
    let fake = SmtpFake::start(script);
    let client = Client::to(&fake);
    let batch = batch(&client, &team(), "run-17");
    let outcomes = client.deliver(&batch).await;
    let expected = [
        "delivered",
        "delivered",
        "not_delivered throttled",
        "not_delivered throttled",
    ];
    assert_eq!(shorts(&outcomes), expected);
    let Outcome::NotDelivered { retry_after, .. } = &outcomes[2] else {
        panic!("{outcomes:?}");
    };
    assert!(retry_after.is_some_and(|wait| wait.as_secs() <= 1));
    // The rest of the batch is the same mail.
    let rest = client.deliver(&batch[2..3]).await;
    assert_eq!(short(&rest[0]), "not_delivered throttled");
    let Outcome::NotDelivered { retry_after, .. } = &rest[0] else {
        panic!("{rest:?}");
    };
    assert_eq!(
        *retry_after, None,
        "nobody was taken: that is another matter"
    );
}

#[tokio::test]
async fn an_address_that_the_server_cannot_take_does_not_keep_the_mail_from_the_others() {
    let mixed = notification(&json!({
        "to": ["jane@example.org", "用户@example.org"],
        "together": true,
    }));
    let fake = SmtpFake::start(SmtpScript::default().ehlo("250 mail.test"));
    let client = Client::to(&fake);
    let outcomes = client.deliver(&batch(&client, &mixed, "run-17")).await;
    assert_eq!(shorts(&outcomes), ["delivered", "rejected destination"]);
    assert!(detail(&outcomes[1]).contains("SMTPUTF8"));
    assert!(fake.mails()[0].wire.as_deref().unwrap().is_ascii());

    let fake = SmtpFake::start(SmtpScript::default());
    let client = Client::to(&fake);
    let outcomes = client.deliver(&batch(&client, &mixed, "run-17")).await;
    assert_eq!(shorts(&outcomes), ["delivered"; 2], "{outcomes:?}");
    assert!(
        fake.mails()[0]
            .wire
            .as_deref()
            .unwrap()
            .contains("用户@example.org")
    );
}

#[tokio::test]
async fn a_crowd_fits_the_lines_of_a_mail_and_of_a_dialogue() {
    let crowd: Vec<String> = (0..250)
        .map(|one| format!("someone-{one}@example.org"))
        .collect();
    let crowd = notification(&json!({"to": crowd, "together": true}));
    for ehlo in ["250 mail.test", AHEAD] {
        let fake = SmtpFake::start(SmtpScript::default().ehlo(ehlo));
        let client = Client::to(&fake);
        let outcomes = client.deliver(&batch(&client, &crowd, "run-17")).await;
        assert_eq!(shorts(&outcomes), vec!["delivered"; 250]);
        let mails = fake.mails();
        let wire = mails[0].wire.as_deref().unwrap();
        assert!(wire.split("\r\n").all(|line| line.len() <= 998));
        assert_eq!(parse(wire.as_bytes()).to().unwrap().iter().count(), 250);
    }
}

#[test]
fn what_cannot_be_one_mail_is_refused_at_load_with_the_way_out() {
    let check = |body: &Value| {
        let registry = Registry::of([DESCRIPTOR]).unwrap();
        let section =
            json!({"default": {"smtp": "smtps://smtp.example.com", "from": "a@example.com"}});
        let accounts = notify_core::Accounts::load(&registry, &json!({"email": section})).unwrap();
        let workflow = json!({
            "workflow": "w",
            "notifications": [{"phases": "failed", "email": body}],
        });
        let workflow: Workflow = registry.load_workflow(&workflow).unwrap();
        Config::new(vec![workflow], accounts, Arc::new(Fixed)).map(|_| ())
    };
    let (two, one) = (
        json!(["a@b.example", "b@b.example"]),
        json!(["a@b.example"]),
    );
    let copies = json!(["c@b.example", "d@b.example"]);
    let refused = check(&json!({"to": two, "cc": copies})).unwrap_err();
    let refused: Vec<_> = refused.iter().collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0].path.to_string().ends_with("email.cc"),
        "{}",
        refused[0].path
    );
    assert!(
        refused[0]
            .help
            .as_deref()
            .unwrap()
            .contains("`together: true`")
    );
    check(&json!({"to": two, "cc": copies, "together": true})).unwrap();
    check(&json!({"to": one, "bcc": copies})).unwrap();
    check(&json!({"to": two})).unwrap();
    let flyte = json!({"subject": "x", "body": "y"});
    let both = json!({"to": two, "flyte": flyte, "template": "z"});
    let refused = check(&both).unwrap_err();
    assert_eq!(refused.iter().count(), 1, "{refused}");
    assert!(refused.to_string().contains("keep one of"), "{refused}");
    check(&json!({"to": two, "flyte": flyte})).unwrap();
}

#[test]
fn headers_of_account_and_notification_are_added_and_the_nearer_wins() {
    let mut section = crate::section("smtps://smtp.example.com");
    section["headers"] =
        json!({"X-Env": "prod", "X-Team": "all", "List-Unsubscribe": "<mailto:x@example.com>"});
    section["reply_to"] = json!("Ops <ops@example.com>");
    let client = Client::of(&section);
    let own =
        notification(&json!({"to": "jane@example.org", "headers": {"x-team": "Daten größer"}}));
    let prepared = batch(&client, &own, "run-17").remove(0);
    let mail = String::from_utf8(prepared.payload.body.to_vec()).unwrap();
    assert!(mail.is_ascii() && mail.contains("X-Env: prod\r\n"));
    assert!(
        mail.contains("List-Unsubscribe: <mailto:x@example.com>\r\n"),
        "{mail}"
    );
    assert!(!mail.contains("X-Team: all"));
    let parsed = parse(mail.as_bytes());
    assert_eq!(
        parsed
            .header_as("x-team", HeaderForm::Text)
            .first()
            .unwrap()
            .as_text(),
        Some("Daten größer")
    );
    assert_eq!(
        parsed.reply_to().unwrap().first().unwrap().address(),
        Some("ops@example.com")
    );
}

#[test]
fn a_mail_in_flytes_words_has_its_subject_and_both_parts() {
    let client = Client::of(&crate::section("smtps://smtp.example.com"));
    let flyte = notification(&json!({
        "to": "jane@example.org",
        "flyte": {
            "subject": "Execution {{ name }} has {{ phase }}",
            "body": "<h1>{{ workflow.name }}</h1><p>See <a href=\"https://flows.example.com/{{ name }}\">the run</a>.{{ error }}</p>",
        },
    }));
    let prepared = batch(&client, &flyte, "run-17").remove(0);
    let parsed = parse(&prepared.payload.body);
    assert_eq!(parsed.subject(), Some("Execution run-17 has failed"));
    assert_eq!(
        parsed.body_html(0).unwrap().trim_end(),
        "<h1>nightly-etl</h1><p>See <a href=\"https://flows.example.com/run-17\">the run</a>.</p>"
    );
    assert_eq!(
        parsed.body_text(0).unwrap().replace("\r\n", "\n"),
        "nightly-etl\n\nSee the run (https://flows.example.com/run-17).\n"
    );
}

//! The contract of providers.

use notify_core::Payload;
use notify_email::DESCRIPTOR;
use notify_testkit::fake::{SmtpAct, SmtpScript};
use notify_testkit::provider::{Fixture, Smtp};
use serde_json::json;

fn fixture() -> Fixture {
    let said = SmtpScript::default;
    let wire = Smtp::default()
        .answer(said().message("554 5.6.0 no"), "rejected payload")
        .answer(said().greeting("554 no"), "rejected policy")
        .answer(
            said().greeting("421 4.7.0 slow down"),
            "not_delivered throttled account",
        )
        .answer(said().greeting(SmtpAct::Close), "not_delivered connect")
        .answer(said().auth("535 5.7.8 no"), "rejected auth")
        .answer(
            said().auth("454 4.7.0 not now"),
            "not_delivered unavailable",
        )
        .answer(
            said().mail("451 4.3.0 not now"),
            "not_delivered unavailable",
        )
        .answer(
            said().rcpt("550 5.1.1 no such user"),
            "rejected destination",
        )
        .answer(
            said().rcpt("452 4.5.3 too many"),
            "not_delivered throttled lane",
        )
        .answer(said().data(SmtpAct::Reset), "not_delivered")
        .answer(
            said().message("452 4.2.2 full"),
            "not_delivered unavailable",
        );
    Fixture::new(DESCRIPTOR)
        .account(|at| {
            json!({
                "smtp": format!("smtp+plaintext://{at}"),
                "from": "Workflows <workflows@example.com>",
                "username": "ops",
                "password": {"env": "SMTP_PASSWORD"},
            })
        })
        .wrong_account(
            json!({
                "smtp": "smtps://smtp.example.com",
                "from": "ops@example.com",
                "username": "ops",
                "timeout": "1ms",
            }),
            &["timeout", "username"],
        )
        .secret("SMTP_PASSWORD", "hunter2-and-more")
        .notification(json!(["jane@example.org", "night-shift@example.org"]))
        .wire(wire)
        .recipient(|mail| {
            let (_, command) = mail.line().split_once("RCPT TO:<")?;
            command.split_once('>').map(|(to, _)| to.to_owned())
        })
        .idempotency_aid(|mail| mail.header("Message-ID").map(str::to_owned))
        .limit("bytes of a line", 998, |payload| {
            let lines = payload.body.split(|byte| *byte == b'\n');
            lines.map(<[u8]>::len).max().unwrap_or(0)
        })
        .limit("bytes of a mail", 1_000_000, |payload| payload.body.len())
        .live("<script>alert(1)</script>", |payload: &Payload| {
            let mail = String::from_utf8_lossy(&payload.body).into_owned();
            let html = mail.split("Content-Type: text/html").nth(1);
            html.is_some_and(|html| html.contains("<script"))
        })
}

notify_testkit::conformance!(fixture());

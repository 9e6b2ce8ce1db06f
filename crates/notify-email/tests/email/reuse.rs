//! Connections that carry several mails, and those that must not.

use notify_core::content::Severity;
use notify_core::{
    Account, DeliveryContext, DeliveryId, Message, Outcome, Prepared, SystemClock, Transport,
};
use notify_testkit::fake::{SmtpAct, SmtpFake, SmtpScript};
use serde_json::json;
use std::sync::Arc;
use tokio::time::Duration;
use uuid::Uuid;

use crate::{Sample, load, section, short, transport, with_login};

const PIPELINING: &str =
    "250-mail.test\r\n250-AUTH PLAIN LOGIN\r\n250-PIPELINING\r\n250 SIZE 1000000";

/// A connected account and numbered mails for it.
pub(crate) struct Client {
    pub(crate) account: Arc<dyn Account>,
    pub(crate) transport: Arc<dyn Transport>,
}

impl Client {
    pub(crate) fn of(section: &serde_json::Value) -> Self {
        let account = load(section);
        let transport = transport(&*account);
        Self { account, transport }
    }

    pub(crate) fn to(fake: &SmtpFake) -> Self {
        Self::of(&section(&format!("smtp+plaintext://{}", fake.address())))
    }

    pub(crate) fn prepared(&self, number: u128, to: &str) -> Prepared {
        let message = Message::new(format!("mail {number}"), Severity::Info);
        let mut sample = Sample::new("nightly-etl", to, message);
        sample.id = DeliveryId::from_uuid(Uuid::from_u128(number));
        sample.prepared(&*self.account)
    }

    pub(crate) async fn deliver(&self, batch: &[Prepared]) -> Vec<Outcome> {
        let clock = SystemClock;
        let cx = DeliveryContext::new(1, &clock);
        self.transport.deliver(&cx, batch).await
    }

    pub(crate) async fn send(&self, number: u128) -> String {
        let batch = [self.prepared(number, "jane@example.org")];
        short(&self.deliver(&batch).await[0])
    }
}

#[tokio::test]
async fn one_connection_carries_mail_after_mail_and_logs_in_once() {
    for ehlo in ["250-mail.test\r\n250 AUTH PLAIN LOGIN", PIPELINING] {
        let fake = SmtpFake::start(SmtpScript::default().ehlo(ehlo));
        let client = Client::of(&with_login(&format!("smtp+plaintext://{}", fake.address())));
        for number in 1..=3 {
            assert_eq!(client.send(number).await, "delivered");
        }
        drop(client);
        fake.until(|seen| seen.requests >= 12).await;
        let mails = fake.mails();
        assert_eq!(fake.progress().connections, 1);
        assert_eq!(mails.len(), 3);
        let logins = mails.iter().flat_map(|mail| &mail.commands);
        assert_eq!(logins.filter(|line| line.starts_with("AUTH")).count(), 1);
        for (number, mail) in mails.iter().enumerate() {
            let wire = mail.wire.as_deref().unwrap();
            assert!(
                wire.contains(&format!("Subject: mail {}\r\n", number + 1)),
                "{wire}"
            );
        }
        assert_eq!(mails[2].commands.last().map(String::as_str), Some("QUIT"));
    }
}

#[tokio::test]
async fn a_refused_mail_leaves_a_connection_that_is_cleared_and_used_again() {
    for ehlo in ["250 mail.test", PIPELINING] {
        let script = SmtpScript::default().ehlo(ehlo);
        let script = script
            .rcpt_for("nobody", "550 5.1.1 no")
            .message_for("mail 2", "554 5.6.0 no");
        // With no recipient left, a server that was told DATA ahead refuses it.
        let refuses_data = ehlo == PIPELINING;
        let fake = SmtpFake::start(script);
        let client = Client::to(&fake);
        assert_eq!(client.send(1).await, "delivered");
        assert_eq!(client.send(2).await, "rejected payload");
        assert_eq!(client.send(3).await, "delivered");
        assert_eq!(fake.progress().connections, 1);
        let nobody = client.prepared(4, "nobody@example.org");
        assert_eq!(
            short(&client.deliver(&[nobody]).await[0]),
            "rejected destination"
        );
        assert_eq!(client.send(5).await, "delivered");
        // A server that waits for a mail to nobody gets none, and is left.
        assert_eq!(
            fake.progress().connections,
            if refuses_data { 2 } else { 1 }
        );
        let mails = fake.mails();
        assert!(mails[1].commands.contains(&"RSET".to_owned()), "{mails:?}");
        let wires = mails.iter().filter(|mail| mail.wire.is_some()).count();
        assert_eq!(wires, 4, "{mails:?}");
    }
}

/// Sends twice, and gives both outcomes and how many connections it took.
async fn twice(first: SmtpScript, second: SmtpScript) -> (String, String, usize) {
    let scripts = [first, second];
    let fake = SmtpFake::answering(move |before| scripts[before.min(1)].clone());
    let client = Client::to(&fake);
    let (one, two) = (client.send(1).await, client.send(2).await);
    (one, two, fake.progress().connections)
}

#[tokio::test]
async fn a_connection_that_is_out_of_step_is_never_used_again() {
    let taken = "250 2.0.0 Ok: queued";
    // What comes too late, or too much, would be heard as the answer to the next mail's commands.
    let table = [
        (
            SmtpScript::default().message("250 ok\r\n554 5.6.0 no"),
            "delivered",
        ),
        (
            SmtpScript::default().rcpt("250 ok\r\n250 ok"),
            "not_delivered protocol",
        ),
        (
            SmtpScript::default().mail("hello there"),
            "not_delivered protocol",
        ),
        (
            SmtpScript::default().data("250 ok"),
            "not_delivered protocol",
        ),
        (SmtpScript::default().message("354 go"), "unknown protocol"),
        (
            SmtpScript::default().message(SmtpAct::Silence),
            "unknown timeout",
        ),
        (
            SmtpScript::default().rcpt(SmtpAct::Silence),
            "not_delivered timeout",
        ),
        (
            SmtpScript::default().message("421 4.3.2 bye"),
            "not_delivered unavailable",
        ),
        (
            SmtpScript::default().message(SmtpAct::Close),
            "unknown connect",
        ),
        (
            SmtpScript::default().message(SmtpAct::Last(taken.to_owned())),
            "delivered",
        ),
    ];
    for (script, expected) in table {
        let shown = format!("{script:?}");
        let (one, two, connections) = twice(script, SmtpScript::default()).await;
        assert_eq!(
            (one.as_str(), two.as_str()),
            (expected, "delivered"),
            "{shown}"
        );
        assert_eq!(connections, 2, "{shown}");
    }
}

#[tokio::test]
async fn an_attempt_that_is_dropped_in_the_middle_takes_its_connection_with_it() {
    let scripts = [
        SmtpScript::default().message(SmtpAct::Silence),
        SmtpScript::default().message("554 5.6.0 no"),
    ];
    let fake = SmtpFake::answering(move |before| scripts[before.min(1)].clone());
    let client = Client::to(&fake);
    let batch = [client.prepared(1, "jane@example.org")];
    tokio::select! {
        outcomes = client.deliver(&batch) => panic!("{outcomes:?}"),
        _ = fake.until(|seen| seen.silent > 0) => {}
    }
    assert_eq!(client.send(2).await, "rejected payload");
    assert_eq!(fake.progress().connections, 2);
}

#[tokio::test]
async fn a_server_that_closed_in_the_meantime_costs_no_attempt() {
    let closing = [
        SmtpAct::Close,
        SmtpAct::Reset,
        SmtpAct::Last("421 4.4.2 idle for too long".to_owned()),
    ];
    for act in closing {
        let fake = SmtpFake::start(SmtpScript::default().mail_again(act.clone()));
        let client = Client::to(&fake);
        assert_eq!(client.send(1).await, "delivered");
        assert_eq!(client.send(2).await, "delivered", "{act:?}");
        assert_eq!(fake.progress().connections, 2, "{act:?}");
    }
    // On a connection of its own it is what it is.
    let fake = SmtpFake::start(SmtpScript::default().mail(SmtpAct::Close));
    assert_eq!(Client::to(&fake).send(1).await, "not_delivered connect");
    assert_eq!(fake.progress().connections, 1);
}

#[tokio::test]
async fn connections_that_waited_are_looked_at_and_old_ones_left() {
    let fake = SmtpFake::start(SmtpScript::default());
    let client = Client::to(&fake);
    assert_eq!(client.send(1).await, "delivered");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    assert_eq!(client.send(2).await, "delivered");
    assert_eq!(fake.progress().connections, 1);
    assert!(fake.mails()[0].commands.contains(&"RSET".to_owned()));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert_eq!(client.send(3).await, "delivered");
    assert_eq!(fake.progress().connections, 2);
}

#[tokio::test]
async fn a_connection_that_waited_for_a_minute_is_closed_without_a_further_mail() {
    let fake = SmtpFake::start(SmtpScript::default());
    let client = Client::to(&fake);
    assert_eq!(client.send(1).await, "delivered");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    // EHLO, MAIL, RCPT, DATA, and now QUIT.
    fake.until(|seen| seen.requests == 5).await;
    assert_eq!(fake.mails()[0].commands.last().unwrap(), "QUIT");
    assert_eq!(client.send(2).await, "delivered");
    assert_eq!(fake.progress().connections, 2);
}

#[tokio::test]
async fn there_are_never_more_connections_than_the_account_says() {
    let fake = SmtpFake::start(SmtpScript::default());
    let mut section = section(&format!("smtp+plaintext://{}", fake.address()));
    section["connections"] = json!(2);
    section["timeout"] = json!("10s");
    let client = Arc::new(Client::of(&section));
    let mut sending = tokio::task::JoinSet::new();
    for number in 0..20 {
        let client = Arc::clone(&client);
        sending.spawn(async move { client.send(number).await });
    }
    while let Some(sent) = sending.join_next().await {
        assert_eq!(sent.unwrap(), "delivered");
    }
    assert!(fake.progress().connections <= 2, "{:?}", fake.progress());
    assert_eq!(fake.mails().len(), 20);
}

#[tokio::test]
async fn who_waits_for_a_connection_too_long_has_begun_nothing() {
    let fake = SmtpFake::start(SmtpScript::default().message(SmtpAct::Silence));
    let mut section = section(&format!("smtp+plaintext://{}", fake.address()));
    section["connections"] = json!(1);
    let client = Client::of(&section);
    let (first, second) = tokio::join!(client.send(1), client.send(2));
    assert_eq!(first, "unknown timeout");
    assert_eq!(second, "not_delivered connect");
    assert_eq!(fake.mails().len(), 1);
}

#[tokio::test]
async fn a_mail_is_not_begun_when_its_answer_could_not_be_waited_for() {
    let slow = SmtpScript::default().data(SmtpAct::Drip("354 go ahead".to_owned()));
    let fake = SmtpFake::start(slow);
    let client = Client::to(&fake);
    let late = async {
        fake.until(|seen| seen.thirsty).await;
        // Of three seconds, half of one is left.
        tokio::time::pause();
        tokio::time::advance(Duration::from_millis(2_500)).await;
        tokio::time::resume();
        fake.let_out(100);
    };
    let (outcome, ()) = tokio::join!(client.send(1), late);
    assert_eq!(outcome, "not_delivered timeout");
    assert!(fake.mails()[0].wire.is_none());
}

#[tokio::test]
async fn a_mail_that_is_too_large_for_the_server_is_not_begun() {
    let fake = SmtpFake::start(SmtpScript::default().ehlo("250-mail.test\r\n250 SIZE 1000"));
    assert_eq!(Client::to(&fake).send(1).await, "rejected payload");
    let heard = fake.mails()[0].commands.join(" ");
    assert!(!heard.contains("MAIL"), "{heard}");

    let fake = SmtpFake::start(SmtpScript::default().ehlo("250-mail.test\r\n250 SIZE 0"));
    assert_eq!(Client::to(&fake).send(1).await, "delivered");
    let heard = fake.mails()[0].commands.join(" ");
    assert!(heard.contains("> SIZE="), "{heard}");
}

#[tokio::test]
async fn a_bare_code_is_a_reply_at_every_stage() {
    let script = SmtpScript::default()
        .greeting("220")
        .ehlo("250")
        .mail("250")
        .rcpt("250")
        .data("354")
        .message("250");
    let fake = SmtpFake::start(script);
    assert_eq!(Client::to(&fake).send(1).await, "delivered");
}

//! The provider against scripted SMTP servers on loopback and a real one, its page against the
//! program.

#![cfg(test)]

mod conformance;
mod golden;
mod login;
mod mta;
mod page;
mod reuse;
mod sandbox;
mod together;

use std::sync::Arc;
use std::time::Duration;

use mail_parser::{Message as Parsed, MessageParser};
use notify_core::content::{Block, Inline, Severity};
use notify_core::secret::SecretError;
use notify_core::{
    Account, AccountId, AccountName, Delivery, DeliveryContext, DeliveryId, Email, EmailAddress,
    Execution, Kind, Message, Notification, NotificationKind, Outcome, Payload, Phases, Prepared,
    Recipient, SecretRef, SecretSource, Secrets, SystemClock, TerminalPhase, Timestamp, Transport,
    WorkflowEnded, WorkflowName,
};
use notify_email::DESCRIPTOR;
use notify_testkit::fake::{SmtpFake, SmtpScript};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

const PASSWORD: &str = "hunter2-and-more";
/// AUTH PLAIN of `ops` and the password.
const PLAIN: &str = "AG9wcwBodW50ZXIyLWFuZC1tb3Jl";

// ---- the server -------------------------------------------------------------------------------

/// What the server does at one point.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Say(&'static str),
    Close,
    Silence,
}
use Act::{Close, Say, Silence};

/// What the server does at every point; `Default` takes the mail.
#[derive(Clone, Copy, Debug)]
struct Script {
    greeting: Act,
    ehlo: Act,
    starttls: Act,
    auth: Act,
    mail: Act,
    rcpt: Act,
    data: Act,
    message: Act,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            greeting: Say("220 mail.test ESMTP"),
            ehlo: Say("250-mail.test\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME"),
            starttls: Say("502 5.5.1 not here"),
            auth: Say("235 2.7.0 welcome"),
            mail: Say("250 2.1.0 ok"),
            rcpt: Say("250 2.1.5 ok"),
            data: Say("354 go ahead"),
            message: Say("250 2.0.0 Ok: queued as 4XyZ"),
        }
    }
}

/// What the server saw.
#[derive(Debug, Default)]
struct Seen {
    commands: Vec<String>,
    /// The mail as it was on the wire, dots still doubled, the final one left out.
    wire: Option<String>,
}

/// Serves one connection.
async fn serve(listener: TcpListener, script: Script) -> Seen {
    let mut seen = Seen::default();
    let (tcp, _) = listener.accept().await.unwrap();
    let mut tcp = BufReader::new(tcp);
    let mut act = script.greeting;
    let mut logins = 0;
    loop {
        match act {
            Say(words) => {
                let reply = format!("{words}\r\n");
                if tcp.write_all(reply.as_bytes()).await.is_err() {
                    return seen;
                }
            }
            Close => return seen,
            Silence => {
                // Until the client gives up.
                tcp.read_to_end(&mut Vec::new()).await.ok();
                return seen;
            }
        }
        if act == script.data
            && act == Say("354 go ahead")
            && seen.wire.is_none()
            && said(&seen, "DATA")
        {
            let mut wire = Vec::new();
            while !wire.ends_with(b"\r\n.\r\n") {
                if tcp.read_until(b'\n', &mut wire).await.unwrap_or(0) == 0 {
                    return seen;
                }
            }
            wire.truncate(wire.len() - 3);
            seen.wire = Some(String::from_utf8(wire).unwrap());
            act = script.message;
            continue;
        }
        let mut line = Vec::new();
        if tcp.read_until(b'\n', &mut line).await.unwrap_or(0) == 0 {
            return seen;
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let verb = line.split([' ', ':']).next().unwrap().to_uppercase();
        seen.commands.push(line);
        act = match verb.as_str() {
            "EHLO" => script.ehlo,
            "STARTTLS" => script.starttls,
            "AUTH" => script.auth,
            "MAIL" => script.mail,
            "RCPT" => script.rcpt,
            "DATA" => script.data,
            "QUIT" => Say("221 bye"),
            // Answers to AUTH LOGIN.
            _ if script.auth == Say("334 VXNlcm5hbWU6") => {
                logins += 1;
                if logins == 1 {
                    Say("334 UGFzc3dvcmQ6")
                } else {
                    Say("235 ok")
                }
            }
            _ => Say("500 what?"),
        };
    }
}

fn said(seen: &Seen, command: &str) -> bool {
    seen.commands.last().is_some_and(|last| last == command)
}

// ---- the client -------------------------------------------------------------------------------

#[derive(Debug)]
struct Fixed;

impl SecretSource for Fixed {
    fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
        Ok(PASSWORD.into())
    }
}

fn load(section: &Value) -> Arc<dyn Account> {
    let id = AccountId {
        kind: Kind::from_static(Email::KIND),
        name: AccountName::default_name(),
    };
    DESCRIPTOR.load_account(id, section).unwrap()
}

fn section(smtp: &str) -> Value {
    json!({"smtp": smtp, "from": "Workflows <workflows@example.com>", "timeout": "3s"})
}

fn with_login(smtp: &str) -> Value {
    let mut section = section(smtp);
    section["username"] = json!("ops");
    section["password"] = json!({"env": "SMTP_PASSWORD"});
    section
}

fn transport(account: &dyn Account) -> Arc<dyn Transport> {
    let secrets = Secrets::resolve(account.secrets(), &Fixed);
    account.connect(&secrets).unwrap()
}

struct Sample {
    id: DeliveryId,
    event: WorkflowEnded,
    notification: Notification,
    message: Message,
}

impl Sample {
    fn new(workflow: &str, to: &str, message: Message) -> Self {
        let address: EmailAddress = to.parse().unwrap();
        Self {
            id: DeliveryId::from_uuid(Uuid::from_u128(0x0192_c0de)),
            event: WorkflowEnded::new(
                WorkflowName::new(workflow).unwrap(),
                Execution::new("analytics", "production", "run-17").unwrap(),
                TerminalPhase::Failed,
            ),
            notification: Email::on(Phases::from(TerminalPhase::Failed))
                .to(address)
                .into(),
            message,
        }
    }

    fn usual() -> Self {
        let message = Message::new("nightly-etl failed", Severity::Error)
            .block(Block::text("It ran for 2h 5m."))
            .block(Block::Code(".\r\n..\r\nrow 4: größer\n.".to_owned()))
            .action("Open the run", "https://flows.example.com/run-17");
        Self::new("nightly-etl", "jane@example.org", message)
    }

    fn recipient(&self) -> &Recipient {
        &self.notification.recipients()[0]
    }

    fn payload(&self, account: &dyn Account) -> Payload {
        let at: Timestamp = "2026-11-20T23:57:46Z".parse().unwrap();
        let (event, notification) = (&self.event, &self.notification);
        let delivery = Delivery::new(self.id, event, notification, self.recipient(), at);
        account.payload(&delivery, &self.message)
    }

    fn prepared(&self, account: &dyn Account) -> Prepared {
        Prepared {
            id: self.id,
            recipient: self.recipient().clone(),
            payload: self.payload(account),
        }
    }
}

/// Runs one attempt against one script.
async fn attempt(
    script: Script,
    sample: &Sample,
    section: impl Fn(&str) -> Value,
    scheme: &str,
) -> (Outcome, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{scheme}://{}", listener.local_addr().unwrap());
    let account = load(&section(&url));
    let transport = transport(&*account);
    let batch = [sample.prepared(&*account)];
    let clock = SystemClock;
    let cx = DeliveryContext::new(1, &clock);
    // The connection ends with the transport.
    let deliver = async move {
        let within = account.deadline() + Duration::from_secs(5);
        tokio::time::timeout(within, transport.deliver(&cx, &batch))
            .await
            .unwrap()
    };
    let (mut outcomes, seen) = tokio::join!(deliver, serve(listener, script));
    assert_eq!(outcomes.len(), 1);
    (outcomes.remove(0), seen)
}

/// Writes an outcome as `rejected policy`, `not_delivered timeout`, `delivered`.
fn short(outcome: &Outcome) -> String {
    match outcome {
        Outcome::NotDelivered { cause, .. } | Outcome::Unknown { cause, .. } => {
            format!("{} {}", outcome.name(), cause.name())
        }
        Outcome::Rejected { reason, .. } => format!("rejected {}", reason.name()),
        _ => outcome.name().to_owned(),
    }
}

fn detail(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::NotDelivered { detail, .. }
        | Outcome::Rejected { detail, .. }
        | Outcome::Unknown { detail, .. } => detail,
        _ => "",
    }
}

// ---- what is sent -----------------------------------------------------------------------------

#[tokio::test]
async fn a_mail_is_handed_in_whole_and_the_receipt_keeps_the_servers_words() {
    let sample = Sample::usual();
    let (outcome, seen) = attempt(Script::default(), &sample, with_login, "smtp+plaintext").await;
    let Outcome::Delivered(receipt) = outcome else {
        panic!("{outcome:?}");
    };
    let id = format!("{}@example.com", sample.id);
    assert_eq!(receipt.id, format!("<{id}>"));
    assert_eq!(receipt.facts["reply"], "250 2.0.0 Ok: queued as 4XyZ");

    let [ehlo, rest @ ..] = seen.commands.as_slice() else {
        panic!("{seen:?}");
    };
    assert!(ehlo.starts_with("EHLO ") && ehlo.contains('.'), "{ehlo}");
    let expected = [
        &format!("AUTH PLAIN {PLAIN}"),
        "MAIL FROM:<workflows@example.com>",
        "RCPT TO:<jane@example.org>",
        "DATA",
        "QUIT",
    ];
    assert_eq!(rest, expected);

    let wire = seen.wire.unwrap();
    assert!(wire.contains("\r\n...\r\n"), "dots are doubled: {wire}");
    let mail = wire.replace("\r\n..", "\r\n.");
    let parsed = parse(mail.as_bytes());
    assert_eq!(parsed.subject(), Some("[failed] nightly-etl"));
    assert_eq!(parsed.message_id(), Some(id.as_str()));
    assert_eq!(parsed.date().unwrap().to_rfc3339(), "2026-11-20T23:57:46Z");
    let from = parsed.from().unwrap().first().unwrap();
    assert_eq!(
        (from.name(), from.address()),
        (Some("Workflows"), Some("workflows@example.com"))
    );
    let to = parsed.to().unwrap().first().unwrap();
    assert_eq!(to.address(), Some("jane@example.org"));
    assert_eq!(
        parsed.header_raw("Auto-Submitted").map(str::trim),
        Some("auto-generated")
    );
    assert_eq!(
        parsed.header_raw("X-Auto-Response-Suppress").map(str::trim),
        Some("All")
    );
    assert_eq!(
        parsed.header_raw("MIME-Version").map(str::trim),
        Some("1.0")
    );
    let text = parsed.body_text(0).unwrap();
    assert!(
        text.contains("\n    .\r\n    ..\r\n    row 4: größer\r\n    .\r\n"),
        "{text:?}"
    );
    assert!(text.contains("Open the run: https://flows.example.com/run-17"));
    let html = parsed.body_html(0).unwrap();
    assert!(
        html.contains(">\r\n.\r\n..\r\nrow 4: größer\r\n.</pre>"),
        "{html}"
    );
    assert!(html.contains("href=\"https://flows.example.com/run-17\""));
}

fn parse(mail: &[u8]) -> Parsed<'_> {
    MessageParser::default().parse(mail).unwrap()
}

#[test]
fn a_payload_is_the_same_to_the_byte_on_every_call() {
    let account = load(&section("smtps://smtp.example.com"));
    let sample = Sample::usual();
    let first = sample.payload(&*account);
    assert_eq!(first.content_type, "message/rfc822");
    assert_eq!(first, sample.payload(&*account));
    assert_eq!(
        first,
        sample.payload(&*load(&section("smtps://smtp.example.com")))
    );
}

#[test]
fn ends_of_one_workflow_form_one_thread() {
    let account = load(&section("smtps://smtp.example.com"));
    let mail = |workflow: &str, id: u128| {
        let message = Message::new("ended", Severity::Info);
        let mut sample = Sample::new(workflow, "jane@example.org", message);
        sample.id = DeliveryId::from_uuid(Uuid::from_u128(id));
        let payload = sample.payload(&*account);
        let parsed = parse(&payload.body);
        let header = |name: &str| parsed.header_raw(name).unwrap().trim().to_owned();
        assert_eq!(header("In-Reply-To"), header("References"));
        let headers = (
            header("References"),
            header("List-Id"),
            header("Message-ID"),
        );
        assert!(headers.0.ends_with("@example.com>") && headers.1.ends_with(".example.com>"));
        headers
    };
    let (first, second, other) = (mail("a", 1), mail("a", 2), mail("b", 3));
    assert_eq!((&first.0, &first.1), (&second.0, &second.1));
    assert_ne!(first.2, second.2);
    assert_ne!(first.0, other.0);
    assert_ne!(first.1, other.1);
}

#[test]
fn hostile_text_reaches_no_header_and_breaks_no_line() {
    let boundary = format!("=_{}", DeliveryId::from_uuid(Uuid::from_u128(0x0192_c0de)));
    let hostile = [
        "x\r\nBcc: evil@example.com\r\n\r\nbody".to_owned(),
        "x\nBcc: evil@example.com".to_owned(),
        "x\rBcc: evil@example.com".to_owned(),
        "\u{0}\u{1b}]0;title\u{7}\u{85}\u{2028}\u{9b}31m".to_owned(),
        "=?utf-8?q?=0D=0ABcc=3A_evil=40example.com?=".to_owned(),
        "x".repeat(100_000),
        "é".repeat(100_000),
        "\r\n.\r\nMAIL FROM:<evil@example.com>\r\n".to_owned(),
        format!(
            "\r\n--{boundary}--\r\n\r\n--{boundary}\r\nContent-Type: text/html\r\n\r\n<script>"
        ),
        String::new(),
    ];
    let account = load(&section("smtps://smtp.example.com"));
    for text in &hostile {
        let message = Message::new(text, Severity::Critical)
            .block(Block::text(text))
            .block(Block::Items {
                ordered: true,
                items: vec![vec![Inline::plain(text)]],
            })
            .block(Block::Code(text.clone()))
            .action(text, text)
            .footer(text);
        let name = "夜間バッチ: <x@y> =?utf-8?q?x?=";
        let sample = Sample::new(name, "jürgen@bücher.example", message);
        let payload = sample.payload(&*account);
        let mail = std::str::from_utf8(&payload.body).unwrap();
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        for line in mail.split("\r\n") {
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(line.len() <= 998, "{}", line.len());
        }
        let names: Vec<&str> = head
            .split("\r\n")
            .filter(|line| !line.starts_with(' '))
            .map(|line| line.split(':').next().unwrap())
            .collect();
        let expected = [
            "Content-Type",
            "MIME-Version",
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "In-Reply-To",
            "References",
            "List-Id",
            "Auto-Submitted",
            "X-Auto-Response-Suppress",
        ];
        assert_eq!(names, expected, "{text:.40?}");
        let parsed = parse(&payload.body);
        assert!(parsed.bcc().is_none());
        let attached = parsed.attachments().count();
        let round = usize::from(attached > 0);
        assert_eq!(parsed.parts.len(), 3 + attached + round, "{text:.40?}");
        let html = parsed.body_html(0).unwrap();
        assert!(!html.contains("<script"));
        let subject = parsed.subject().unwrap_or_default();
        assert!(subject.chars().count() <= 210, "{subject}");
        assert!(!subject.contains("Bcc:") || !subject.contains(['\r', '\n']));
        assert_eq!(
            parsed.to().unwrap().first().unwrap().address(),
            Some("jürgen@xn--bcher-kva.example")
        );
    }
}

// ---- what failures mean -----------------------------------------------------------------------

#[tokio::test]
async fn every_stage_has_an_outcome_for_every_way_to_fail() {
    type Place = fn(&mut Script) -> &mut Act;
    let places: [(&str, Place); 7] = [
        ("greeting", |script| &mut script.greeting),
        ("ehlo", |script| &mut script.ehlo),
        ("auth", |script| &mut script.auth),
        ("mail", |script| &mut script.mail),
        ("rcpt", |script| &mut script.rcpt),
        ("data", |script| &mut script.data),
        ("message", |script| &mut script.message),
    ];
    let rejected = [
        "policy",
        "policy",
        "auth",
        "policy",
        "destination",
        "policy",
        "policy",
    ];
    let ahead = Say("250-mail.test\r\n250-AUTH PLAIN LOGIN\r\n250 PIPELINING");
    let mut runs = JoinSet::new();
    for ((name, place), reason) in places.into_iter().zip(rejected) {
        let cut_off = if name == "message" {
            "unknown"
        } else {
            "not_delivered"
        };
        let cases = [
            (Say("451 not now"), "not_delivered unavailable".to_owned()),
            (
                Say("421 4.7.0 slow down"),
                "not_delivered throttled".to_owned(),
            ),
            (Say("554 no"), format!("rejected {reason}")),
            (Close, format!("{cut_off} connect")),
            (Silence, format!("{cut_off} timeout")),
            (Say("hello there"), format!("{cut_off} protocol")),
        ];
        // One command after the other, and all ahead of their answers.
        for ehlo in [Script::default().ehlo, ahead] {
            for (act, expected) in cases.clone() {
                let mut script = Script {
                    ehlo,
                    ..Script::default()
                };
                *place(&mut script) = act;
                runs.spawn(async move {
                    let sample = Sample::usual();
                    let (outcome, seen) =
                        attempt(script, &sample, with_login, "smtp+plaintext").await;
                    (name, act, expected, outcome, seen)
                });
            }
        }
    }
    while let Some(run) = runs.join_next().await {
        let (name, act, expected, outcome, seen) = run.unwrap();
        assert_eq!(short(&outcome), expected, "{name} {act:?}: {outcome:?}");
        assert!(!detail(&outcome).is_empty());
        let handed_in = name == "message";
        assert_eq!(seen.wire.is_some(), handed_in, "{name} {act:?}");
    }
}

#[tokio::test]
async fn a_positive_reply_that_is_not_the_wanted_one_is_no_success() {
    let table = [
        (
            Script {
                mail: Say("354 go"),
                ..Script::default()
            },
            "not_delivered protocol",
        ),
        (
            Script {
                rcpt: Say("354 go"),
                ..Script::default()
            },
            "not_delivered protocol",
        ),
        (
            Script {
                data: Say("250 ok"),
                ..Script::default()
            },
            "not_delivered protocol",
        ),
        (
            Script {
                message: Say("354 go"),
                ..Script::default()
            },
            "unknown protocol",
        ),
        (
            Script {
                rcpt: Say("251 will forward"),
                ..Script::default()
            },
            "delivered",
        ),
    ];
    for (script, expected) in table {
        let (outcome, _) = attempt(script, &Sample::usual(), section, "smtp+plaintext").await;
        assert_eq!(short(&outcome), expected, "{script:?}");
    }
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    let (outcome, seen) = attempt(Script::default(), &Sample::usual(), with_login, "smtp").await;
    assert_eq!(short(&outcome), "rejected config");
    assert!(detail(&outcome).contains("STARTTLS"), "{outcome:?}");
    assert_eq!(seen.commands.len(), 2, "{seen:?}");
    assert!(seen.commands[0].starts_with("EHLO ") && seen.commands[1] == "QUIT");
}

#[tokio::test]
async fn starttls_that_fails_ends_the_dialogue() {
    let offered = Say("250-mail.test\r\n250 STARTTLS");
    let table = [
        (
            Say("454 4.7.0 TLS not available"),
            "not_delivered unavailable",
        ),
        (Say("502 5.5.1 not here"), "rejected config"),
        (Say("hello there"), "not_delivered protocol"),
        (Say("250 ok"), "not_delivered protocol"),
        (Close, "not_delivered connect"),
        (Silence, "not_delivered timeout"),
    ];
    for (starttls, expected) in table {
        let script = Script {
            ehlo: offered,
            starttls,
            ..Script::default()
        };
        let (outcome, seen) = attempt(script, &Sample::usual(), with_login, "smtp").await;
        assert_eq!(short(&outcome), expected, "{starttls:?}: {outcome:?}");
        let heard = seen.commands.join(" ");
        assert!(
            !heard.contains("AUTH") && !heard.contains("MAIL"),
            "{heard}"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_ends_the_dialogue() {
    let server = SmtpFake::start(SmtpScript::default().with_starttls());
    let account = load(&with_login(&format!("smtp://{}", server.address())));
    let clock = SystemClock;
    let cx = DeliveryContext::new(1, &clock);
    let batch = [Sample::usual().prepared(&*account)];
    let outcomes = transport(&*account).deliver(&cx, &batch).await;
    assert_eq!(short(&outcomes[0]), "rejected config", "{outcomes:?}");
    let heard = server.mails().remove(0).commands;
    assert!(
        heard[0].starts_with("EHLO ") && heard[1..] == ["STARTTLS"],
        "{heard:?}"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_a_wrong_setting_and_hears_nothing() {
    let (outcome, seen) = attempt(Script::default(), &Sample::usual(), with_login, "smtps").await;
    assert_eq!(short(&outcome), "rejected config", "{outcome:?}");
    assert!(!format!("{seen:?}").contains("AUTH"));
}

#[tokio::test]
async fn login_is_used_where_plain_is_not_offered_and_neither_where_none_is() {
    let script = Script {
        ehlo: Say("250-mail.test\r\n250 AUTH LOGIN CRAM-MD5"),
        auth: Say("334 VXNlcm5hbWU6"),
        ..Script::default()
    };
    let (outcome, seen) = attempt(script, &Sample::usual(), with_login, "smtp+plaintext").await;
    assert_eq!(short(&outcome), "delivered", "{outcome:?} {seen:?}");

    let script = Script {
        ehlo: Say("250-mail.test\r\n250 AUTH CRAM-MD5"),
        ..Script::default()
    };
    let (outcome, seen) = attempt(script, &Sample::usual(), with_login, "smtp+plaintext").await;
    assert_eq!(short(&outcome), "rejected config");
    assert!(!format!("{seen:?}").contains("AUTH"));
}

#[tokio::test]
async fn the_password_is_in_no_outcome_and_no_debug_even_where_the_server_repeats_it() {
    let echo =
        "535 5.7.8 no: hunter2-and-more AG9wcwBodW50ZXIyLWFuZC1tb3Jl aHVudGVyMi1hbmQtbW9yZQ==";
    let script = Script {
        auth: Say(echo),
        ..Script::default()
    };
    let (outcome, _) = attempt(script, &Sample::usual(), with_login, "smtp+plaintext").await;
    assert_eq!(
        detail(&outcome),
        "at AUTH: 535 5.7.8 no: [secret] [secret] [secret]"
    );
    let script = Script {
        message: Say("250 ok hunter2-and-more"),
        ..Script::default()
    };
    let (outcome, _) = attempt(script, &Sample::usual(), with_login, "smtp+plaintext").await;
    assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");

    let account = load(&with_login("smtps://smtp.example.com"));
    let transport = transport(&*account);
    let shown = format!("{account:?} {transport:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains(PLAIN),
        "{shown}"
    );
}

#[tokio::test]
async fn an_address_in_another_script_needs_a_server_that_takes_one() {
    let message = Message::new("x", Severity::Info);
    let sample = Sample::new("w", "用户@例子.广告", message);
    let (outcome, seen) = attempt(Script::default(), &sample, section, "smtp+plaintext").await;
    assert_eq!(short(&outcome), "rejected destination");
    assert!(detail(&outcome).contains("SMTPUTF8"));
    assert!(!format!("{seen:?}").contains("MAIL"));

    let script = Script {
        ehlo: Say("250-mail.test\r\n250-8BITMIME\r\n250 SMTPUTF8"),
        ..Script::default()
    };
    let (outcome, seen) = attempt(script, &sample, section, "smtp+plaintext").await;
    assert_eq!(short(&outcome), "delivered", "{outcome:?}");
    assert_eq!(
        seen.commands[1],
        "MAIL FROM:<workflows@example.com> SMTPUTF8 BODY=8BITMIME"
    );
    assert_eq!(seen.commands[2], "RCPT TO:<用户@xn--fsqu00a.xn--4rr70v>");

    // The domain alone needs nothing.
    let sample = Sample::new("w", "jane@例子.广告", Message::new("x", Severity::Info));
    let (outcome, seen) = attempt(Script::default(), &sample, section, "smtp+plaintext").await;
    assert_eq!(short(&outcome), "delivered", "{outcome:?}");
    assert!(seen.wire.unwrap().is_ascii());
}

#[tokio::test]
async fn nobody_at_the_port_delivers_no_mail_of_the_batch() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let account = load(&section(&format!("smtp+plaintext://{free}")));
    let clock = SystemClock;
    let cx = DeliveryContext::new(1, &clock);
    let prepared = Sample::usual().prepared(&*account);
    let batch = [prepared.clone(), prepared];
    let outcomes = transport(&*account).deliver(&cx, &batch).await;
    let outcomes: Vec<String> = outcomes.iter().map(short).collect();
    assert_eq!(outcomes, ["not_delivered connect", "not_delivered connect"]);
}

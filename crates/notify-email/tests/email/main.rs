//! The provider against scripted SMTP servers on loopback and a real one, its page against the
//! program.

#![cfg(test)]

mod conformance;
mod failures;
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
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
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

//! Every stage of a dialogue and every way to fail there.

use notify_core::content::Severity;
use notify_core::{DeliveryContext, Message, SystemClock};
use notify_testkit::fake::{SmtpFake, SmtpScript};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::Act::{self, Close, Say, Silence};
use crate::{PLAIN, Sample, Script, attempt, detail, load, section, short, transport, with_login};

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

//! Every reply that is documented somewhere, and what it comes to.

use super::*;

/// Writes an outcome as `rejected policy`, `not_delivered throttled`, `unknown timeout`.
fn short(outcome: &Outcome) -> String {
    let what = match outcome {
        Outcome::NotDelivered { cause, .. } | Outcome::Unknown { cause, .. } => cause.name(),
        Outcome::Rejected { reason, .. } => reason.name(),
        _ => "",
    };
    format!("{} {what}", outcome.name())
}

#[track_caller]
fn check(stage: Stage, code: u16, text: &str, expected: &str) {
    let fault = Fault::Reply(Reply::new(code, text.to_owned()));
    let outcome = outcome(stage, &fault);
    assert_eq!(short(&outcome), expected, "{stage:?} {code} {text}");
}

#[test]
fn every_documented_reply_has_its_outcome() {
    use Stage::{Auth, Connect, Data, Ehlo, Mail, Message, Rcpt, StartTls};
    let table = [
        (
            Connect,
            421,
            "4.3.2 Service not available",
            "not_delivered unavailable",
        ),
        (
            Connect,
            421,
            "4.7.0 Try again later",
            "not_delivered throttled",
        ),
        (
            Connect,
            421,
            "Too many concurrent SMTP connections",
            "not_delivered throttled",
        ),
        (Connect, 554, "No SMTP service here", "rejected policy"),
        (Connect, 521, "Host does not accept mail", "rejected config"),
        (Ehlo, 504, "5.5.2 Helo command rejected", "rejected config"),
        (
            StartTls,
            454,
            "TLS not available",
            "not_delivered unavailable",
        ),
        (StartTls, 502, "5.5.1 Not implemented", "rejected config"),
        (
            Auth,
            454,
            "4.7.0 Temporary authentication failure",
            "not_delivered unavailable",
        ),
        (
            Auth,
            432,
            "4.3.2 Concurrent connections limit exceeded",
            "not_delivered throttled",
        ),
        (Auth, 421, "4.7.0 Closing", "not_delivered throttled"),
        (
            Auth,
            535,
            "5.7.8 Username and Password not accepted",
            "rejected auth",
        ),
        (
            Auth,
            534,
            "5.7.9 Application-specific password required",
            "rejected auth",
        ),
        (Auth, 538, "5.7.11 Encryption required", "rejected auth"),
        (Auth, 530, "5.7.0 Authentication required", "rejected auth"),
        (
            Auth,
            550,
            "5.7.30 Basic authentication is not supported",
            "rejected auth",
        ),
        (
            Auth,
            504,
            "5.5.4 Unrecognized authentication type",
            "rejected config",
        ),
        (Mail, 451, "4.3.0 Local error", "not_delivered unavailable"),
        (
            Mail,
            452,
            "4.3.1 Insufficient storage",
            "not_delivered unavailable",
        ),
        (
            Mail,
            454,
            "Throttling failure: Maximum sending rate exceeded",
            "not_delivered throttled",
        ),
        (Mail, 530, "5.7.0 Authentication required", "rejected auth"),
        (
            Mail,
            530,
            "5.7.0 Must issue a STARTTLS command first",
            "rejected config",
        ),
        (
            Mail,
            550,
            "5.7.60 Client does not have permissions to send as this sender",
            "rejected config",
        ),
        (
            Mail,
            553,
            "5.7.1 Sender address rejected",
            "rejected config",
        ),
        (
            Mail,
            552,
            "5.3.4 Message size exceeds fixed limit",
            "rejected payload",
        ),
        (Mail, 555, "5.5.4 Unsupported option", "rejected payload"),
        (Rcpt, 450, "4.7.1 Greylisted", "not_delivered unavailable"),
        (
            Rcpt,
            450,
            "4.2.1 Receiving mail at a rate that prevents delivery",
            "not_delivered unavailable",
        ),
        (
            Rcpt,
            452,
            "4.5.3 Too many recipients",
            "not_delivered throttled",
        ),
        (
            Rcpt,
            552,
            "5.5.3 Too many recipients",
            "not_delivered throttled",
        ),
        (Rcpt, 550, "5.1.1 No such user", "rejected destination"),
        (Rcpt, 550, "No such user", "rejected destination"),
        (Rcpt, 551, "User not local", "rejected destination"),
        (Rcpt, 552, "5.2.2 Mailbox full", "rejected destination"),
        (
            Rcpt,
            553,
            "5.1.3 Bad address syntax",
            "rejected destination",
        ),
        (Rcpt, 556, "5.1.10 Null MX", "rejected destination"),
        (Rcpt, 550, "5.7.1 Relaying denied", "rejected policy"),
        (
            Rcpt,
            550,
            "5.4.5 Daily user sending limit exceeded",
            "rejected policy",
        ),
        (
            Message,
            550,
            "5.4.5 Daily user sending limit exceeded",
            "rejected policy",
        ),
        (Rcpt, 530, "Authentication required", "rejected auth"),
        (Data, 451, "Local error", "not_delivered unavailable"),
        (Data, 554, "5.5.1 No valid recipients", "rejected policy"),
        (Data, 503, "Bad sequence", "rejected config"),
        (Message, 421, "4.3.0 Closing", "not_delivered unavailable"),
        (Message, 451, "4.7.1 Try again", "not_delivered unavailable"),
        (Message, 552, "Too much mail data", "rejected payload"),
        (Message, 552, "5.2.2 Over quota", "rejected destination"),
        (Message, 554, "5.6.0 Bad MIME", "rejected payload"),
        (Message, 554, "5.7.1 Looks like spam", "rejected policy"),
        (
            Message,
            550,
            "5.7.26 Unauthenticated sender",
            "rejected policy",
        ),
        (Message, 554, "Transaction failed", "rejected policy"),
    ];
    for (stage, code, text, expected) in table {
        check(stage, code, text, expected);
    }
}

#[test]
fn an_enhanced_code_counts_only_within_its_own_class() {
    assert_eq!(enhanced(550, "5.1.1 gone"), Some((1, 1)));
    assert_eq!(enhanced(550, "5.7.26"), Some((7, 26)));
    for text in [
        "4.1.1 gone",
        "5.1 gone",
        "5.1.1.1 gone",
        "10.0.0.1 gone",
        "gone",
        "",
    ] {
        assert_eq!(enhanced(550, text), None, "{text}");
    }
}

#[test]
fn what_breaks_off_after_the_message_is_unknown_and_before_it_not_delivered() {
    let faults = [
        (Fault::Lost(String::new()), "connect"),
        (Fault::Garbled(String::new()), "protocol"),
        (Fault::Timeout, "timeout"),
    ];
    for (fault, cause) in faults {
        for stage in [
            Stage::Connect,
            Stage::Tls,
            Stage::StartTls,
            Stage::Ehlo,
            Stage::Auth,
            Stage::Mail,
            Stage::Rcpt,
            Stage::Data,
        ] {
            assert_eq!(
                short(&outcome(stage, &fault)),
                format!("not_delivered {cause}")
            );
        }
        assert_eq!(
            short(&outcome(Stage::Message, &fault)),
            format!("unknown {cause}")
        );
    }
}

#[test]
fn dots_are_doubled_and_line_ends_made_whole() {
    let table = [
        ("", ".\r\n"),
        ("a\r\n", "a\r\n.\r\n"),
        ("a", "a\r\n.\r\n"),
        (".\r\n..b\r\nc.\r\n", "..\r\n...b\r\nc.\r\n.\r\n"),
        ("a\n.\nb\r.\rc\0", "a\r\n..\r\nb\r\n..\r\nc\r\n.\r\n"),
        ("\0.\r\nb\n\r\0\0..", "..\r\nb\r\n\r\n...\r\n.\r\n"),
        ("a\r\n\r\n.\r\n", "a\r\n\r\n..\r\n.\r\n"),
    ];
    for (mail, expected) in table {
        assert_eq!(data_block(mail), expected, "{mail:?}");
    }
}

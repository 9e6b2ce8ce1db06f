//! What replies and silences mean: pure tables from a stage of the dialogue and what went wrong
//! there to an [`Outcome`]; and the form that a mail has between `DATA` and the final dot.

use notify_core::{Cause, Outcome, Reason, Scope};

/// How far the dialogue had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Name, TCP, greeting.
    Connect,
    /// TLS from the first byte.
    Tls,
    /// STARTTLS and the handshake.
    StartTls,
    /// EHLO, in plain text or under TLS.
    Ehlo,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA, up to the server's 354.
    Data,
    /// The mail itself, up to the server's answer to the final dot.
    Message,
}

impl Stage {
    /// Names the stage among those of a check.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls | Self::StartTls => "tls",
            Self::Ehlo => "ehlo",
            Self::Auth => "auth",
            Self::Mail | Self::Rcpt | Self::Data | Self::Message => "mail",
        }
    }

    /// Names the stage in a detail.
    const fn words(self) -> &'static str {
        match self {
            Self::Connect => "on connecting",
            Self::Tls => "in the TLS handshake",
            Self::StartTls => "at STARTTLS",
            Self::Ehlo => "at EHLO",
            Self::Auth => "at AUTH",
            Self::Mail => "at MAIL FROM",
            Self::Rcpt => "at RCPT TO",
            Self::Data => "at DATA",
            Self::Message => "after the message",
        }
    }
}

/// What ended a dialogue early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server said no.
    Reply(Reply),
    /// The connection could not be made or broke.
    Lost(String),
    /// The server said what it may not say here.
    Garbled(String),
    /// The server said nothing in time.
    Timeout,
    /// We will not go on.
    Refused(Reason, String),
}

/// A negative reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    code: u16,
    /// Subject and detail of the enhanced status code.
    status: Option<(u16, u16)>,
    text: String,
}

impl Reply {
    pub(crate) fn new(code: u16, text: String) -> Self {
        let status = enhanced(code, &text);
        Self { code, status, text }
    }

    /// Changes the words, and keeps what was read out of them.
    pub(crate) fn map_text(self, change: impl FnOnce(&str) -> String) -> Self {
        let text = change(&self.text);
        Self { text, ..self }
    }

    /// Tells whether the server hangs up after this reply (RFC 5321 3.8).
    pub(crate) const fn closes(&self) -> bool {
        self.code == 421
    }

    /// Tells whether the server takes no more recipients in this transaction, and more in the next
    /// (RFC 5321 4.5.3.1.10).
    pub(crate) fn is_too_many_recipients(&self) -> bool {
        matches!((self.code, self.status), (452 | 552, Some((5, 3))))
            || self.code == 452
                && self
                    .text
                    .to_ascii_lowercase()
                    .contains("too many recipients")
    }

    /// Tells whether the server wants fewer mails. There is no code for that alone.
    fn is_throttling(&self) -> bool {
        const WORDS: [&str; 8] = [
            "rate limit",
            "rate-limit",
            "ratelimit",
            "throttl",
            "too many",
            "too fast",
            "concurrent",
            "unusual rate",
        ];
        let known = matches!(
            (self.code, self.status),
            (421, Some((7, 0 | 28))) | (450, Some((2, 1))) | (452, Some((5, 3)))
        );
        let text = self.text.to_ascii_lowercase();
        known || WORDS.iter().any(|word| text.contains(word))
    }
}

/// Reads an enhanced status code (RFC 2034 4: only where its class is the reply's).
fn enhanced(code: u16, text: &str) -> Option<(u16, u16)> {
    let mut parts = text.split_ascii_whitespace().next()?.split('.');
    let mut next = || parts.next()?.parse::<u16>().ok();
    let status = (next()?, next()?, next()?);
    let (class, subject, detail) = status;
    (class == code / 100 && parts.next().is_none()).then_some((subject, detail))
}

/// Says what it comes to when the dialogue ended at this stage, in this way.
pub(crate) fn outcome(stage: Stage, fault: &Fault) -> Outcome {
    let at = stage.words();
    match fault {
        Fault::Reply(reply) => refused(stage, reply),
        Fault::Lost(why) => interrupted(stage, Cause::Connect, format!("{at}: {why}")),
        Fault::Garbled(why) => interrupted(stage, Cause::Protocol, format!("{at}: {why}")),
        Fault::Timeout => interrupted(stage, Cause::Timeout, format!("{at}: no answer in time")),
        Fault::Refused(reason, why) => Outcome::rejected(*reason, format!("{at}: {why}")),
    }
}

/// Before the final dot the server has nothing (RFC 5321 4.1.1.4); after it, nobody knows.
fn interrupted(stage: Stage, cause: Cause, detail: String) -> Outcome {
    match stage {
        Stage::Message => Outcome::unknown(cause, detail),
        _ => Outcome::not_delivered(cause, detail),
    }
}

/// Reads a negative reply.
fn refused(stage: Stage, reply: &Reply) -> Outcome {
    let detail = format!("{}: {} {}", stage.words(), reply.code, reply.text);
    // RFC 5321 4.5.3.1.10: servers of old say 552 and mean 452.
    let again = stage == Stage::Rcpt && reply.is_too_many_recipients();
    if reply.code >= 500 && !again {
        return Outcome::rejected(reason(stage, reply), detail);
    }
    // RFC 3463 3.3: a status of this class is about one mailbox, and all mail of the account does
    // not wait for one.
    let of_mailbox = stage == Stage::Rcpt && matches!(reply.status, Some((2, _)));
    if again || reply.is_throttling() && !of_mailbox {
        let scope = match stage {
            Stage::Connect | Stage::Tls | Stage::StartTls | Stage::Ehlo => Scope::Account,
            Stage::Auth | Stage::Mail => Scope::Account,
            Stage::Rcpt | Stage::Data | Stage::Message => Scope::Lane,
        };
        // SMTP has no way to say how long.
        return Outcome::throttled(detail, None, scope);
    }
    Outcome::not_delivered(Cause::Unavailable, detail)
}

/// Finds what a 5xx reply is about: the enhanced code tells more than the reply code, and the
/// stage where it came more than either.
fn reason(stage: Stage, reply: &Reply) -> Reason {
    if matches!(stage, Stage::Tls | Stage::StartTls) {
        return Reason::Config;
    }
    match (reply.code, reply.status) {
        // RFC 3207 4: "Must issue a STARTTLS command first".
        (530, _) if reply.text.to_ascii_uppercase().contains("STARTTLS") => return Reason::Config,
        // RFC 4954 4 and 6; 5.7.30 is Microsoft's "basic authentication is off".
        (530 | 534 | 535 | 538, _) | (_, Some((7, 8 | 9 | 11 | 30))) => return Reason::Auth,
        _ => {}
    }
    match stage {
        Stage::Connect | Stage::Ehlo if reply.code == 554 => Reason::Policy,
        Stage::Connect | Stage::Tls | Stage::StartTls | Stage::Ehlo => Reason::Config,
        // Syntax and order (RFC 5321 4.2.2): the server does not do AUTH as we do.
        Stage::Auth if (500..=504).contains(&reply.code) => Reason::Config,
        Stage::Auth => Reason::Auth,
        Stage::Mail => match (reply.code, reply.status) {
            (_, Some((3, 4) | (2, 3))) | (552 | 555, _) => Reason::Payload,
            (554, _) => Reason::Policy,
            _ => Reason::Config,
        },
        Stage::Rcpt => match (reply.code, reply.status) {
            (_, Some((7, _))) => Reason::Policy,
            (_, Some((3, 4) | (2, 3))) => Reason::Payload,
            (500 | 502 | 503, _) => Reason::Config,
            _ => Reason::Destination,
        },
        Stage::Data | Stage::Message => match (reply.code, reply.status) {
            (_, Some((3, 4) | (2, 3) | (6, _))) => Reason::Payload,
            (_, Some((1 | 4, _) | (2, 0..=2))) => Reason::Destination,
            (_, Some((7, _))) => Reason::Policy,
            (552, _) => Reason::Payload,
            (500..=504, _) => Reason::Config,
            _ => Reason::Policy,
        },
    }
}

/// Gives a mail the form it has on the wire, the final dot included.
///
/// RFC 5321 4.5.2: a dot at a line's start is doubled. Line ends are CRLF whatever they were: a
/// server that took a bare LF for one could be made to see an end of mail where there is none.
pub(crate) fn data_block(mail: &str) -> String {
    let mut block = String::with_capacity(mail.len() + 64);
    let mail = mail
        .replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace('\0', "");
    for line in mail.lines() {
        if line.starts_with('.') {
            block.push('.');
        }
        block.push_str(line);
        block.push_str("\r\n");
    }
    block.push_str(".\r\n");
    block
}

#[cfg(test)]
mod tests {
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
            ("a\r\n\r\n.\r\n", "a\r\n\r\n..\r\n.\r\n"),
        ];
        for (mail, expected) in table {
            assert_eq!(data_block(mail), expected, "{mail:?}");
        }
    }
}

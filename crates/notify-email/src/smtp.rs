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
            // RFC 3463 3.5: congestion; Google says so of a day's limit.
            (_, Some((7, _) | (4, 5))) => Reason::Policy,
            (_, Some((3, 4) | (2, 3))) => Reason::Payload,
            (500 | 502 | 503, _) => Reason::Config,
            _ => Reason::Destination,
        },
        Stage::Data | Stage::Message => match (reply.code, reply.status) {
            (_, Some((3, 4) | (2, 3) | (6, _))) => Reason::Payload,
            (_, Some((7, _) | (4, 5))) => Reason::Policy,
            (_, Some((1 | 4, _) | (2, 0..=2))) => Reason::Destination,
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
    let mut block = String::with_capacity(mail.len() + mail.len() / 64 + 64);
    let lines = mail.split("\r\n");
    let mut lines: Vec<&str> = lines.flat_map(|line| line.split(['\n', '\r'])).collect();
    // What follows the last line end is no line.
    lines.pop_if(|line| line.is_empty());
    for line in lines {
        if line.trim_start_matches('\0').starts_with('.') {
            block.push('.');
        }
        block.extend(line.split('\0'));
        block.push_str("\r\n");
    }
    block.push_str(".\r\n");
    block
}

#[cfg(test)]
mod tests;

//! From the content tree to the bytes of a mail; pure, and the same on every call.
//!
//! **Invariant.** No text of a workflow can add a header, end a part or change who gets the mail:
//! headers hold one line of visible characters, and bodies are quoted-printable.

use std::borrow::Cow;
use std::fmt::Write;
use std::str;

use lettre::message::header::{
    self, ContentDisposition, ContentTransferEncoding, ContentType, HeaderName, HeaderValue,
};
use lettre::message::{Mailboxes, MultiPart, SinglePart};
use notify_core::email::EmailOptions;
use notify_core::fit::shorten;
use notify_core::outcome::clean;
use notify_core::{Delivery, EmailAddress, Message, Recipient, WorkflowEnded};
use sha2::{Digest, Sha256};

use crate::account::{EmailAccount, is_together};
use crate::address;
use crate::attachment::{Attachment, split};
use crate::body;
use crate::flyte;

/// The most characters of a subject. RFC 5322 2.1.1 allows 998 bytes in a line, and folding does
/// not break a long word.
const MAX_SUBJECT: usize = 200;

/// Writes the whole mail.
pub(crate) fn compose(
    account: &EmailAccount,
    delivery: &Delivery<'_>,
    message: &Message,
) -> Vec<u8> {
    let none = EmailOptions::default();
    let options = delivery.notification.options::<EmailOptions>();
    let options = options.unwrap_or(&none);
    let id = mail_id(delivery, message);
    let (mut mail, subject) = if let Some(words) = &options.flyte {
        let words = flyte::render(words, delivery.event);
        let mail = alternatives(&id, &words.text, &words.html);
        (mail, line(&words.subject))
    } else {
        let subject = subject(&message.headline, delivery.event);
        let (message, attachments) = split(message);
        let message = body::fitted(&message);
        let mail = alternatives(&id, &body::text(&message), &body::html(&message));
        (with_attachments(mail, &id, &attachments), subject)
    };
    let headers = mail.headers_mut();
    headers.set(header::MIME_VERSION_1_0);
    let domain = account.from.address().domain();
    let from = [account.from.to_header()];
    headers.set(header::From::from(Mailboxes::from_iter(from)));
    if let Some(reply_to) = &account.reply_to {
        let reply_to = [reply_to.to_header()];
        headers.set(header::ReplyTo::from(Mailboxes::from_iter(reply_to)));
    }
    // One mail to all names all, whatever part of them it goes to this time.
    let (to, cc) = if is_together(delivery.notification) {
        let to = delivery.notification.recipients();
        let cc: Vec<Recipient> = options.cc.iter().map(Recipient::of).collect();
        let others = cc.iter().filter(|cc| !to.contains(cc));
        (addresses(to), addresses(others))
    } else {
        (addresses([delivery.recipient]), Vec::new())
    };
    for (name, addresses) in [("To", to), ("Cc", cc)] {
        if !addresses.is_empty() {
            let name = HeaderName::new_from_ascii_str(name);
            // One on each line: folding would not break a list that is too long for one.
            let folded = addresses.join(",\r\n ");
            headers.insert_raw(HeaderValue::dangerous_new_pre_encoded(
                name,
                addresses.join(", "),
                folded,
            ));
        }
    }
    headers.set(header::Subject::from(subject));

    let thread = thread(delivery.event);
    let root = format!("<{thread}@{domain}>");
    let own = [
        ("Date", delivery.at.for_mail()),
        ("Message-ID", format!("<{id}@{domain}>")),
        // Nobody ever sent the root: citing it makes the ends of one workflow one thread all the
        // same, whichever of them a reader got.
        ("In-Reply-To", root.clone()),
        ("References", root),
        // RFC 2919: something to filter by.
        ("List-Id", format!("<{thread}.{domain}>")),
        // RFC 3834 5: no vacation notes in answer; Exchange has a header of its own for that.
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("X-Auto-Response-Suppress", "All".to_owned()),
    ];
    for (name, value) in own {
        headers.insert_raw(HeaderValue::new(
            HeaderName::new_from_ascii_str(name),
            value,
        ));
    }
    for (name, value) in options.headers.or(&account.headers).iter() {
        if let Ok(name) = HeaderName::new_from_ascii(name.to_owned()) {
            headers.insert_raw(HeaderValue::new(name, value.to_owned()));
        }
    }
    mail.formatted()
}

/// Names a delivery's mail: the same on every attempt, and for every recipient of one mail.
///
/// A message that stands for many ends has a headline of its own, and is another mail.
fn mail_id(delivery: &Delivery<'_>, message: &Message) -> String {
    if !is_together(delivery.notification) {
        return delivery.id.to_string();
    }
    let event = delivery.event;
    let execution = event.execution.to_string();
    let declared = delivery.notification.to_value().to_string();
    let of = [
        event.workflow.as_str(),
        &execution,
        event.phase.name(),
        &declared,
        &message.headline,
    ];
    format!("evt_{}", digest(&of))
}

/// Gives the addresses of recipients in their form on the wire, which has no character that means
/// anything in a header.
///
/// A recipient that has no wire form was refused at load; the transport refuses it once more.
fn addresses<'a>(to: impl IntoIterator<Item = &'a Recipient>) -> Vec<String> {
    let address = |to: &Recipient| address::wire(&to.typed::<EmailAddress>().ok()?).ok();
    let addresses = to.into_iter().filter_map(address);
    addresses.map(|to| to.to_string()).collect()
}

/// Reads the name of a mail out of its headers.
pub(crate) fn message_id(mail: &[u8]) -> Option<String> {
    let mail = str::from_utf8(mail).ok()?;
    let (head, _) = mail.split_once("\r\n\r\n")?;
    let id = head
        .split("\r\n")
        .find_map(|line| line.strip_prefix("Message-ID: "));
    id.map(str::to_owned)
}

/// Leaves out of a mail's headers the addresses that are not ASCII.
///
/// RFC 6532 3.2: no server without SMTPUTF8 takes such headers. Nothing else in a mail is not ASCII.
pub(crate) fn without_unicode_addresses(mail: &str) -> Cow<'_, str> {
    if mail.is_ascii() {
        return Cow::Borrowed(mail);
    }
    let (head, body) = mail.split_once("\r\n\r\n").unwrap_or((mail, ""));
    let mut kept = String::with_capacity(mail.len());
    let mut rest = head;
    while !rest.is_empty() {
        // A line that begins with a space belongs to the header before it.
        let ends = rest.match_indices("\r\n").map(|(at, _)| at);
        let folded = |at: &usize| {
            rest.get(at + 2..)
                .is_none_or(|next| !next.starts_with([' ', '\t']))
        };
        let end = ends.into_iter().find(folded).unwrap_or(rest.len());
        let (header, after) = rest.split_at(end);
        rest = after.trim_start_matches("\r\n");
        if header.is_ascii() {
            kept.push_str(header);
            kept.push_str("\r\n");
        } else if let Some((name, value)) = header.split_once(':') {
            let addresses = value.split(',').map(str::trim);
            let addresses: Vec<&str> = addresses.filter(|address| address.is_ascii()).collect();
            if !addresses.is_empty() {
                // Writing to a `String` cannot fail.
                write!(kept, "{name}: {}\r\n", addresses.join(",\r\n ")).ok();
            }
        }
    }
    Cow::Owned(format!("{kept}\r\n{body}"))
}

/// Puts plain text and HTML side by side.
fn alternatives(id: &str, text: &str, html: &str) -> MultiPart {
    // RFC 2045 6.7: no quoted-printable line holds `=_`, so no text can forge this boundary.
    MultiPart::alternative()
        .boundary(format!("=_{id}"))
        .singlepart(part(ContentType::TEXT_PLAIN, text))
        .singlepart(part(ContentType::TEXT_HTML, html))
}

/// Puts attachments beside a mail.
fn with_attachments(mail: MultiPart, id: &str, attachments: &[Attachment]) -> MultiPart {
    if attachments.is_empty() {
        return mail;
    }
    let begun = MultiPart::mixed()
        .boundary(format!("=_mixed_{id}"))
        .multipart(mail);
    attachments
        .iter()
        .fold(begun, |mail, Attachment { name, text }| {
            let part = SinglePart::builder()
                .header(ContentType::TEXT_PLAIN)
                .header(ContentDisposition::attachment(name))
                .header(ContentTransferEncoding::Base64)
                .body(text.replace('\n', "\r\n"));
            mail.singlepart(part)
        })
}

/// Encodes one part.
///
/// Always quoted-printable: it carries lines of any length through servers of any age, hides dots
/// and `From ` at line starts, and lets no text look like a boundary.
fn part(kind: ContentType, text: &str) -> SinglePart {
    SinglePart::builder()
        .header(kind)
        .header(ContentTransferEncoding::QuotedPrintable)
        .body(text.replace('\n', "\r\n"))
}

/// Makes a subject of a headline.
///
/// Readers' programs that gather a thread by its subject take off what stands in brackets before it
/// (RFC 5256 2.1), so that `[failed] nightly-etl` and `[succeeded] nightly-etl` are of one thread.
fn subject(headline: &str, event: &WorkflowEnded) -> String {
    let headline = clean(headline);
    let name = clean(event.workflow.as_str());
    let said = headline.strip_prefix(&name);
    let said = said.and_then(|said| said.strip_prefix(' '));
    match said.filter(|said| !said.is_empty() && !said.contains(['[', ']'])) {
        Some(said) => line(&format!("[{said}] {name}")),
        None => line(&headline),
    }
}

/// Makes one line of visible characters, of a length that every server takes.
fn line(text: &str) -> String {
    let line = clean(text);
    let line = shorten(&line, MAX_SUBJECT, |text| text.chars().count());
    // What looks like an encoded word (RFC 2047 2) would be decoded by the reader's program. A
    // word joiner cannot be seen, and makes the word one that is encoded as it stands.
    line.replace("=?", "=\u{2060}?")
}

/// Names the thread of a workflow's ends in the letters of a dot-atom (RFC 5322 3.2.3).
fn thread(event: &WorkflowEnded) -> String {
    let execution = &event.execution;
    let of = [
        execution.project(),
        execution.domain(),
        event.workflow.as_str(),
    ];
    format!("workflow-{}", digest(&of))
}

/// Gives 32 hexadecimal digits for a list of texts.
fn digest(of: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in of {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text.as_bytes());
    }
    let mut digits = String::new();
    for byte in hash.finalize().iter().take(16) {
        // Writing to a `String` cannot fail.
        write!(digits, "{byte:02x}").ok();
    }
    digits
}

#[cfg(test)]
mod tests {
    use notify_core::{Execution, TerminalPhase, WorkflowName};

    use super::*;

    fn event(project: &str, workflow: &str) -> WorkflowEnded {
        WorkflowEnded::new(
            WorkflowName::new(workflow).unwrap(),
            Execution::new(project, "production", "run-17").unwrap(),
            TerminalPhase::Failed,
        )
    }

    #[test]
    fn subjects_are_one_bounded_visible_line() {
        let table = [
            ("37 workflow runs ended", "37 workflow runs ended"),
            ("a\r\nBcc: x@example.com", "a Bcc: x@example.com"),
            ("a\u{0}\u{1b}[31m\u{85}\u{2028}b", "a [31m b"),
            ("=?utf-8?q?x?=", "=\u{2060}?utf-8?q?x?="),
        ];
        let event = event("analytics", "nightly-etl");
        for (headline, expected) in table {
            assert_eq!(subject(headline, &event), expected);
        }
        assert!(subject(&"é".repeat(5_000), &event).chars().count() <= MAX_SUBJECT);
    }

    #[test]
    fn how_a_workflow_ended_stands_before_its_name() {
        let table = [
            ("nightly-etl failed", "[failed] nightly-etl"),
            (
                "nightly-etl succeeded again",
                "[succeeded again] nightly-etl",
            ),
            ("nightly-etl", "nightly-etl"),
            ("nightly-etl [x]", "nightly-etl [x]"),
            ("nightly-etl-2 failed", "nightly-etl-2 failed"),
        ];
        let event = event("analytics", "nightly-etl");
        for (headline, expected) in table {
            assert_eq!(subject(headline, &event), expected);
        }
    }

    #[test]
    fn a_workflow_of_any_name_has_one_thread_in_plain_letters() {
        let name = |project: &str, workflow: &str| thread(&event(project, workflow));
        assert_eq!(name("a", "nightly-etl"), name("a", "nightly-etl"));
        assert_ne!(name("a", "nightly-etl"), name("a", "Nightly-ETL"));
        assert_ne!(name("a", "nightly-etl"), name("b", "nightly-etl"));
        assert_eq!(name("a", "夜間バッチ <x@y>").len(), "workflow-".len() + 32);
    }

    #[test]
    fn addresses_that_a_server_cannot_take_leave_the_headers() {
        let mail = "From: a@b.c\r\nTo: jane@b.c, 用户@b.c,\r\n joe@b.c\r\nCc: 用户@b.c\r\nSubject: x\r\n y\r\n\r\nbody\r\n";
        let kept = "From: a@b.c\r\nTo: jane@b.c,\r\n joe@b.c\r\nSubject: x\r\n y\r\n\r\nbody\r\n";
        assert_eq!(without_unicode_addresses(mail), kept);
        assert_eq!(without_unicode_addresses(kept), kept);
    }
}

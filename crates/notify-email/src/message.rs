//! From the content tree to the bytes of a mail; pure, and the same on every call.
//!
//! **Invariant.** No text of a workflow can add a header, end a part or change who gets the mail:
//! headers hold one line of visible characters, and bodies are quoted-printable.

use std::fmt::Write;

use lettre::message::header::{
    self, ContentTransferEncoding, ContentType, HeaderName, HeaderValue,
};
use lettre::message::{MultiPart, SinglePart};
use notify_core::fit::shorten;
use notify_core::outcome::clean;
use notify_core::{Delivery, DeliveryId, EmailAddress, Message, WorkflowName};
use sha2::{Digest, Sha256};

use crate::address::{self, Mailbox};
use crate::body;

/// The most characters of a subject. RFC 5322 2.1.1 allows 998 bytes in a line, and folding does
/// not break a long word.
const MAX_SUBJECT: usize = 200;

/// Writes the whole mail.
pub(crate) fn compose(from: &Mailbox, delivery: &Delivery<'_>, message: &Message) -> Vec<u8> {
    let message = &body::fitted(message);
    // RFC 2045 6.7: no quoted-printable line holds `=_`, so no text can forge this boundary.
    let boundary = format!("=_{}", delivery.id);
    let mut mail = MultiPart::alternative()
        .boundary(boundary)
        .singlepart(part(ContentType::TEXT_PLAIN, &body::text(message)))
        .singlepart(part(ContentType::TEXT_HTML, &body::html(message)));
    let headers = mail.headers_mut();
    headers.set(header::MIME_VERSION_1_0);
    let sender = [from.to_header()];
    headers.set(header::From::from(lettre::message::Mailboxes::from_iter(
        sender,
    )));
    // A recipient that has no wire form was refused at load; the transport refuses it once more.
    if let Ok(to) = delivery
        .recipient
        .typed::<EmailAddress>()
        .and_then(|to| address::wire(&to))
    {
        let to = [lettre::message::Mailbox::new(None, to)];
        headers.set(header::To::from(lettre::message::Mailboxes::from_iter(to)));
    }
    headers.set(header::Subject::from(subject(&message.headline)));

    let thread = thread(&delivery.event.workflow);
    let domain = from.address().domain();
    let root = format!("<{thread}@{domain}>");
    let lines = [
        ("Date", delivery.at.for_mail()),
        ("Message-ID", message_id(delivery.id, from)),
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
    for (name, value) in lines {
        headers.insert_raw(HeaderValue::new(
            HeaderName::new_from_ascii_str(name),
            value,
        ));
    }
    mail.formatted()
}

/// Names a delivery's mail: derived from the delivery, so the same on every attempt.
pub(crate) fn message_id(id: DeliveryId, from: &Mailbox) -> String {
    format!("<{id}@{}>", from.address().domain())
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

/// Makes one line of a headline.
fn subject(headline: &str) -> String {
    let line = clean(headline);
    let line = shorten(&line, MAX_SUBJECT, |text| text.chars().count());
    // What looks like an encoded word (RFC 2047 2) would be decoded by the reader's program. A
    // word joiner cannot be seen, and makes the word one that is encoded as it stands.
    line.replace("=?", "=\u{2060}?")
}

/// Names a workflow's thread in the letters of a dot-atom (RFC 5322 3.2.3).
fn thread(workflow: &WorkflowName) -> String {
    let digest = Sha256::digest(workflow.as_str().as_bytes());
    let mut name = "workflow-".to_owned();
    for byte in digest.iter().take(16) {
        // Writing to a `String` cannot fail.
        write!(name, "{byte:02x}").ok();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_one_bounded_visible_line() {
        let table = [
            ("nightly-etl failed", "nightly-etl failed"),
            ("a\r\nBcc: x@example.com", "a Bcc: x@example.com"),
            ("a\u{0}\u{1b}[31m\u{85}\u{2028}b", "a [31m b"),
            ("=?utf-8?q?x?=", "=\u{2060}?utf-8?q?x?="),
        ];
        for (headline, expected) in table {
            assert_eq!(subject(headline), expected);
        }
        assert!(subject(&"é".repeat(5_000)).chars().count() <= MAX_SUBJECT);
    }

    #[test]
    fn a_workflow_of_any_name_has_one_thread_in_plain_letters() {
        let name = |text: &str| thread(&WorkflowName::new(text).unwrap());
        assert_eq!(name("nightly-etl"), name("nightly-etl"));
        assert_ne!(name("nightly-etl"), name("Nightly-ETL"));
        assert_eq!(name("夜間バッチ <x@y>").len(), "workflow-".len() + 32);
        assert_eq!(
            name("nightly-etl"),
            "workflow-1074352f3219799f79f87c660c083e4d"
        );
    }
}

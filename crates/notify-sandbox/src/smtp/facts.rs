//! What a mail says of itself.

use mail_parser::{Address, Message, MimeHeaders as _};

/// The headers that a reader looks at, and the attachments.
pub(super) fn facts(message: &Message<'_>, sender: &str) -> Vec<(String, String)> {
    let mut details = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            details.push((name.to_owned(), value));
        }
    };
    add("from", message.from().map(addresses));
    add("to", message.to().map(addresses));
    add("cc", message.cc().map(addresses));
    add("reply to", message.reply_to().map(addresses));
    add("envelope sender", Some(sender.to_owned()));
    add(
        "date",
        message
            .header_raw("Date")
            .map(|date| date.trim().to_owned()),
    );
    add(
        "message id",
        message.message_id().map(|id| format!("<{id}>")),
    );
    add(
        "in reply to",
        message.in_reply_to().as_text().map(|id| format!("<{id}>")),
    );
    for attachment in message.attachments() {
        let name = attachment.attachment_name().unwrap_or("(no name)");
        add(
            "attachment",
            Some(format!("{name}, {} bytes", attachment.len())),
        );
    }
    details
}

fn addresses(address: &Address<'_>) -> String {
    let one = |address: &mail_parser::Addr<'_>| {
        let mailbox = address.address().unwrap_or_default();
        match address.name() {
            Some(name) => format!("{name} <{mailbox}>"),
            None => mailbox.to_owned(),
        }
    };
    address.iter().map(one).collect::<Vec<_>>().join(", ")
}

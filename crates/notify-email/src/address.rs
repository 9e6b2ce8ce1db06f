//! Addresses as mail servers want them: mailboxes with a display name, and domains in ASCII.

use std::str::FromStr;

use lettre::Address;
use notify_core::schema::pattern;
use notify_core::{EmailAddress, Malformed};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// A sender: `Workflows <workflows@example.com>`, or the address alone.
///
/// **Invariant.** The display name holds no control character: lettre's builder panics on some.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(
    description = "A sender: `Workflows <workflows@example.com>`, or the address alone.",
    with = "String",
    extend(
        "pattern" = sender(),
        "examples" = ["Workflows <workflows@example.com>"]
    )
)]
pub struct Mailbox {
    name: Option<String>,
    address: Address,
}

impl Mailbox {
    /// Returns the address, with its domain in ASCII.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Gives the form that lettre writes into headers.
    pub(crate) fn to_header(&self) -> lettre::message::Mailbox {
        lettre::message::Mailbox::new(self.name.clone(), self.address.clone())
    }
}

impl FromStr for Mailbox {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let wrong = |why: &'static str| {
            Malformed::new(why).help("write it as `Workflows <workflows@example.com>`")
        };
        let text = text.trim();
        if text.contains(char::is_control) {
            return Err(wrong("the sender holds a control character"));
        }
        let (name, address) = match text.strip_suffix('>') {
            Some(front) => front
                .rsplit_once('<')
                .ok_or_else(|| wrong("the sender has a `>` without a `<`"))?,
            None => ("", text),
        };
        let name = unquoted(name.trim());
        if name.contains(['<', '>', '"']) || name.chars().count() > 100 {
            return Err(wrong(
                "the sender's name holds `<`, `>` or `\"`, or is longer than 100 characters",
            ));
        }
        let address = wire(&address.parse::<EmailAddress>()?)?;
        if !address.user().is_ascii() {
            // RFC 6531 3.2: only servers with SMTPUTF8 take it, and every bounce needs one as well.
            return Err(wrong("the sender's address is not ASCII before its `@`"));
        }
        Ok(Self {
            name: (!name.is_empty()).then(|| name.to_owned()),
            address,
        })
    }
}

impl<'de> Deserialize<'de> for Mailbox {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|err: Malformed| de::Error::custom(err.in_serde()))
    }
}

/// The expression of a sender.
fn sender() -> String {
    let address = pattern::bare_mail_address();
    let name = r#"(?:"[^"<>\x00-\x1f\x7f-\x9f]*"|[^"<>\x00-\x1f\x7f-\x9f]*)"#;
    format!(r"^\s*(?:{address}|{name} *< *{address} *>)\s*$")
}

/// Tells whether a name is one that RFC 5321 4.1.4 wants: ASCII labels, two at least.
pub(crate) fn is_full_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let label = |label: &str| !label.is_empty() && label.bytes().all(letter);
    name.len() <= 253 && name.contains('.') && name.split('.').all(label)
}

/// Takes the quotes off `"Ops, Team"`; a name needs none here, but many write them out of habit.
fn unquoted(name: &str) -> &str {
    name.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(name)
}

/// Gives an address the form it has on the wire.
///
/// The domain becomes A-labels (RFC 5890): servers without SMTPUTF8 know no other.
pub(crate) fn wire(address: &EmailAddress) -> Result<Address, Malformed> {
    let wrong = |part: &str| {
        let why = format!("the part {part} the `@` is not one that mail servers take");
        Malformed::new(format!("`{address}`: {why}")).plainly(why)
    };
    let domain = idna::domain_to_ascii_strict(address.domain()).map_err(|_| wrong("after"))?;
    Address::new(address.local(), domain).map_err(|_| wrong("before"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_read_with_and_without_a_name() {
        let table = [
            ("ops@example.com", None, "ops@example.com"),
            ("<ops@example.com>", None, "ops@example.com"),
            ("Ops <ops@Example.com>", Some("Ops"), "ops@example.com"),
            (
                "Ops, Team <ops@example.com>",
                Some("Ops, Team"),
                "ops@example.com",
            ),
            (
                "\"Ops, Team\" <ops@example.com>",
                Some("Ops, Team"),
                "ops@example.com",
            ),
            (
                "Bücher <ops@bücher.example>",
                Some("Bücher"),
                "ops@xn--bcher-kva.example",
            ),
        ];
        for (text, name, address) in table {
            let mailbox: Mailbox = text.parse().unwrap();
            assert_eq!(mailbox.name.as_deref(), name, "{text}");
            assert_eq!(mailbox.address.as_ref() as &str, address, "{text}");
        }
    }

    #[test]
    fn senders_that_could_break_a_header_are_refused() {
        let refused = [
            "",
            "Ops",
            "ops@example.com>",
            "Ops <ops@example.com",
            "Ops\r\nBcc: x@example.com <ops@example.com>",
            "Ops\u{0} <ops@example.com>",
            "Ops\u{85} <ops@example.com>",
            "a <b@example.com> <ops@example.com>",
            "Ops <jürgen@example.com>",
            "Ops <ops@example.com\n>",
        ];
        for text in refused {
            assert!(text.parse::<Mailbox>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn international_domains_become_a_labels_and_local_parts_stay() {
        let wired = |text: &str| wire(&text.parse().unwrap()).unwrap().to_string();
        assert_eq!(wired("jürgen@exämple.de"), "jürgen@xn--exmple-cua.de");
        assert_eq!(wired("用户@例子.广告"), "用户@xn--fsqu00a.xn--4rr70v");
        assert_eq!(
            wired("o'brien+etl@mail.example.co.uk"),
            "o'brien+etl@mail.example.co.uk"
        );
    }
}

//! E-mail: addresses and the spec of an e-mail notification.

mod flyte;
mod header;
mod options;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use self::flyte::{FlyteKey, FlyteMail, FlyteTemplate};
pub use self::header::{HeaderName, HeaderText, MailHeaders};
pub use self::options::EmailOptions;
use crate::notification::NotificationKind;
use crate::problem::Malformed;
use crate::schema;
use crate::text;

/// The kind `email`: mail over SMTP, one to each recipient where nothing else is said.
///
/// ```
/// use notify_core::{email, phases, Email, Notification, NotificationKind};
///
/// let on_call: Notification = Email::on(phases![Failed, TimedOut])
///     .to(email!("data-oncall@example.com"))
///     .into();
/// assert_eq!(on_call.recipients().len(), 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Email;

impl NotificationKind for Email {
    const KIND: &'static str = "email";
    type Options = EmailOptions;
    type Recipient = EmailAddress;
}

/// A mail address, `local@domain`, with its domain in lower case.
///
/// International addresses are kept as written; whether the server can take one shows at delivery.
/// They are compared as written too: a composed `ü` and a `u` with a combining mark are two addresses.
/// A display name (`Jane <jane@example.com>`) is not part of an address and is refused.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(
    description = "A mail address, `name@example.com`, without a display name.",
    extend("pattern" = schema::pattern::mail_address(), "examples" = ["jane@example.com"])
)]
pub struct EmailAddress(Cow<'static, str>);

impl EmailAddress {
    /// Takes an address that is known when the program is compiled; [`email!`](crate::email!) calls this.
    ///
    /// # Panics
    ///
    /// At compile time, when the address is malformed or its domain is not in lower case.
    #[expect(
        clippy::panic,
        reason = "runs in const items only, where a panic is a compile error"
    )]
    pub const fn from_static(address: &'static str) -> Self {
        match check(address) {
            Ok(at) => {
                let (_, domain) = address.split_at(at);
                assert!(!text::has_capital(domain), "write the domain in lower case");
            }
            Err(why) => panic!("{}", why),
        }
        Self(Cow::Borrowed(address))
    }

    /// Returns the whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the part before the last `@`.
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// Returns the part after the last `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// Checks an address and returns the index of its `@`.
const fn check(address: &str) -> Result<usize, &'static str> {
    let bytes = address.as_bytes();
    if bytes.is_empty() {
        return Err("the address is empty");
    }
    if text::has_control(address) {
        return Err("the address holds a control character");
    }
    if text::has_invisible(address) {
        return Err("the address holds an invisible character");
    }
    if text::has(address, b'<') || text::has(address, b'>') {
        return Err("a display name is not part of an address");
    }
    // Quoted local parts and comments are legal in RFC 5322 and in nobody's address book.
    if text::has_space(address) || text::has_any(address, b"\"(),:;[\\]") {
        return Err("the address holds a character that mail addresses do not have");
    }
    let mut at = bytes.len();
    while at > 0 && text::byte(bytes, at - 1) != b'@' {
        at -= 1;
    }
    if at == 0 {
        return Err("a mail address has an `@`");
    }
    at -= 1;
    let (local, rest) = address.split_at(at);
    let (_, domain) = rest.split_at(1);
    if text::has(local, b'@') {
        return Err("a mail address has one `@`");
    }
    // RFC 5321 4.5.3.1: 64 octets before the `@`, 254 in all.
    if local.len() > 64 || bytes.len() > 254 {
        return Err("the address is longer than mail allows");
    }
    if !dotted(local) {
        return Err("the part before the `@` is empty or has a stray dot");
    }
    if !dotted(domain) || !labels(domain) {
        return Err("the part after the `@` is not a domain");
    }
    if !text::has(domain, b'.') {
        return Err("the domain has no dot");
    }
    Ok(at)
}

/// Tells whether a text is one or more non-empty parts between dots.
const fn dotted(part: &str) -> bool {
    let bytes = part.as_bytes();
    if bytes.is_empty() {
        return false;
    }
    let mut at = 0;
    let mut after_dot = true;
    while at < bytes.len() {
        let dot = text::byte(bytes, at) == b'.';
        if dot && after_dot {
            return false;
        }
        after_dot = dot;
        at += 1;
    }
    !after_dot
}

/// Tells whether a dotted text is made of host name labels, ASCII or international.
const fn labels(domain: &str) -> bool {
    let bytes = domain.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let byte = text::byte(bytes, at);
        let edge = at == 0
            || at + 1 == bytes.len()
            || text::byte(bytes, at - 1) == b'.'
            || text::byte(bytes, at + 1) == b'.';
        let fits = match byte {
            b'.' => true,
            b'-' => !edge,
            _ => byte.is_ascii_alphanumeric() || !byte.is_ascii(),
        };
        if !fits {
            return false;
        }
        at += 1;
    }
    true
}

impl FromStr for EmailAddress {
    type Err = Malformed;

    fn from_str(address: &str) -> Result<Self, Malformed> {
        let trimmed = address.trim_matches(' ');
        let at = check(trimmed).map_err(|why| {
            let help = if trimmed.starts_with('#') {
                "a channel belongs under `slack`"
            } else {
                "write it as `name@example.com`"
            };
            text::refused(address, why).help(help)
        })?;
        let (local, domain) = trimmed.split_at(at);
        Ok(Self(Cow::Owned(format!(
            "{local}{}",
            domain.to_lowercase()
        ))))
    }
}

impl TryFrom<&str> for EmailAddress {
    type Error = Malformed;

    fn try_from(address: &str) -> Result<Self, Malformed> {
        address.parse()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// Reads a text into its typed form.
fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err = Malformed>,
    D: Deserializer<'de>,
{
    String::deserialize(deserializer)?
        .parse()
        .map_err(|err: Malformed| de::Error::custom(err.in_serde()))
}

/// Writes an [`EmailAddress`] constant; a malformed literal does not compile.
///
/// ```compile_fail
/// let address = notify_core::email!("data-oncall.example.com");
/// ```
#[macro_export]
macro_rules! email {
    ($address:literal) => {{
        // An item, not a `const` block: `cargo check` evaluates only items.
        const ADDRESS: $crate::EmailAddress = $crate::EmailAddress::from_static($address);
        ADDRESS
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_or_refused() {
        let kept = [
            "data-oncall@example.com",
            "o'brien+etl@mail.example.co.uk",
            "jürgen@exämple.de",
            "用户@例子.广告",
            "ju\u{308}rgen@example.com",
            "الفريق@مثال.إختبار",
            "می\u{200c}خواهم@example.com",
            "a@b.co",
        ];
        for address in kept {
            assert_eq!(address.parse::<EmailAddress>().unwrap().as_str(), address);
        }
        let long_local = format!("{}@example.com", "x".repeat(65));
        let refused = [
            "",
            " ",
            "example.com",
            "#data-alerts",
            "@example.com",
            "a@",
            "a@b",
            "a@b@example.com",
            "a..b@example.com",
            ".a@example.com",
            "a.@example.com",
            "a@example..com",
            "a@-example.com",
            "a@example-.com",
            "a@exa mple.com",
            "a@example.com\r\nBcc: b@example.com",
            "a\u{0}@example.com",
            "a\u{9b}@example.com",
            "a\u{200b}@example.com",
            "\u{feff}a@example.com",
            "a@exam\u{ad}ple.com",
            "moc.elpmaxe\u{202e}@example.com",
            "a\u{a0}b@example.com",
            "a@example\u{3000}.com",
            "Jane <jane@example.com>",
            "\"a b\"@example.com",
            "a@[127.0.0.1]",
            long_local.as_str(),
        ];
        for address in refused {
            assert!(address.parse::<EmailAddress>().is_err(), "{address:?}");
        }
    }

    #[test]
    fn a_secret_in_the_place_of_a_recipient_is_not_repeated() {
        let secrets = [
            "https://hooks.slack.com/services/T0/B0/hunter2",
            "xoxb-hunter2",
            "0123456789abcdef0123456789hunter",
        ];
        for secret in secrets {
            let why = secret.parse::<EmailAddress>().unwrap_err();
            assert!(why.sensitive && !why.message.contains("hunter"), "{why}");
        }
    }

    #[test]
    fn the_domain_is_compared_without_case_and_the_local_part_with() {
        let parse = |text: &str| text.parse::<EmailAddress>().unwrap();
        assert_eq!(parse("Jane@Example.COM"), parse("Jane@example.com"));
        assert_ne!(parse("Jane@example.com"), parse("jane@example.com"));
        assert_eq!(parse("jane@example.com"), email!("jane@example.com"));
    }
}

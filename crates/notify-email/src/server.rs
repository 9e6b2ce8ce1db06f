//! The server of an account: `smtps://smtp.example.com`.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use notify_core::Malformed;
use notify_core::problem::nearest;
use notify_core::secret::inline_secret;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// How the way to a server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// TLS after STARTTLS (RFC 3207), and nothing but QUIT without it.
    StartTls,
    /// No TLS.
    None,
}

/// The schemes, what they mean, and their ports.
const SCHEMES: [(&str, Security, u16); 3] = [
    ("smtps", Security::Implicit, 465),
    ("smtp", Security::StartTls, 587),
    ("smtp+plaintext", Security::None, 25),
];

/// A server as written in `smtp`: `smtps://smtp.example.com`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(
    rename = "MailServer",
    description = "A mail server: `smtps://` for TLS, `smtp://` for STARTTLS, `smtp+plaintext://` for neither.",
    with = "String",
    extend(
        "pattern" = r"^smtp(?:s|\+plaintext)?://[^@/?#\s]+$",
        "examples" = ["smtps://smtp.example.com"]
    )
)]
pub struct Server {
    pub(crate) security: Security,
    /// A name in ASCII or an address, an IPv6 one without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Server {
    /// Tells whether the server is on this machine by its very name (RFC 6761 6.3).
    pub(crate) fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }
}

impl FromStr for Server {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        const HELP: &str = "write `smtps://smtp.example.com`, or `smtp://…` for STARTTLS";
        let wrong = |why: String| Malformed::new(why).help(HELP);
        // Checked first, so that no other message can quote what may be a password.
        if text.contains('@') {
            return Err(inline_secret().help(
                "take the login out of the URL and write `username = \"…\"` and `password = { file = \"/path\" }`",
            ));
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| wrong("not the URL of a mail server".to_owned()))?;
        let (_, security, usual_port) = SCHEMES
            .into_iter()
            .find(|(known, ..)| *known == scheme)
            .ok_or_else(|| {
                let known = SCHEMES.map(|(name, ..)| name);
                let help = match nearest(scheme, known) {
                    Some(name) => format!("did you mean `{name}://`?"),
                    None => HELP.to_owned(),
                };
                Malformed::new("the URL's scheme is not one for mail").help(help)
            })?;
        if rest.contains(['/', '?', '#']) {
            return Err(wrong("the URL has a path or a query".to_owned()));
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().ok().filter(|port| *port != 0);
                let port = port
                    .ok_or_else(|| wrong("the port is not a number from 1 to 65535".to_owned()))?;
                (host, port)
            }
            _ => (rest, usual_port),
        };
        let host = host_name(host).ok_or_else(|| wrong("the URL names no host".to_owned()))?;
        Ok(Self {
            security,
            host,
            port,
        })
    }
}

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|err: Malformed| de::Error::custom(err.in_serde()))
    }
}

/// Reads a host: a name, which may be international, or an address.
fn host_name(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(address.to_string());
    }
    let name = idna::domain_to_ascii(text).ok()?;
    // Names with `_` are not host names (RFC 952), but container networks are full of them.
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(letter);
    (name.len() <= 253 && name.split('.').all(label)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_security_host_and_port() {
        let table = [
            (
                "smtps://smtp.example.com",
                Security::Implicit,
                "smtp.example.com",
                465,
            ),
            (
                "smtp://smtp.example.com",
                Security::StartTls,
                "smtp.example.com",
                587,
            ),
            (
                "smtp://smtp.example.com:25",
                Security::StartTls,
                "smtp.example.com",
                25,
            ),
            (
                "smtp+plaintext://127.0.0.1:2525",
                Security::None,
                "127.0.0.1",
                2525,
            ),
            ("smtp+plaintext://[::1]", Security::None, "::1", 25),
            (
                "smtps://[2001:db8::1]:4650",
                Security::Implicit,
                "2001:db8::1",
                4650,
            ),
            (
                "smtps://Müller.example",
                Security::Implicit,
                "xn--mller-kva.example",
                465,
            ),
            (
                "smtp+plaintext://mail_server:1025",
                Security::None,
                "mail_server",
                1025,
            ),
        ];
        for (text, security, host, port) in table {
            let host = host.to_owned();
            assert_eq!(
                text.parse(),
                Ok(Server {
                    security,
                    host,
                    port
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn urls_that_say_anything_else_are_refused() {
        let refused = [
            "",
            "smtp.example.com",
            "smpt://smtp.example.com",
            "https://smtp.example.com",
            "smtps://",
            "smtps://:465",
            "smtps://host:0",
            "smtps://host:65536",
            "smtps://host:",
            "smtps://host/path",
            "smtps://host?tls=required",
            "smtps://host#x",
            "smtps://ho st",
            "smtps://host\r\nQUIT",
            "smtps://a..b",
            "smtps://[::1",
            "smtps://[::1]x",
        ];
        for text in refused {
            assert!(text.parse::<Server>().is_err(), "{text:?}");
        }
        let help = "smpt://x".parse::<Server>().unwrap_err().help;
        assert_eq!(help.as_deref(), Some("did you mean `smtp://`?"));
    }
}

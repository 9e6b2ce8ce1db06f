//! The section `[accounts.email.NAME]`.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use notify_core::problem::nearest;
use notify_core::secret::inline_secret;
use notify_core::time::Span;
use notify_core::{Code, Malformed, Path, Problem, Problems, SecretRef};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::account::{EmailAccount, Login};
use crate::address::Mailbox;

/// The settings of one account, as they stand in files.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "EmailAccount",
    extend("dependentRequired" = {"username": ["password"], "password": ["username"]})
)]
pub struct EmailConfig {
    /// Where mail is handed in.
    smtp: Server,
    /// Who the mail is from.
    from: Mailbox,
    /// Who logs in; comes with `password`.
    #[serde(default)]
    #[schemars(extend("pattern" = r"^[^\x00-\x1f\x7f-\x9f]+$"))]
    username: Option<String>,
    /// Where the password is; comes with `username`.
    #[serde(default)]
    password: Option<SecretRef>,
    /// How long one attempt may take in all.
    #[serde(default = "default_timeout")]
    timeout: Span,
}

const fn default_timeout() -> Span {
    Span(Duration::from_mins(1))
}

impl EmailConfig {
    /// Checks what the types alone cannot, and reports all of it.
    pub(crate) fn validate(self) -> Result<EmailAccount, Problems> {
        let mut problems = Problems::none();
        let at = |key: &str| Path::root().then(key);
        let allowed = Duration::from_secs(1)..=Duration::from_mins(10);
        if !allowed.contains(&self.timeout.0) {
            problems.push(
                Problem::new(Code::WRONG_VALUE, at("timeout"), "no sensible time limit")
                    .help("write a duration from `1s` to `10m`"),
            );
        }
        if let Some(username) = &self.username
            && (username.is_empty() || username.contains(char::is_control))
        {
            // RFC 4616 2: the parts of AUTH PLAIN are separated by NUL.
            let message = "the user name is empty or holds a control character";
            problems.push(Problem::new(Code::WRONG_VALUE, at("username"), message));
        }
        let login = match (self.username, self.password) {
            (Some(username), Some(password)) => Some(Login { username, password }),
            (None, None) => None,
            (Some(_), None) => {
                problems.push(lone("username", "password"));
                None
            }
            (None, Some(_)) => {
                problems.push(lone("password", "username"));
                None
            }
        };
        if login.is_some() && self.smtp.security == Security::None && !self.smtp.is_loopback() {
            problems.push(
                Problem::new(
                    Code::WRONG_VALUE,
                    at("smtp"),
                    "the password would cross the network unencrypted",
                )
                .help("write `smtps://…` or `smtp://…` (STARTTLS); plain text with a password is for this machine only"),
            );
        }
        problems.or_value(EmailAccount {
            server: self.smtp,
            from: self.from,
            login,
            timeout: self.timeout.0,
        })
    }
}

/// States that one of two keys that belong together stands alone.
fn lone(there: &'static str, missing: &str) -> Problem {
    Problem::new(
        Code::MISSING_KEY,
        Path::root().then(there),
        format!("`{missing}` is missing"),
    )
    .help("`username` and `password` come together")
    .at_key()
}

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
    fn is_loopback(&self) -> bool {
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
    use notify_core::{AccountId, AccountName, Email, Kind, NotificationKind, Problems, schema};
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn problems(section: &Value) -> Problems {
        let id = AccountId {
            kind: Kind::from_static(Email::KIND),
            name: AccountName::default_name(),
        };
        crate::DESCRIPTOR.load_account(id, section).unwrap_err()
    }

    #[test]
    fn the_schema_agrees_with_the_reader_wherever_it_can() {
        let mut generator = schema::generator();
        let section = crate::DESCRIPTOR.account_schema(&mut generator);
        let whole = schema::whole(generator, section);
        let validator = jsonschema::validator_for(&whole).unwrap();
        let smtp = "smtps://smtp.example.com";
        let from = "Ops <ops@example.com>";
        let table = [
            (json!({"smtp": smtp, "from": from}), true),
            (
                json!({"smtp": "smtp://bücher.example:25", "from": "a@b.c"}),
                true,
            ),
            (
                json!({"smtp": "smtp+plaintext://[::1]:2525", "from": "\"Ops, Team\" <a@b.c>"}),
                true,
            ),
            (
                json!({"smtp": smtp, "from": " Ops<a@b.c> ", "timeout": "2m 30s"}),
                true,
            ),
            (
                json!({"smtp": smtp, "from": from, "username": "u", "password": {"env": "P"}}),
                true,
            ),
            (json!({}), false),
            (json!({"smtp": smtp}), false),
            (json!({"smtp": "smtp.example.com", "from": from}), false),
            (
                json!({"smtp": "smpt://smtp.example.com", "from": from}),
                false,
            ),
            (
                json!({"smtp": "smtps://jane:hunter2@smtp.example.com", "from": from}),
                false,
            ),
            (json!({"smtp": "smtps://host/path", "from": from}), false),
            (json!({"smtp": smtp, "from": "ops"}), false),
            (
                json!({"smtp": smtp, "from": "Ops\n <ops@example.com>"}),
                false,
            ),
            (json!({"smtp": smtp, "from": from, "username": "u"}), false),
            (
                json!({"smtp": smtp, "from": from, "username": "u", "password": "hunter2"}),
                false,
            ),
            (
                json!({"smtp": smtp, "from": from, "timeout": "soon"}),
                false,
            ),
            (json!({"smtp": smtp, "from": from, "port": 25}), false),
        ];
        for (section, taken) in table {
            let id = "email.default".parse().unwrap();
            assert_eq!(
                crate::DESCRIPTOR.load_account(id, &section).is_ok(),
                taken,
                "{section}"
            );
            assert_eq!(validator.is_valid(&section), taken, "{section}");
        }
    }

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

    #[test]
    fn a_login_in_the_url_is_a_secret_in_a_file_and_never_quoted() {
        for url in [
            "smtps://jane:hunter2@smtp.example.com",
            "jane:hunter2@smtp.example.com",
        ] {
            let found = problems(&json!({"smtp": url, "from": "a@example.com"}));
            let found: Vec<_> = found.iter().collect();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].code, Code::INLINE_SECRET);
            assert!(found[0].sensitive);
            assert!(!found[0].to_string().contains("hunter2"));
        }
    }

    #[test]
    fn all_problems_of_a_section_are_found_at_once() {
        let found = problems(&json!({
            "smtp": "smtp+plaintext://smtp.example.com",
            "from": "Ops\n <ops@example.com>",
            "username": "ops",
            "timeout": "soon",
            "port": 25,
        }));
        let mut places: Vec<String> = found.iter().map(|found| found.path.to_string()).collect();
        places.sort();
        assert_eq!(places, ["from", "port", "timeout"], "{found}");

        let found = problems(&json!({
            "smtp": "smtps://smtp.example.com",
            "from": "ops@example.com",
            "username": "o\u{0}ps",
            "timeout": "11m",
        }));
        let mut places: Vec<String> = found.iter().map(|found| found.path.to_string()).collect();
        places.sort();
        assert_eq!(places, ["timeout", "username", "username"], "{found}");
    }

    #[test]
    fn a_password_never_leaves_the_machine_in_plain_text() {
        let section = |smtp: &str| {
            json!({
                "smtp": smtp,
                "from": "ops@example.com",
                "username": "ops",
                "password": {"env": "SMTP_PASSWORD"},
            })
        };
        for smtp in [
            "smtp+plaintext://smtp.example.com",
            "smtp+plaintext://10.0.0.1:25",
        ] {
            let found = problems(&section(smtp));
            assert_eq!(found.iter().next().unwrap().path.to_string(), "smtp");
            assert!(found.to_string().contains("unencrypted"), "{found}");
        }
        for smtp in [
            "smtp+plaintext://127.0.0.1:2525",
            "smtp+plaintext://[::1]:2525",
            "smtp+plaintext://localhost",
            "smtp://smtp.example.com",
            "smtps://smtp.example.com",
        ] {
            let config: EmailConfig = serde_json::from_value(section(smtp)).unwrap();
            assert!(config.validate().is_ok(), "{smtp}");
        }
    }
}

//! Where requests may go: checked once, when a configuration or a secret is read.
//!
//! **Invariant.** No request leaves this machine without TLS.

use std::fmt;
use std::str::FromStr;

use notify_core::Malformed;
use notify_core::schema::pattern;
use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Position, Url, form_urlencoded};

/// The address that a vendor's methods are joined to.
///
/// `https`, or `http` to this machine; no credentials, no query, no fragment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = pattern::base_url()))]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Returns the address of a method below this one.
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path()));
        url
    }

    /// Tells what a client for this address needs.
    pub fn wire(&self) -> Wire {
        wire(&self.0)
    }
}

impl FromStr for BaseUrl {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut url = checked(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Malformed::new("a base URL has no `?` and no `#`"));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self(url))
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
            .map_err(|err: Malformed| Malformed::new(err.in_serde()))
    }
}

/// An address that is a secret as a whole: whoever knows a webhook's URL can post to it.
#[derive(Clone)]
pub struct SecretUrl(pub(crate) Url);

impl SecretUrl {
    /// Checks and takes an address; no refusal repeats any part of it.
    ///
    /// # Errors
    ///
    /// When it is not an `https` address, or an `http` one of this machine.
    pub fn new(text: &str) -> Result<Self, Malformed> {
        checked(text).map(Self).map_err(Malformed::sensitive)
    }

    /// Tells what a client for this address needs.
    pub fn wire(&self) -> Wire {
        wire(&self.0)
    }

    /// Returns the address, for the one who sends.
    pub(crate) fn expose(&self) -> &Url {
        &self.0
    }

    /// Lists what of the address must not be repeated: all of it, its path, its parts.
    ///
    /// A server's error page often shows the path, or a piece of it.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        // Shorter parts are words such as `services`, which tell nothing.
        const TELLING: usize = 9;
        let segments = self.0.path().split('/');
        let query = self.0.query().into_iter();
        [self.0.as_str(), self.0.path()]
            .into_iter()
            .chain(query.clone())
            .chain(query.flat_map(|query| query.split(['&', '='])))
            .chain(segments)
            .filter(|part| part.len() >= TELLING)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl([secret])")
    }
}

/// What lies between this process and an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Any network: TLS, and the system's proxy where there is one.
    Tls,
    /// This machine only, in the clear: no trust store is read and no proxy asked.
    Loopback,
}

/// Makes a link of untrusted text safe to hand to a vendor as data, or refuses it.
///
/// Gives an absolute `http` or `https` URL in ASCII, as RFC 3986 wants it; a vendor that checks
/// links refuses the whole message for one that is malformed.
pub fn web_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let web = matches!(url.scheme(), "http" | "https");
    // Browsers take hosts with quotes and braces; no vendor does, and no name server knows them.
    let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_:[]".contains(letter);
    let host_is_plain = url.host_str().is_some_and(|host| host.chars().all(plain));
    // A name before the host is there to make a link look like another's.
    let named = !url.username().is_empty() || url.password().is_some();
    if !web || !host_is_plain || named {
        return None;
    }
    let host = &url[..Position::BeforePath];
    let path = percent_encoded(&url[Position::BeforePath..Position::AfterQuery]);
    let fragment = url.fragment().map(percent_encoded);
    let fragment = fragment.map_or_else(String::new, |fragment| format!("#{fragment}"));
    Some(format!("{host}{path}{fragment}"))
}

/// Encodes what the URL standard of browsers leaves as it is and RFC 3986 does not allow.
fn percent_encoded(part: &str) -> String {
    let mut encoded = String::new();
    let mut utf8 = [0; 4];
    let mut rest = part.chars();
    while let Some(letter) = rest.next() {
        let allowed = match letter {
            '%' => {
                let mut digits = rest.as_str().chars().take(2);
                let are_hex = digits.all(|digit| digit.is_ascii_hexdigit());
                are_hex && rest.as_str().len() >= 2
            }
            '"' | '#' | '<' | '>' | '[' | '\\' | ']' | '^' | '`' | '{' | '|' | '}' => false,
            _ => true,
        };
        if allowed {
            encoded.push(letter);
        } else {
            let bytes = letter.encode_utf8(&mut utf8).as_bytes();
            encoded.extend(form_urlencoded::byte_serialize(bytes));
        }
    }
    encoded
}

fn wire(url: &Url) -> Wire {
    match url.scheme() {
        "http" => Wire::Loopback,
        _ => Wire::Tls,
    }
}

/// Checks what every address obeys. The text is never quoted: it may hold a secret.
pub(crate) fn checked(text: &str) -> Result<Url, Malformed> {
    let example = "write it as `https://host/path`";
    let url = Url::parse(text).map_err(|err| {
        let refusal = Malformed::new(format!("not a URL: {err}")).help(example);
        // What follows an `@` may be a host, and what precedes it a password.
        if text.contains('@') {
            refusal.sensitive()
        } else {
            refusal
        }
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Malformed::new("a URL here holds no user name and no password").sensitive());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(
            Malformed::new("an address beyond this machine needs `https`")
                .help("`http` is for `localhost`, `127.0.0.1` and `[::1]` only"),
        ),
        _ => Err(Malformed::new("not a web address").help(example)),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_https_or_loopback() {
        let table = [
            ("https://slack.com/api/", Some(Wire::Tls)),
            ("https://slack.com/api", Some(Wire::Tls)),
            ("https://127.0.0.1/", Some(Wire::Tls)),
            ("http://127.0.0.1:8080/api/", Some(Wire::Loopback)),
            ("http://127.8.9.1", Some(Wire::Loopback)),
            ("http://[::1]:80/", Some(Wire::Loopback)),
            ("http://LOCALHOST:80/", Some(Wire::Loopback)),
            ("http://slack.com/api/", None),
            ("http://127.0.0.1.example.com/", None),
            ("http://localhost.example.com/", None),
            ("http://10.0.0.1/", None),
            ("http://[::ffff:7f00:1]/", None),
            ("ftp://localhost/", None),
            ("data:text/plain,x", None),
            ("slack.com/api", None),
            ("", None),
            ("https://u@slack.com/", None),
            ("https://u:hunter2@slack.com/", None),
            ("https://slack.com/?a=b", None),
            ("https://slack.com/#a", None),
        ];
        for (text, expected) in table {
            let wire = text.parse::<BaseUrl>().ok().map(|base| base.wire());
            assert_eq!(wire, expected, "{text}");
        }
    }

    #[test]
    fn a_method_joins_below_the_base_path() {
        for base in ["https://slack.com/api", "https://slack.com/api/"] {
            let base: BaseUrl = base.parse().unwrap();
            assert_eq!(
                base.join("auth.test").as_str(),
                "https://slack.com/api/auth.test"
            );
        }
        let base: BaseUrl = "http://127.0.0.1:1".parse().unwrap();
        assert_eq!(
            base.join("v2/enqueue").as_str(),
            "http://127.0.0.1:1/v2/enqueue"
        );
    }

    #[test]
    fn a_base_url_in_a_file_is_refused_with_its_help_and_without_a_password() {
        let read = |text: &str| serde_json::from_value::<BaseUrl>(text.into());
        let plain = read("http://slack.com/api/").unwrap_err().to_string();
        assert!(plain.contains("needs `https`; help: "), "{plain}");
        for text in ["https://u:hunter2@slack.com/", "https://u:hunter2@:x/"] {
            let credentials = read(text).unwrap_err().to_string();
            assert!(credentials.starts_with("secret: "), "{credentials}");
            assert!(!credentials.contains("hunter2"), "{credentials}");
        }
    }

    #[test]
    fn a_secret_url_shows_in_no_form() {
        let url = SecretUrl::new("https://hooks.slack.com/services/T00000000/hunter2").unwrap();
        assert_eq!(format!("{url:?}"), "SecretUrl([secret])");
        let refused = SecretUrl::new("http://hooks.slack.com/hunter2").unwrap_err();
        assert!(refused.sensitive && !format!("{refused:?}").contains("hunter2"));
    }

    #[test]
    fn only_absolute_web_addresses_are_links() {
        let table = [
            (
                "https://example.com/a?b=c",
                Some("https://example.com/a?b=c"),
            ),
            (
                "https://example.com/a|b\"<>",
                Some("https://example.com/a%7Cb%22%3C%3E"),
            ),
            (
                "https://exämple.com/ü",
                Some("https://xn--exmple-cua.com/%C3%BC"),
            ),
            (
                "https://[::1]/[a]?b=[c]#d#[e]",
                Some("https://[::1]/%5Ba%5D?b=%5Bc%5D#d%23%5Be%5D"),
            ),
            (
                "https://example.com/100%?%2F%2",
                Some("https://example.com/100%25?%2F%252"),
            ),
            ("javascript:alert(1)", None),
            ("https://", None),
            ("https://\"", None),
            ("https://good.example@evil.example/", None),
            ("https://[bad", None),
            ("/run/1", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(web_url(text).as_deref(), expected, "{text}");
        }
    }
}

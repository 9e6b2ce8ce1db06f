//! Addresses that stand in files, where everybody can read them.

use std::fmt;
use std::str::FromStr;

use notify_core::Malformed;
use notify_core::secret::looks_secret;
use url::{Host, Url};

use crate::address::{SecretUrl, checked};
use crate::guard::{NotPublic, check_host};

/// An address that stands in a file for everybody to see.
///
/// It has no user name, and nothing in it that looks like a secret; a text form reads back as the
/// same address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpenUrl(Url);

impl OpenUrl {
    /// The most bytes of an address.
    pub const LONGEST: usize = 2_048;

    /// The expression that every address matches.
    pub const PATTERN: &'static str = r"^https?://[^\x00-\x20\x7f]+$";

    /// Checks that the host is not, by its own words, within this machine or its network.
    ///
    /// A name can still lead there; that is seen when it is looked up for a connection, by a client
    /// of [`public_only`](crate::HttpClientBuilder::public_only).
    ///
    /// # Errors
    ///
    /// When the host is a private, local or reserved address, or a name that means one.
    pub fn check_public(&self) -> Result<(), NotPublic> {
        check_host(self.0.host().as_ref())
    }

    /// Returns the text form.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Treats it as one that must not be repeated.
    pub fn secret(&self) -> SecretUrl {
        SecretUrl(self.0.clone())
    }

    /// Tells whether a part of the path or of the query is what grants access.
    fn grants_access(&self) -> bool {
        const NAMES: [&str; 9] = [
            "access_token",
            "api_key",
            "apikey",
            "code",
            "key",
            "secret",
            "sig",
            "signature",
            "token",
        ];
        let mut segments = self.0.path().split('/');
        let query = self.0.query_pairs();
        segments.any(looks_secret)
            || query.into_iter().any(|(name, value)| {
                let name = name.to_ascii_lowercase();
                NAMES.contains(&name.as_str()) || looks_secret(&value)
            })
    }
}

impl FromStr for OpenUrl {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let begins = text.starts_with("https://") || text.starts_with("http://");
        let odd = |letter: char| letter <= ' ' || letter == '\u{7f}';
        if !begins || text.contains(odd) || text.len() > Self::LONGEST {
            return Err(Malformed::new("not a web address")
                .help("write it as `https://host/path`, in at most 2048 bytes")
                .sensitive());
        }
        let url = Self(checked(text)?);
        let (_, rest) = text.split_once("://").unwrap_or_default();
        let written = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
        if written.contains('@') {
            return Err(
                Malformed::new("a URL here holds no user name and no password").sensitive(),
            );
        }
        let host = written.split(':').next().unwrap_or_default();
        if let Some(Host::Ipv4(address)) = url.0.host()
            && host != address.to_string()
        {
            return Err(
                Malformed::new("the host is an IPv4 address in a form that hides it")
                    .help(format!("write it as `{address}`")),
            );
        }
        if url.grants_access() {
            return Err(Malformed::new("the address holds what looks like a secret")
                .help("put the address into an environment variable and write `url = { env = \"NAME\" }` in an endpoint")
                .sensitive());
        }
        Ok(url)
    }
}

impl fmt::Display for OpenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_address_hides_nothing_and_grants_nothing() {
        for text in [
            "https://ci.example.com/hooks/notify",
            "https://ci.example.com:8443/hooks?team=data&page=2",
            "http://127.0.0.1:8080/",
            "https://10.0.0.1/",
            "https://[2001:db8::1]/",
            "https://example.com/123e4567-e89b-12d3-a456-426614174000",
        ] {
            let url: OpenUrl = text.parse().unwrap();
            assert_eq!(url.as_str(), text);
            assert_eq!(url.to_string().parse(), Ok(url));
        }
        let refused = [
            ("", true),
            ("ci.example.com", true),
            ("HTTPS://example.com", true),
            ("https://exa mple.com/", true),
            ("https://example.com/\n", true),
            ("ftp://example.com/", true),
            ("http://example.com/", false),
            ("https://2130706433/", false),
            ("https://0x8.8.8.8/", false),
            ("https://@example.com/", true),
            ("https://:@example.com/", true),
            ("https://u@example.com/", true),
            ("https://u:hunter2@example.com/", true),
            (
                "https://hooks.slack.com/services/T0/B0/hunter2hunter2hunter2hunt",
                true,
            ),
            ("https://example.com/?token=hunter2", true),
            ("https://example.com/?v=hunter2hunter2hunter2hunter2", true),
        ];
        for (text, sensitive) in refused {
            let why = text.parse::<OpenUrl>().unwrap_err();
            assert_eq!(why.sensitive, sensitive, "{text}: {why}");
            assert!(!format!("{why:?}").contains("hunter2"), "{text}");
        }
        let long = format!("https://example.com/{}", "a-".repeat(1_100));
        assert!(long.parse::<OpenUrl>().is_err());
    }
}

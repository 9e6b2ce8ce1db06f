//! Through which proxy an account goes: the key `proxy` of every HTTP provider.
//!
//! **Invariant.** A proxy carries TLS and nothing else, so it sees hosts and no secrets.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use notify_core::secret::{ExposeSecret, SecretString};
use notify_core::{Malformed, SecretRef, Secrets};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::builder::HttpClientBuilder;

/// Where a proxy is: `"http://proxy.example.com:3128"`, or a reference to an address that holds a
/// name and a password.
///
/// ```
/// use notify_http::ProxyConfig;
/// use serde_json::{from_value, json};
///
/// let open: ProxyConfig = from_value(json!("http://proxy.example.com:3128"))?;
/// assert!(open.secret().is_none());
/// let secret: ProxyConfig = from_value(json!({"env": "PROXY_URL"}))?;
/// assert!(secret.secret().is_some());
/// assert!(from_value::<ProxyConfig>(json!("http://me:hunter2@proxy.example.com:3128")).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyConfig {
    /// An address without credentials.
    Open(ProxyUrl),
    /// Where the address is, with its name and its password.
    Secret(SecretRef),
}

impl ProxyConfig {
    /// Returns the secret that [`HttpClientBuilder::proxy`] needs.
    pub fn secret(&self) -> Option<&SecretRef> {
        match self {
            Self::Open(_) => None,
            Self::Secret(reference) => Some(reference),
        }
    }

    /// Leads a client through the proxy.
    pub(crate) fn apply(
        &self,
        builder: HttpClientBuilder,
        secrets: &Secrets,
    ) -> Result<HttpClientBuilder, Malformed> {
        match self {
            Self::Open(url) => builder.through(&url.0, Vec::new()),
            Self::Secret(reference) => {
                let text = secrets.get(reference)?.expose_secret().trim();
                let url = checked(text).map_err(Malformed::sensitive)?;
                let hidden = hidden(text, &url);
                builder.through(&url, hidden)
            }
        }
    }
}

/// Lists what of an address no message may repeat.
fn hidden(text: &str, url: &Url) -> Vec<SecretString> {
    let mut hidden = vec![text.into(), url.as_str().into()];
    hidden.extend(url.password().map(SecretString::from));
    hidden
}

/// The address of a proxy, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyUrl(Url);

impl FromStr for ProxyUrl {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        // What stands before an `@` is a name and a password, wherever a parser sees the host.
        if text.contains('@') {
            return Err(Malformed::new("a proxy's name and password do not stand in a file")
                .help("put the whole address into an environment variable and write `proxy = { env = \"PROXY_URL\" }`")
                .sensitive());
        }
        checked(text).map(Self)
    }
}

/// Checks what every address of a proxy obeys. The text is never quoted.
fn checked(text: &str) -> Result<Url, Malformed> {
    let example = "write it as `http://proxy.example.com:3128`";
    let url = Url::parse(text)
        .map_err(|err| Malformed::new(format!("not a URL: {err}")).help(example))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Malformed::new("not the address of an HTTP proxy").help(example));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(Malformed::new("a proxy has a host and a port, and no path").help(example));
    }
    Ok(url)
}

impl<'de> Deserialize<'de> for ProxyConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ProxyVisitor)
    }
}

struct ProxyVisitor;

impl<'de> Visitor<'de> for ProxyVisitor {
    type Value = ProxyConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address of a proxy or a reference to a secret one: `{ env = \"NAME\" }`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ProxyConfig, E> {
        let url = text.parse();
        url.map(ProxyConfig::Open)
            .map_err(|why: Malformed| E::custom(why.in_serde()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ProxyConfig, A::Error> {
        SecretRef::deserialize(MapAccessDeserializer::new(map)).map(ProxyConfig::Secret)
    }
}

impl JsonSchema for ProxyConfig {
    fn schema_name() -> Cow<'static, str> {
        "HttpProxy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The address of a proxy, or a reference to one with a name and a password.",
            "anyOf": [
                {"type": "string", "pattern": r"^\s*[Hh][Tt][Tt][Pp][Ss]?:[^@?#]+$"},
                generator.subschema_for::<SecretRef>(),
            ],
            "examples": ["http://proxy.example.com:3128", {"env": "PROXY_URL"}],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_proxy_in_a_file_has_a_host_and_a_port_and_no_password() {
        for good in [
            "http://proxy.example.com:3128",
            "http://proxy.example.com:3128/",
            "https://proxy.example.com",
            "http://[::1]:3128",
            "http://10.0.0.7:8080",
        ] {
            assert!(from_value::<ProxyConfig>(json!(good)).is_ok(), "{good}");
        }
        let table = [
            ("", false),
            ("proxy.example.com:3128", false),
            ("socks5://proxy.example.com", false),
            ("http://proxy.example.com/path", false),
            ("http://proxy.example.com/?a", false),
            ("http://proxy.example.com/#a", false),
            ("http://me:hunter2@proxy.example.com:3128", true),
            ("http://hunter2@proxy.example.com:3128", true),
            ("me:hunter2@proxy.example.com:3128", true),
            ("http://me:hunter2@:x", true),
        ];
        for (bad, sensitive) in table {
            let refused = from_value::<ProxyConfig>(json!(bad))
                .unwrap_err()
                .to_string();
            assert_eq!(
                refused.starts_with("secret: "),
                sensitive,
                "{bad}: {refused}"
            );
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}

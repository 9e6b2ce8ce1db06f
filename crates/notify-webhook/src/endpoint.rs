//! The table `endpoints.NAME` of an account: where to, how, and as whom.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use notify_core::secret::{inline_secret, looks_secret};
use notify_core::{Code, Malformed, Path, Problem, Problems, SecretRef};
use notify_http::{Header, Method, OpenUrl, ProxyConfig, TlsConfig};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::template::Template;

/// The most keys that sign one request: each costs the receiver a comparison.
const MAX_KEYS: usize = 8;

/// An endpoint as it stands in the file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "WebhookEndpoint",
    extend("allOf" = [
        {"not": {"required": ["body", "mode"]}},
        {"not": {"required": ["bearer", "basic"]}},
    ])
)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// Where requests go: an address without credentials in it, or a reference to a secret one.
    #[schemars(extend("examples" = [{"env": "CI_HOOK"}, "https://ci.example.com/hooks/notify"]))]
    pub url: Text,
    /// How the body is handed over.
    #[serde(default)]
    pub method: Method,
    /// Further headers by name, each a text or a reference to a secret.
    #[serde(default)]
    #[schemars(extend("propertyNames" = {"pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"}))]
    pub headers: BTreeMap<String, Text>,
    /// How the event of the CNCF's specification is laid out; `structured` where nothing is said.
    pub mode: Option<Mode>,
    /// A JSON body of one's own instead of an event; `{{ field }}` in a text stands for a fact.
    pub body: Option<Value>,
    /// The keys of Standard Webhooks that sign each request; two while one replaces the other.
    #[serde(default)]
    #[schemars(extend("maxItems" = MAX_KEYS))]
    pub signing_keys: Vec<SecretRef>,
    /// The token of `Authorization: Bearer`.
    pub bearer: Option<SecretRef>,
    /// Name and password of `Authorization: Basic`.
    pub basic: Option<BasicConfig>,
    /// Whom to trust, and the certificate to show.
    pub tls: Option<TlsConfig>,
    /// The proxy to go through, instead of the system's.
    pub proxy: Option<ProxyConfig>,
}

/// A name and a password (RFC 7617).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookBasic")]
#[non_exhaustive]
pub struct BasicConfig {
    /// The name: without a colon, which ends it.
    #[schemars(extend("pattern" = r"^[^:\x00-\x1f\x7f-\x9f]*$"))]
    pub username: String,
    /// Where the password is.
    pub password: SecretRef,
}

/// The modes of CloudEvents over HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "WebhookMode")]
#[non_exhaustive]
pub enum Mode {
    /// The whole event is the body.
    #[default]
    Structured,
    /// The event's attributes are headers, its data is the body.
    Binary,
}

/// A text that may be a secret: then it is a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// What stands in the file.
    Plain(String),
    /// Where it is.
    Secret(SecretRef),
}

impl Text {
    fn secret(&self) -> Option<&SecretRef> {
        match self {
            Self::Plain(_) => None,
            Self::Secret(reference) => Some(reference),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a reference to a secret: `{ env = \"NAME\" }`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text::Plain(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
        SecretRef::deserialize(MapAccessDeserializer::new(map)).map(Text::Secret)
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "TextOrSecret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text, or a reference to a secret one.",
            "anyOf": [{"type": "string"}, generator.subschema_for::<SecretRef>()],
        })
    }
}

/// An endpoint that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: Address,
    pub(crate) method: Method,
    pub(crate) headers: BTreeMap<String, Text>,
    pub(crate) body: Body,
    pub(crate) signing_keys: Vec<SecretRef>,
    pub(crate) login: Option<Login>,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) proxy: Option<ProxyConfig>,
}

/// Where an endpoint is.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Open(OpenUrl),
    Secret(SecretRef),
}

/// What an endpoint gets.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Event(Mode),
    Own(Template),
}

/// Who logs in.
#[derive(Clone, Debug)]
pub(crate) enum Login {
    Bearer(SecretRef),
    Basic(BasicConfig),
}

impl Endpoint {
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let url = match &self.url {
            Address::Open(_) => None,
            Address::Secret(reference) => Some(reference),
        };
        let login = self.login.as_ref().map(|login| match login {
            Login::Bearer(token) => token,
            Login::Basic(basic) => &basic.password,
        });
        let key = self.tls.iter().flat_map(TlsConfig::secrets);
        let proxy = self.proxy.as_ref().and_then(ProxyConfig::secret);
        url.into_iter()
            .chain(self.headers.values().filter_map(Text::secret))
            .chain(&self.signing_keys)
            .chain(login)
            .chain(key)
            .chain(proxy)
    }
}

impl EndpointConfig {
    /// Checks what the types alone cannot, and reports all of it.
    pub(crate) fn validate(self) -> Result<Endpoint, Problems> {
        let mut problems = Problems::none();
        let root = Path::root();
        let address = match self.url {
            Text::Secret(reference) => Some(Address::Secret(reference)),
            Text::Plain(text) => match text.parse() {
                Ok(url) => Some(Address::Open(url)),
                Err(why) => {
                    problems.push(malformed(root.then("url"), why));
                    None
                }
            },
        };
        let own_login = self.bearer.is_some() || self.basic.is_some();
        let mut names = BTreeMap::new();
        for (name, text) in &self.headers {
            let place = root.then("headers").then(name.as_str());
            if let Some(other) = names.insert(name.to_ascii_lowercase(), name) {
                let message = format!("the header `{other}` stands here twice");
                let problem = Problem::new(Code::WRONG_VALUE, place, message);
                problems.push(problem.plainly("the header stands here twice").at_key());
            } else if let Some(problem) = refuse_header(&place, name, text, own_login) {
                problems.push(problem);
            }
        }
        if self.signing_keys.len() > MAX_KEYS {
            let place = root.then("signing_keys");
            problems.push(
                Problem::new(Code::WRONG_VALUE, place, "more than 8 keys")
                    .help("keep the newest and the one that it replaces"),
            );
        }
        if self.mode.is_some() && self.body.is_some() {
            let problem = Problem::new(
                Code::WRONG_VALUE,
                root.then("mode"),
                "a body of one's own is no event, so it has no mode",
            );
            problems.push(problem.help("keep `body` or `mode`").at_key());
        }
        let body = match self.body {
            None => Some(Body::Event(self.mode.unwrap_or_default())),
            Some(value) => problems
                .absorb(&root.then("body"), Template::parse(&value))
                .map(Body::Own),
        };
        let login = match (self.bearer, self.basic) {
            (Some(_), Some(_)) => {
                let problem = Problem::new(
                    Code::WRONG_VALUE,
                    root.then("basic"),
                    "a request logs in once: with `bearer` or with `basic`",
                );
                problems.push(problem.help("remove one of the two").at_key());
                None
            }
            (Some(token), None) => Some(Login::Bearer(token)),
            (None, Some(basic)) => {
                if basic
                    .username
                    .contains(|one: char| one == ':' || one.is_control())
                {
                    let message = "the user name holds a colon or a control character";
                    let place = root.then("basic").then("username");
                    problems.push(Problem::new(Code::WRONG_VALUE, place, message));
                }
                Some(Login::Basic(basic))
            }
            (None, None) => None,
        };
        if let Some(tls) = &self.tls {
            problems.absorb(&root.then("tls"), tls.validate());
        }
        match (address, body) {
            (Some(url), Some(body)) => problems.or_value(Endpoint {
                url,
                method: self.method,
                headers: self.headers,
                body,
                signing_keys: self.signing_keys,
                login,
                tls: self.tls,
                proxy: self.proxy,
            }),
            _ => Err(problems),
        }
    }
}

/// Places a refused text; one that held a secret is a problem of its own.
fn malformed(place: Path, why: Malformed) -> Problem {
    let code = if why.sensitive {
        Code::INLINE_SECRET
    } else {
        Code::WRONG_VALUE
    };
    Problem::malformed(code, place, why)
}

/// Headers that the request has by itself.
const OWN: [&str; 11] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What names of headers say of their values.
const SECRET: [&str; 8] = [
    "api-key",
    "apikey",
    "authorization",
    "cookie",
    "password",
    "secret",
    "signature",
    "token",
];

/// Says what is wrong with a header.
fn refuse_header(place: &Path, name: &str, text: &Text, own_login: bool) -> Option<Problem> {
    let lower = name.to_ascii_lowercase();
    let taken = |message: &'static str, help: &'static str| {
        let problem = Problem::new(Code::WRONG_VALUE, place.clone(), message);
        Some(problem.help(help).at_key())
    };
    if let Err(why) = Header::new(name, "x") {
        return Some(Problem::malformed(Code::WRONG_VALUE, place.clone(), why).at_key());
    }
    if OWN.contains(&lower.as_str()) || lower.starts_with("webhook-") || lower.starts_with("ce-") {
        return taken("the request has this header by itself", "remove it");
    }
    if lower == "authorization" && own_login {
        return taken(
            "the endpoint logs in already",
            "keep the header, or `bearer` or `basic`",
        );
    }
    let Text::Plain(value) = text else {
        return None;
    };
    let guess = looks_secret(value) && !value.contains("://");
    if guess || SECRET.iter().any(|word| lower.contains(word)) {
        return Some(Problem::malformed(
            Code::INLINE_SECRET,
            place.clone(),
            inline_secret(),
        ));
    }
    let why = Header::new(name, value).err()?;
    Some(Problem::malformed(Code::WRONG_VALUE, place.clone(), why))
}

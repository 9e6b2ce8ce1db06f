//! The parts that a provider declares: a sound toy, with a place for each flaw.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use notify_core::content::Block;
use notify_core::schema::{JsonSchema, Schema, SchemaGenerator};
use notify_core::time::Span;
use notify_core::{
    Account, AccountId, Action, Capabilities, Code, Continuity, Delivery, Limits, Malformed,
    Message, Notification, NotificationKind, NotificationOptions, Path, Payload, Problem, Problems,
    Provider, ProviderDescriptor, Rate, Recipient, SecretRef, Secrets, Target, Transport,
    register_provider,
};
use notify_testkit::fake::Reply;
use notify_testkit::provider::{Fixture, Http};
use serde::de::Error as _;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::flaw::{Flaw, has};
use crate::wire::{ToyTransport, checked_token};

/// The most characters of title and text.
const MOST: usize = 300;

const DESCRIPTOR: ProviderDescriptor = ProviderDescriptor::of::<ToyOf<GoodKind>>("notify-toy");
register_provider!(DESCRIPTOR);

/// What the suite is told about the toy.
pub(crate) fn fixture() -> Fixture {
    let descriptor = match () {
        () if has(Flaw::Kind) => ProviderDescriptor::of::<ToyOf<BadKind>>("notify-toy"),
        () if has(Flaw::Unregistered) => ProviderDescriptor::of::<ToyOf<LonelyKind>>("notify-toy"),
        () if has(Flaw::Summary) => ProviderDescriptor::of::<BadSummary>("notify-toy"),
        () => DESCRIPTOR,
    };
    let wire = Http::delivered(Reply::json(200, &json!({"id": "m1"})))
        .answer(Reply::new(401), "rejected auth account")
        .answer(Reply::new(404).body("no topic"), "rejected destination")
        .answer(Reply::new(429), "not_delivered throttled")
        .answer(Reply::new(503).body("busy"), "not_delivered unavailable");
    Fixture::new(descriptor)
        .account(|at| json!({"server": at.to_string(), "token": {"env": "TOKEN"}, "timeout": "2s"}))
        .wrong_account(
            json!({"server": "127.0.0.1:1", "token": {"env": "TOKEN"}, "timeout": "1h", "burst": 0}),
            &["burst", "timeout"],
        )
        .secret("TOKEN", "tk-hunter2-hunter2")
        .notification(json!({"to": ["alerts", "nights"], "priority": 4}))
        .older_notification(json!({"to": ["alerts"], "prio": 3}))
        .wire(wire)
        .recipient(|request| request.json_text("/topic"))
        .idempotency_aid(|request| request.json_text("/id"))
        .accepts("a title that is not empty", |payload| length(payload, "title") > 0)
        .limit("characters of title", MOST, |payload| length(payload, "title"))
        .limit("characters of text", MOST, |payload| length(payload, "text"))
        .live("<!all>", |payload| {
            String::from_utf8_lossy(&payload.body).contains("<!all>")
        })
}

fn length(payload: &Payload, key: &str) -> usize {
    let body: Value = serde_json::from_slice(&payload.body).unwrap_or_default();
    body[key].as_str().unwrap_or_default().chars().count()
}

/// A kind by its name.
pub(crate) trait Named: 'static {
    const NAME: &'static str;
}

pub(crate) struct GoodKind;
pub(crate) struct BadKind;
pub(crate) struct LonelyKind;

impl Named for GoodKind {
    const NAME: &'static str = "toy";
}

impl Named for LonelyKind {
    const NAME: &'static str = "lonely";
}

impl Named for BadKind {
    const NAME: &'static str = "phases";
}

pub(crate) struct ToyOf<N>(std::marker::PhantomData<fn() -> N>);
pub(crate) struct BadSummary;

impl<N: Named> NotificationKind for ToyOf<N> {
    const KIND: &'static str = N::NAME;
    type Options = ToyOptions;
    type Recipient = Topic;
}

impl<N: Named> Provider for ToyOf<N> {
    type Kind = Self;
    type Config = ToyConfig;
    const SUMMARY: &'static str = "a message to a topic of the toy";

    fn account(_: AccountId, config: ToyConfig) -> Result<Arc<dyn Account>, Problems> {
        config.validate()
    }
}

impl Provider for BadSummary {
    type Kind = ToyOf<GoodKind>;
    type Config = ToyConfig;
    const SUMMARY: &'static str = "Sends messages.";

    fn account(_: AccountId, config: ToyConfig) -> Result<Arc<dyn Account>, Problems> {
        config.validate()
    }
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic(String);

impl FromStr for Topic {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        let empty = text.is_empty() && !has(Flaw::EmptyRecipient);
        if empty || !text.chars().all(allowed) {
            return Err(Malformed::new("not a topic").help("write it as `alerts`"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if has(Flaw::Recipient) { "topic-" } else { "" };
        write!(f, "{prefix}{}", self.0)
    }
}

impl JsonSchema for Topic {
    fn schema_name() -> Cow<'static, str> {
        "Topic".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json!({"type": "string", "examples": ["alerts"]});
        if has(Flaw::Example) {
            schema["examples"] = json!(["#alerts"]);
        }
        schema.try_into().unwrap()
    }
}

/// The options: a priority.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ToyOptions {
    priority: Option<u8>,
}

impl NotificationOptions for ToyOptions {
    const VERSION: u32 = 2;
}

impl Serialize for ToyOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut written = serializer.serialize_struct("ToyOptions", 1)?;
        if let Some(priority) = self.priority.filter(|_| !has(Flaw::ForgetsOption)) {
            let more = u8::from(has(Flaw::Options));
            written.serialize_field("priority", &(priority + more))?;
        }
        written.end()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    #[serde(alias = "prio")]
    priority: Option<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    priority: Option<u8>,
}

#[derive(Deserialize)]
struct Lax {
    #[serde(alias = "prio")]
    priority: Option<u8>,
}

impl<'de> Deserialize<'de> for ToyOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let priority = if has(Flaw::LaxOptions) {
            Lax::deserialize(deserializer)?.priority
        } else if has(Flaw::OlderOptions) {
            New::deserialize(deserializer)?.priority
        } else {
            Strict::deserialize(deserializer)?.priority
        };
        if has(Flaw::Notification) && priority == Some(4) {
            return Err(D::Error::custom("a priority is from 1 to 3"));
        }
        Ok(Self { priority })
    }
}

impl JsonSchema for ToyOptions {
    fn schema_name() -> Cow<'static, str> {
        "ToyOptions".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let most = if has(Flaw::OptionsSchema) { 3 } else { 5 };
        let priority = json!({"type": "integer", "minimum": 1, "maximum": most});
        let mut schema = json!({
            "type": "object",
            "properties": {"priority": priority},
            "additionalProperties": false,
        });
        if has(Flaw::TakenOption) {
            schema["properties"]["account"] = json!({"type": "string"});
        }
        schema.try_into().unwrap()
    }
}

/// The section of an account.
#[derive(Debug)]
pub(crate) struct ToyConfig {
    server: SocketAddr,
    token: SecretRef,
    timeout: Span,
    burst: u32,
}

/// Where the token is.
struct Token(SecretRef);

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let (Value::String(text), true) = (&value, has(Flaw::QuotesSecret)) {
            return Err(D::Error::custom(format!("`{text}` is no reference")));
        }
        SecretRef::deserialize(value)
            .map(Self)
            .map_err(D::Error::custom)
    }
}

const fn timeout() -> Span {
    Span(Duration::from_secs(2))
}

const fn burst() -> u32 {
    5
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictConfig {
    server: SocketAddr,
    token: Token,
    #[serde(default = "timeout")]
    timeout: Span,
    #[serde(default = "burst")]
    burst: u32,
}

#[derive(Deserialize)]
struct LaxConfig {
    server: SocketAddr,
    token: Token,
}

impl<'de> Deserialize<'de> for ToyConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if has(Flaw::LaxSection) {
            // Both, so that everything else is as it was.
            let value = Value::deserialize(deserializer)?;
            let mut map = value.as_object().cloned().unwrap_or_default();
            map.remove("no_such_setting");
            let LaxConfig { server, token } =
                LaxConfig::deserialize(value).map_err(D::Error::custom)?;
            let whole = StrictConfig::deserialize(Value::Object(map));
            let (timeout, burst) = whole.map_or((timeout(), burst()), |it| (it.timeout, it.burst));
            let token = token.0;
            return Ok(Self {
                server,
                token,
                timeout,
                burst,
            });
        }
        let read = StrictConfig::deserialize(deserializer)?;
        Ok(Self {
            server: read.server,
            token: read.token.0,
            timeout: read.timeout,
            burst: read.burst,
        })
    }
}

impl JsonSchema for ToyConfig {
    fn schema_name() -> Cow<'static, str> {
        "ToyAccount".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let pattern = if has(Flaw::SectionSchema) {
            "^https://"
        } else {
            ":[0-9]+$"
        };
        json!({
            "type": "object",
            "properties": {
                "server": {"type": "string", "pattern": pattern},
                "token": generator.subschema_for::<SecretRef>(),
                "timeout": generator.subschema_for::<Span>(),
                "burst": {"type": "integer"},
            },
            "required": ["server", "token"],
            "additionalProperties": false,
        })
        .try_into()
        .unwrap()
    }
}

impl ToyConfig {
    fn validate(self) -> Result<Arc<dyn Account>, Problems> {
        let mut problems = Problems::none();
        let wrong = |key: &str, why: &str| {
            Problem::new(Code::WRONG_VALUE, Path::root().then(key), why.to_owned())
        };
        if has(Flaw::Section) && self.burst > 0 {
            problems.push(wrong("region", "missing"));
        }
        if self.timeout.0 > Duration::from_mins(1) {
            problems.push(wrong("timeout", "longer than a minute"));
        }
        if self.burst == 0 && (problems.is_empty() || !has(Flaw::FirstMistake)) {
            problems.push(wrong("burst", "at least one goes at once"));
        }
        problems.or_value(Arc::new(ToyAccount {
            config: self,
            unneeded: SecretRef::Env("UNNEEDED".to_owned()),
            asked: AtomicU32::new(0),
        }) as Arc<dyn Account>)
    }
}

#[derive(Debug)]
struct ToyAccount {
    config: ToyConfig,
    unneeded: SecretRef,
    asked: AtomicU32,
}

impl Account for ToyAccount {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none().closes()
    }

    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        if has(Flaw::Unreachable) {
            let why = "nobody is reached";
            return Err(Problem::new(Code::UNREACHABLE_RECIPIENT, Path::root(), why));
        }
        let lane = match () {
            () if has(Flaw::Target) => self.asked.fetch_add(1, Ordering::SeqCst).to_string(),
            () if has(Flaw::Lane) => format!("{to}\n"),
            () => to.to_string(),
        };
        let target = Target::lane(lane);
        if has(Flaw::NoConversation) {
            return Ok(target);
        }
        Ok(target.conversation(Continuity::Workflow))
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        if has(Flaw::EmptyMessage) && message.headline.is_empty() {
            let (content_type, body) = ("application/json", "".into());
            return Payload { content_type, body };
        }
        let mut words: Vec<String> = message.blocks.iter().map(Block::plain_text).collect();
        words.extend(message.footer.clone());
        if has(Flaw::DropsText) {
            words.clear();
        }
        let headline = match () {
            () if message.headline.is_empty() && !has(Flaw::NoFallback) => {
                delivery.event.workflow.to_string()
            }
            () if has(Flaw::Headline) => message.headline.replace("word", "w0rd"),
            () => message.headline.clone(),
        };
        let topic = match () {
            () if has(Flaw::OneTopic) => "alerts",
            () => delivery.recipient.as_str(),
        };
        let id = match () {
            () if has(Flaw::OneAid) => "message".to_owned(),
            () => delivery.id.to_string(),
        };
        let key = delivery.conversation.unwrap_or_default();
        let key = if has(Flaw::CloseKey) && delivery.action == Action::Close {
            "another"
        } else {
            key
        };
        if let Some(earlier) = delivery.earlier.filter(|_| has(Flaw::TrustsReceipt)) {
            // As an index does that nobody checked.
            assert!(earlier.facts.contains_key("channel"), "no channel");
        }
        let mut body = json!({
            "id": id,
            "topic": topic,
            "title": fitted(&headline),
            "text": fitted(&words.join("\n")),
            "key": key,
            "closes": delivery.action == Action::Close,
        });
        if has(Flaw::CountsPayloads) {
            // As a time or a random number would.
            static CALLS: AtomicU32 = AtomicU32::new(0);
            body["call"] = json!(CALLS.fetch_add(1, Ordering::SeqCst));
        }
        let body = if has(Flaw::PastesJson) && headline.contains('"') {
            format!("{{\"title\":\"{headline}\"}}")
        } else {
            body.to_string()
        };
        Payload {
            content_type: if has(Flaw::ContentType) {
                ""
            } else {
                "application/json"
            },
            body: body.into(),
        }
    }

    fn limits(&self) -> Limits {
        let every = if has(Flaw::Rate) {
            Duration::from_hours(2)
        } else {
            Duration::from_secs(1)
        };
        Limits::none().lane(Rate::new(every, self.config.burst))
    }

    fn deadline(&self) -> Duration {
        if has(Flaw::Deadline) {
            return Duration::from_hours(1);
        }
        self.config.timeout.0 + Duration::from_secs(1)
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        let mut secrets = vec![&self.config.token];
        if has(Flaw::NamesSecret) {
            secrets.push(&self.unneeded);
        }
        secrets
    }

    fn connect(&self, secrets: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        if has(Flaw::Connect) {
            return Err(Malformed::new("no token is good enough"));
        }
        let token = match secrets.get(&self.config.token) {
            Err(_) if has(Flaw::NoToken) => "anonymous".into(),
            other => other?.clone(),
        };
        checked_token(&token)?;
        if has(Flaw::ConnectsEarly) {
            let within = Duration::from_millis(50);
            std::net::TcpStream::connect_timeout(&self.config.server, within).ok();
        }
        let timeout = self.config.timeout.0;
        Ok(Arc::new(ToyTransport::new(
            self.config.server,
            token,
            timeout,
        )))
    }
}

/// Escapes what the vendor acts on, and cuts visibly.
fn fitted(text: &str) -> String {
    let text = if has(Flaw::Mentions) {
        text.to_owned()
    } else {
        text.replace('<', "&lt;")
    };
    let long = text.chars().count() > 2 * MOST;
    let most = match () {
        () if has(Flaw::CutsNothing) && long => usize::MAX,
        () if has(Flaw::CutsTooMuch) => 40,
        () => MOST,
    };
    match text.chars().count() {
        MOST if has(Flaw::OffByOne) => text + "…",
        length if length > most => text.chars().take(most - 1).chain(['…']).collect(),
        _ => text,
    }
}

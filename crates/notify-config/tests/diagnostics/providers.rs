//! Two small providers: one of a shared kind, one with everything of its own.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use notify_core::{
    Account, AccountId, Capabilities, Code, Delivery, DeliveryContext, Email, Malformed, Message,
    Notification, NotificationKind, NotificationOptions, Outcome, Path, Payload, Prepared, Problem,
    Problems, Provider, ProviderDescriptor, Recipient, Registry, SecretRef, Secrets, Target,
    Transport,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

struct Mail;

impl Provider for Mail {
    type Kind = Email;
    type Config = MailConfig;
    const SUMMARY: &'static str = "mail";

    fn account(_: AccountId, config: MailConfig) -> Result<Arc<dyn Account>, Problems> {
        Ok(Arc::new(config))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MailConfig {
    smtp: String,
    password: Option<SecretRef>,
}

#[async_trait]
impl Account for MailConfig {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn target(&self, _: &Notification, _: &Recipient) -> Result<Target, Problem> {
        Ok(Target::lane(self.smtp.as_str()))
    }

    fn payload(&self, _: &Delivery<'_>, _: &Message) -> Payload {
        Payload::json(&())
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        self.password.iter().collect()
    }

    fn connect(&self, _: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        Ok(Arc::new(Nowhere))
    }
}

struct Ntfy;

impl NotificationKind for Ntfy {
    const KIND: &'static str = "ntfy";
    type Options = NtfyOptions;
    type Recipient = Topic;
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NtfyOptions {
    /// How urgent it is.
    #[serde(default)]
    priority: Option<u8>,
}

impl NotificationOptions for NtfyOptions {}

/// A topic: a text without spaces.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(extend("pattern" = r"^(?!https://)[^\s@]+$"))]
struct Topic(String);

impl FromStr for Topic {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text.starts_with("https://") {
            return Err(Malformed::new("an address is not a topic").sensitive());
        }
        let is_wrong = |letter: char| letter.is_whitespace() || letter == '@';
        if text.is_empty() || text.contains(is_wrong) {
            return Err(Malformed::new(format!("`{text}` is not a topic"))
                .help("a topic has no spaces: `#data-alerts`"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Provider for Ntfy {
    type Kind = Self;
    type Config = NtfyConfig;
    const SUMMARY: &'static str = "push";

    fn account(_: AccountId, config: NtfyConfig) -> Result<Arc<dyn Account>, Problems> {
        Ok(Arc::new(config))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NtfyConfig {
    token: SecretRef,
    #[serde(default)]
    retries: u8,
    /// The only topics that the account may write to.
    #[serde(default)]
    topics: Option<Vec<String>>,
    /// Where a message goes whose notification names no topic.
    #[serde(default)]
    topic: Option<String>,
    /// Sends without a lock.
    #[serde(default)]
    unlocked: bool,
}

#[async_trait]
impl Account for NtfyConfig {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        let reaches = |topics: &Vec<String>| topics.iter().any(|topic| topic == to.as_str());
        if self.topics.as_ref().is_none_or(reaches) {
            return Ok(Target::lane(format!("{to} {}", self.retries)));
        }
        let message = format!("the account may not write to `{to}`");
        Err(
            Problem::new(Code::UNREACHABLE_RECIPIENT, Path::root(), message)
                .help("add it to `topics` of the account"),
        )
    }

    fn payload(&self, _: &Delivery<'_>, _: &Message) -> Payload {
        Payload::json(&())
    }

    fn warnings(&self) -> Vec<Problem> {
        let place = Path::root().then("unlocked");
        let warning = Problem::warning(Code::UNPROTECTED, place, "anybody can read what is sent");
        let warning = warning.help("remove `unlocked`");
        self.unlocked.then_some(warning).into_iter().collect()
    }

    fn default_recipients(&self) -> Vec<Recipient> {
        self.topic.iter().map(Recipient::of).collect()
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        vec![&self.token]
    }

    fn connect(&self, _: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        Ok(Arc::new(Nowhere))
    }
}

#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    async fn deliver(&self, _: &DeliveryContext<'_>, _: &[Prepared]) -> Vec<Outcome> {
        Vec::new()
    }
}

/// Links both.
pub(crate) fn registry() -> Registry {
    Registry::of([
        ProviderDescriptor::of::<Mail>("mail"),
        ProviderDescriptor::of::<Ntfy>("ntfy").redirects(Email::KIND, |text| text.contains('@')),
    ])
    .unwrap()
}

//! The kind `ntfy`: push messages through ntfy.sh or an ntfy server of one's own.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use async_trait::async_trait;
use notify_core::content::Severity;
use notify_core::fit::{fit, shorten};
use notify_core::schemars::JsonSchema;
use notify_core::secret::SecretString;
use notify_core::*;
use notify_http::{BaseUrl, HttpClient, Post, Response, Timeout, web_url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a program that does not discover its providers passes to `Registry::of`.
pub const DESCRIPTOR: ProviderDescriptor = ProviderDescriptor::of::<Ntfy>(env!("CARGO_PKG_NAME"));
register_provider!(DESCRIPTOR);

/// The kind `ntfy`: `ntfy: [my-topic]` in files, `Ntfy::on(…)` in code; and its provider.
pub struct Ntfy;

impl NotificationKind for Ntfy {
    const KIND: &'static str = "ntfy";
    type Options = NtfyOptions;
    type Recipient = Topic;
}

impl Provider for Ntfy {
    type Kind = Self;
    type Config = NtfyAccount;
    const SUMMARY: &'static str = "push messages through ntfy";

    fn account(_: AccountId, config: NtfyAccount) -> Result<Arc<dyn Account>, Problems> {
        Ok(Arc::new(config))
    }
}

/// What a notification can say beside phases and recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NtfyOptions {
    /// How urgent it is, from 1 to 5; by the message's severity where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// What the message is marked with: names of emoji become emoji.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}
impl NotificationOptions for NtfyOptions {}

/// A priority: 1 is the least, 5 the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
#[schemars(extend("minimum" = 1, "maximum" = 5))]
pub struct Priority(u8);

impl TryFrom<i64> for Priority {
    type Error = Malformed;

    fn try_from(number: i64) -> Result<Self, Malformed> {
        match u8::try_from(number) {
            Ok(number @ 1..=5) => Ok(Self(number)),
            _ => Err(Malformed::new("a priority is a number from 1 to 5")),
        }
    }
}

/// A topic: up to 64 letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(extend("pattern" = "^[A-Za-z0-9_-]{1,64}$", "examples" = ["my-topic"]))]
pub struct Topic(String);

impl FromStr for Topic {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(Malformed::new("not a topic").help("write it as `my-topic`"))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The section `[accounts.ntfy.NAME]`, which is the account as well.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NtfyAccount {
    /// The server: `https://ntfy.sh`, or one's own.
    server: BaseUrl,
    /// Where the access token is, for topics that are not open to everybody.
    token: Option<SecretRef>,
    /// The longest that one request may take: `1s` to `60s`, ten seconds where nothing is said.
    timeout: Option<Timeout>,
}

impl Account for NtfyAccount {
    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        Ok(Target::lane(to.as_str()))
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        // A message of 4,096 bytes becomes a file, and twice as much is the most of a body.
        let size = |message: &Message| {
            let whole = body(delivery, message).to_string().len();
            message.plain_text().len().max(whole.div_ceil(2))
        };
        Payload::json(&body(delivery, &fit(message, 4_095, size)))
    }

    /// 60 requests at once, then one in five seconds: <https://docs.ntfy.sh/publish/#limitations>
    fn limits(&self) -> Limits {
        Limits::none().lane(Rate::new(Duration::from_secs(5), 60))
    }

    fn deadline(&self) -> Duration {
        self.timeout.unwrap_or_default().deadline()
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        self.token.iter().collect()
    }

    fn connect(&self, secrets: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        let timeout = self.timeout.unwrap_or_default();
        let token = self.token.as_ref().map(|token| secrets.get(token).cloned());
        Ok(Arc::new(NtfyTransport {
            client: HttpClient::new(timeout.request(), self.server.wire())?,
            server: self.server.clone(),
            token: token.transpose()?,
        }))
    }
}

/// Writes what is published: <https://docs.ntfy.sh/publish/#publish-as-json>
fn body(delivery: &Delivery<'_>, message: &Message) -> Value {
    let options = delivery.notification.options::<NtfyOptions>();
    let by_severity = Priority(3 + u8::from(message.severity >= Severity::Error));
    let urls = message.actions.iter().map(|action| &action.url);
    let title = shorten(&message.headline, 250, str::len);
    let text = message.plain_text();
    json!({
        "topic": delivery.recipient.as_str(),
        "title": title,
        // ntfy says `triggered` where there is no message.
        "message": if text.is_empty() { &title } else { text.as_str() },
        "priority": options.and_then(|options| options.priority).unwrap_or(by_severity),
        "tags": options.map(|options| &options.tags),
        "click": urls.filter_map(|url| web_url(url)).find(|url| url.len() <= 1_000),
        // A repeat replaces the first: <https://docs.ntfy.sh/publish/#updating-notifications>
        "sequence_id": delivery.id,
    })
}

#[derive(Debug)]
struct NtfyTransport {
    client: HttpClient,
    server: BaseUrl,
    token: Option<SecretString>,
}

#[async_trait]
impl Transport for NtfyTransport {
    async fn deliver(&self, cx: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for prepared in batch {
            let post = Post::json(self.server.join(""), prepared.payload.body.clone());
            let post = self.token.iter().fold(post, Post::bearer);
            let answered = self.client.send(post, cx.clock).await;
            outcomes.push(answered.map_or_else(|outcome| outcome, |answered| answer(&answered)));
        }
        outcomes
    }
}

/// Says what an answer means: <https://github.com/binwiederhier/ntfy/blob/main/server/errors.go>
fn answer(response: &Response) -> Outcome {
    let json: Value = serde_json::from_str(&response.body).unwrap_or_default();
    let said = |key| json.get(key).and_then(Value::as_str);
    let code = json.get("code").and_then(Value::as_u64);
    let words = said("error").unwrap_or("no reason");
    let detail = format!("HTTP {}: {words}", response.status);
    match (response.status, code, said("id")) {
        (200, _, Some(id)) => Outcome::Delivered(Receipt::new(id)),
        // The topic's name is malformed or not allowed.
        (400, Some(40_009 | 40_010), _) => Outcome::rejected(Reason::Destination, detail),
        // A token may write to some topics and not to others.
        (403, ..) => Outcome::rejected(Reason::Auth, detail).in_lane(),
        (404 | 405 | 410, ..) => Outcome::rejected(Reason::Config, detail),
        (429, ..) => Outcome::throttled(detail, response.retry_after, Scope::Account),
        _ => response.outcome(),
    }
}

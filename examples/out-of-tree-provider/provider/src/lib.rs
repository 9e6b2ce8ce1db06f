//! The kind `ntfy`, delivered by nobody yet: the smallest provider that a program can discover.
//!
//! A real one makes its client in [`Account::connect`] and sends in [`Transport::deliver`].

#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use workflow_notify::core::schema::JsonSchema;
use workflow_notify::core::{
    Account, AccountId, Capabilities, Cause, Delivery, DeliveryContext, Malformed, Message,
    Notification, NotificationKind, NotificationOptions, Outcome, Payload, Prepared, Problem,
    Problems, Provider, ProviderDescriptor, Recipient, SecretRef, Secrets, Target, Transport,
    register_provider,
};

/// What a program that does not discover its providers passes to `Registry::of`.
pub const DESCRIPTOR: ProviderDescriptor =
    ProviderDescriptor::of::<NtfyProvider>(env!("CARGO_PKG_NAME"));

register_provider!(DESCRIPTOR);

/// The kind `ntfy`: `ntfy: [my-topic]` in files, `Ntfy::on(…)` in code.
#[derive(Clone, Copy, Debug)]
pub struct Ntfy;

impl NotificationKind for Ntfy {
    const KIND: &'static str = "ntfy";
    type Options = NtfyOptions;
    type Recipient = Topic;
}

/// What a notification of this kind can say beside phases and recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "workflow_notify::core::schemars")]
pub struct NtfyOptions {
    /// How urgent it is, from 1 to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5))]
    pub priority: Option<u8>,
}

impl NotificationOptions for NtfyOptions {}

/// A topic: letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(
    crate = "workflow_notify::core::schemars",
    extend("pattern" = "^[A-Za-z0-9_-]+$", "examples" = ["my-topic"])
)]
pub struct Topic(String);

impl FromStr for Topic {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if text.is_empty() || !text.chars().all(allowed) {
            return Err(Malformed::new("not a topic").help("write it as `my-topic`"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The section `[accounts.ntfy.NAME]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "workflow_notify::core::schemars")]
pub struct NtfyConfig {
    /// Where the token is.
    pub token: SecretRef,
}

/// Describes the provider to the registry.
#[derive(Clone, Copy, Debug)]
pub struct NtfyProvider;

impl Provider for NtfyProvider {
    type Kind = Ntfy;
    type Config = NtfyConfig;
    const SUMMARY: &'static str = "push messages through ntfy";

    fn account(_: AccountId, config: NtfyConfig) -> Result<Arc<dyn Account>, Problems> {
        Ok(Arc::new(NtfyAccount(config)))
    }
}

#[derive(Debug)]
struct NtfyAccount(NtfyConfig);

impl Account for NtfyAccount {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        Ok(Target::lane(to.as_str()))
    }

    fn payload(&self, _: &Delivery<'_>, message: &Message) -> Payload {
        Payload::json(&message.headline)
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        vec![&self.0.token]
    }

    fn connect(&self, _: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        Ok(Arc::new(Nowhere))
    }
}

#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    async fn deliver(&self, _: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let outcome = || Outcome::not_delivered(Cause::Connect, "the example has no network");
        batch.iter().map(|_| outcome()).collect()
    }
}

//! The kind `quiet`, delivered to nobody: a provider that needs no client, and so little time to build.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use workflow_notify::core::function::NoOptions;
use workflow_notify::core::schemars::{self, JsonSchema};
use workflow_notify::core::{
    Account, AccountId, Cause, Delivery, DeliveryContext, FreeName, Malformed, Message,
    Notification, NotificationKind, Outcome, Payload, Prepared, Problem, Problems, Provider,
    ProviderDescriptor, Recipient, SecretRef, Secrets, Target, Transport, register_provider,
};

register_provider!(ProviderDescriptor::of::<Quiet>(env!("CARGO_PKG_NAME")));

/// The kind, its provider, its account and its transport.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quiet {}

impl NotificationKind for Quiet {
    const KIND: &'static str = "quiet";
    type Options = NoOptions;
    type Recipient = FreeName;
}

impl Provider for Quiet {
    type Kind = Self;
    type Config = Self;
    const SUMMARY: &'static str = "nothing for anybody";

    fn account(_: AccountId, section: Self) -> Result<Arc<dyn Account>, Problems> {
        Ok(Arc::new(section))
    }
}

impl Account for Quiet {
    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        Ok(Target::lane(to.as_str()))
    }

    fn payload(&self, _: &Delivery<'_>, message: &Message) -> Payload {
        Payload::json(&message.headline)
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        Vec::new()
    }

    fn connect(&self, _: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        Ok(Arc::new(Self {}))
    }
}

#[async_trait]
impl Transport for Quiet {
    async fn deliver(&self, _: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let outcome = || Outcome::not_delivered(Cause::Connect, "there is nobody");
        batch.iter().map(|_| outcome()).collect()
    }
}

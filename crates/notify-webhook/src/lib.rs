#![doc = include_str!("../README.md")]

mod account;
mod answer;
mod config;
mod endpoint;
mod event;
mod message;
mod recipient;
mod signature;
mod template;
mod transport;

use std::sync::Arc;

use notify_core::{Account, AccountId, Problems, Provider, ProviderDescriptor};

pub use crate::config::Config as WebhookConfig;
pub use crate::endpoint::{BasicConfig, EndpointConfig, Mode, Text};
pub use crate::message::{MAX_BODY, OPTIONAL_FACTS};
pub use crate::recipient::{EndpointName, Webhook, WebhookOptions, WebhookRecipient};
pub use crate::template::{FIELDS, MAX_FIELDS, MAX_TEMPLATE};
pub use notify_http::{ProxyConfig, TlsConfig};

/// The provider of the kind `webhook`.
#[derive(Clone, Copy, Debug)]
pub struct WebhookProvider;

impl Provider for WebhookProvider {
    type Kind = Webhook;
    type Config = WebhookConfig;
    const SUMMARY: &'static str = "a request to an endpoint of one's own";

    fn account(_: AccountId, config: WebhookConfig) -> Result<Arc<dyn Account>, Problems> {
        Ok(Arc::new(config.validate()?))
    }
}

/// What this crate registers.
pub const DESCRIPTOR: ProviderDescriptor =
    ProviderDescriptor::of::<WebhookProvider>(env!("CARGO_PKG_NAME"));

notify_core::register_provider!(DESCRIPTOR);

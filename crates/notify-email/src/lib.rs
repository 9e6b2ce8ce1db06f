#![doc = include_str!("../README.md")]

mod account;
mod address;
mod attachment;
mod auth;
mod body;
mod config;
mod dialogue;
mod explain;
mod fault;
mod flyte;
mod message;
mod plain;
mod pool;
mod server;
mod session;
mod smtp;
mod stream;
mod tls;
mod transport;

#[cfg(test)]
mod laws;

use std::sync::Arc;

use notify_core::{Account, AccountId, Email, Problems, Provider, ProviderDescriptor};

pub use crate::address::Mailbox;
pub use crate::config::{AuthConfig, EmailConfig, TimeoutsConfig, TlsConfig};
pub use crate::server::Server;

/// Delivers the kind `email`.
#[derive(Clone, Copy, Debug)]
pub struct EmailProvider;

impl Provider for EmailProvider {
    type Kind = Email;
    type Config = EmailConfig;
    const SUMMARY: &'static str = "mail over SMTP, one to each recipient";

    fn account(_: AccountId, config: EmailConfig) -> Result<Arc<dyn Account>, Problems> {
        Ok(Arc::new(config.validate()?))
    }
}

/// What this crate tells about itself.
pub const DESCRIPTOR: ProviderDescriptor =
    ProviderDescriptor::of::<EmailProvider>(env!("CARGO_PKG_NAME"));

notify_core::register_provider!(DESCRIPTOR);

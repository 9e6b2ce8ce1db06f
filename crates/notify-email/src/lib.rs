#![doc = include_str!("../README.md")]

mod account;
mod address;
mod body;
mod config;
mod fault;
mod message;
mod smtp;
mod stream;
mod transport;

#[cfg(test)]
mod laws;

use std::sync::Arc;

use notify_core::{Account, AccountId, Email, Problems, Provider, ProviderDescriptor};

pub use crate::address::Mailbox;
pub use crate::config::{EmailConfig, Server};

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

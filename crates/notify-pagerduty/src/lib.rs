#![doc = include_str!("../README.md")]

mod account;
mod client;
mod config;
mod details;
mod links;
mod message;
mod transport;

#[cfg(test)]
mod laws;

use std::sync::Arc;

use notify_core::{
    Account, AccountId, Email, NotificationKind, PagerDuty, Problems, Provider, ProviderDescriptor,
};

pub use crate::config::{Config as PagerDutyConfig, Region};

/// The provider of the kind `pagerduty`.
#[derive(Clone, Copy, Debug)]
pub struct PagerDutyProvider;

impl Provider for PagerDutyProvider {
    type Kind = PagerDuty;
    type Config = PagerDutyConfig;
    const SUMMARY: &'static str = "an incident on a PagerDuty service";

    fn account(_: AccountId, config: PagerDutyConfig) -> Result<Arc<dyn Account>, Problems> {
        Ok(Arc::new(config.validate()?))
    }
}

/// What this crate registers. The address of a PagerDuty integration is told by e-mail.
pub const DESCRIPTOR: ProviderDescriptor =
    ProviderDescriptor::of::<PagerDutyProvider>(env!("CARGO_PKG_NAME"))
        .redirects(Email::KIND, |text| text.contains('@'));

notify_core::register_provider!(DESCRIPTOR);

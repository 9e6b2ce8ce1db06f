#![doc = include_str!("../README.md")]

mod account;
mod answer;
mod arguments;
mod blocks;
mod codes;
mod config;
mod conversation;
mod explain;
mod look;
mod message;
mod people;
mod permalink;
mod reconcile;
mod rich_text;
mod text;
mod token;
mod webhook;

#[cfg(test)]
mod laws;

use std::sync::Arc;

use notify_core::{Account, AccountId, Problems, Provider, ProviderDescriptor, Slack};

pub use crate::config::Config as SlackConfig;

/// The provider of the kind `slack`.
#[derive(Clone, Copy, Debug)]
pub struct SlackProvider;

impl Provider for SlackProvider {
    type Kind = Slack;
    type Config = SlackConfig;
    const SUMMARY: &'static str = "a message to a Slack channel or person";

    fn account(id: AccountId, config: SlackConfig) -> Result<Arc<dyn Account>, Problems> {
        Ok(Arc::new(config.validate(id)?))
    }
}

/// What this crate registers.
pub const DESCRIPTOR: ProviderDescriptor =
    ProviderDescriptor::of::<SlackProvider>(env!("CARGO_PKG_NAME"));

notify_core::register_provider!(DESCRIPTOR);

#![doc = include_str!("../README.md")]

mod address;
mod builder;
mod client;
mod guard;
mod header;
mod open;
mod proxy;
mod retry_after;
mod status;
mod tls;

pub use crate::address::{BaseUrl, SecretUrl, Wire, web_url};
pub use crate::builder::HttpClientBuilder;
pub use crate::client::{HttpClient, Post, Response};
pub use crate::guard::{NotPublic, Resolver, SystemResolver};
pub use crate::header::{Header, Method};
pub use crate::open::OpenUrl;
pub use crate::proxy::{ProxyConfig, ProxyUrl};
pub use crate::retry_after::retry_after;
pub use crate::status::status_outcome;
pub use crate::tls::TlsConfig;
pub use notify_core::time::Timeout;

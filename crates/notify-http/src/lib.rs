#![doc = include_str!("../README.md")]

mod address;
mod client;
mod retry_after;
mod status;

pub use crate::address::{BaseUrl, SecretUrl, Wire, web_url};
pub use crate::client::{HttpClient, Post, Response};
pub use crate::retry_after::retry_after;
pub use crate::status::status_outcome;

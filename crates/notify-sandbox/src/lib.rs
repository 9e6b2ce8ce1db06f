#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod accounts;
mod draw;
mod html;
mod inbox;
mod pagerduty;
mod request;
mod sandbox;
mod slack;
mod smtp;
mod store;

pub use crate::accounts::Use;
pub use crate::sandbox::Sandbox;
pub use crate::store::{Failure, IncidentState, Received, Service, UnknownService};

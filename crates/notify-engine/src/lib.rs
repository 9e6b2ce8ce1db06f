#![doc = include_str!("../README.md")]

mod accept;
mod batch;
mod builder;
mod claim;
mod connect;
mod deliver;
mod engine;
mod plan;
mod pump;
mod random;
mod record;
mod render;
mod settle;
mod snapshot;

pub use crate::accept::Recorder;
pub use crate::builder::Builder;
pub use crate::engine::{Engine, EngineError, Left, Settings};
pub use crate::plan::{Declared, Unplannable, plan};
pub use crate::random::{Random, SystemRandom};
pub use crate::render::{message, summary_message};

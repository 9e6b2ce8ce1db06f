#![doc = include_str!("../README.md")]

mod accept;
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

pub use crate::engine::{Builder, Engine, EngineError, Settings};
pub use crate::plan::{Unplannable, plan};
pub use crate::random::{Random, SystemRandom};
pub use crate::render::message;

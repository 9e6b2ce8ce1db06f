#![doc = include_str!("../README.md")]

mod claim;
mod conversation;
mod intake;
mod lane;
mod migrate;
mod outbox;
mod plan;
mod row;
mod settle;
mod view;
mod writer;

pub use crate::outbox::SqliteOutbox;

#![doc = include_str!("../README.md")]

mod account;
mod claim;
mod clock;
mod conversation;
mod hand;
mod history;
mod inbox;
mod intake;
mod lane;
mod lease;
mod ledger;
mod lost;
mod migrate;
mod open;
mod outbox;
mod place;
mod record;
mod row;
mod settle;
mod spec;
mod summary;
mod trouble;
mod unserved;
mod view;
mod waiting;
mod writer;

pub use crate::inbox::INTAKE;
pub use crate::outbox::SqliteOutbox;

//! The outbox on real files.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test panics where something is wrong"
)]

mod conformance;
mod file;
mod gone;
mod idle;
mod intake;
mod processes;
mod programs;
mod rows;
mod schema;
mod storm;
mod trouble;

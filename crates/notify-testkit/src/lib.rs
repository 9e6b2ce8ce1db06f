#![doc = include_str!("../README.md")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test kit panics where a rule is broken"
)]

pub mod clock;
pub mod embed;
pub mod fake;
pub mod outbox;
pub mod page;
pub mod provider;
pub mod section;
pub mod simulator;

pub use crate::clock::HandClock;

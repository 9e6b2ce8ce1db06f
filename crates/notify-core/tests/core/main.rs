//! What notify-core promises as a whole, through its public interface.

#![cfg(test)]

mod compile_fail;
mod events;
mod flyte;
mod providers;
mod recipients;
mod registry;
mod schemas;
mod specs;

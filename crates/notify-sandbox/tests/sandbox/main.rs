//! The sandbox as its clients see it: over HTTP and SMTP on real sockets.

#![cfg(test)]

mod accounts;
mod client;
mod email;
mod golden;
mod inbox;
mod pagerduty;
mod slack;
mod threads;

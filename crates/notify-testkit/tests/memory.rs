//! The rules of every outbox, on the one in memory.

#![cfg(test)]

use std::sync::Arc;

use notify_outbox::MemoryOutbox;

notify_testkit::outbox_suite!(|clock| Arc::new(MemoryOutbox::new(clock)));

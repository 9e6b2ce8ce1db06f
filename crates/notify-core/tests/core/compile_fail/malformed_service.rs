//! A mail address is not a service.

use notify_core::service;

fn main() {
    let _ = service!("ops@example.com");
}

//! A malformed literal does not compile.

use notify_core::channel;

fn main() {
    let _ = channel!("data-alerts");
}

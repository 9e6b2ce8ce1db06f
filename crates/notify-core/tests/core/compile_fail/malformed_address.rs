//! A malformed literal does not compile.

use notify_core::email;

fn main() {
    let _ = email!("data-oncall.example.com");
}

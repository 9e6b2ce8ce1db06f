//! A notification begins with its phases.

use notify_core::{Email, NotificationKind, email};

fn main() {
    let _ = Email::on().to(email!("jane@example.com"));
}

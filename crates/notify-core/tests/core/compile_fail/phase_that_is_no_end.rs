//! A notification is sent when a workflow ended: there is no value for "running".

use notify_core::{Email, NotificationKind, email, phases};

fn main() {
    let _ = Email::on(phases![Failed, Running]).to(email!("jane@example.com"));
}

//! A recipient is the argument that makes a draft complete.

use notify_core::{NotificationKind, Slack, phases};

fn main() {
    let _ = Slack::on(phases![Failed]).to();
}

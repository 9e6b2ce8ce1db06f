//! Without a recipient it is a draft, and a draft is not a notification.

use notify_core::{NotificationKind, Slack, Workflow, phases};

fn main() {
    let _ = Workflow::new("nightly-etl").map(|etl| etl.notify(Slack::on(phases![Failed])));
}

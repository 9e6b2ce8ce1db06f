//! A text is not a recipient before it was checked.

use notify_core::{NotificationKind, PagerDuty, phases};

fn main() {
    let _ = PagerDuty::on(phases![Failed]).to("data-platform");
}

//! A channel is not a recipient of e-mail.

use notify_core::{Email, NotificationKind, channel, phases};

fn main() {
    let _ = Email::on(phases![Failed]).to(channel!("#data-alerts"));
}

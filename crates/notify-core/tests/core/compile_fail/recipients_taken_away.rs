//! What was checked stays as it is: nobody can take the recipients away.

use notify_core::Notification;

fn main() {
    let _ = |notification: &mut Notification| notification.recipients.clear();
}

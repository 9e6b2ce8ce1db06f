//! A list, which may be empty, is not a set of phases.

use notify_core::{Email, NotificationKind};

fn main() {
    let _ = Email::on([]);
}

//! A literal obeys the same rules as a line in a file.

use notify_core::email;

fn main() {
    let _ = email!("jane\u{200b}@example.com");
}

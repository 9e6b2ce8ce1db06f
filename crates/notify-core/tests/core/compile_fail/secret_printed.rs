//! A resolved secret has no text form.

use notify_core::secret::SecretString;

fn main() {
    let token = SecretString::from("hunter2");
    println!("{token}");
}

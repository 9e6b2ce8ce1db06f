//! A resolved secret cannot be written anywhere.

use notify_core::secret::SecretString;

fn main() {
    let token = SecretString::from("hunter2");
    let _ = serde_json::to_string(&token);
}

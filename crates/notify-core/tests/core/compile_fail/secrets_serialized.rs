//! The resolved secrets of an account cannot be written anywhere.

use notify_core::Secrets;

fn main() {
    let _ = serde_json::to_string(&Secrets::default());
}

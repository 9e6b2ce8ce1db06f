//! The resolved secrets of an account have no text form.

use notify_core::Secrets;

fn main() {
    println!("{}", Secrets::default());
}

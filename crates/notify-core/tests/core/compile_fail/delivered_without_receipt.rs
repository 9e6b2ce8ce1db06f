//! Delivered is what has a receipt.

use notify_core::Outcome;

fn outcome() -> Outcome {
    Outcome::Delivered
}

fn main() {
    let _ = outcome();
}

//! A set of phases is never empty.

use notify_core::phases;

fn main() {
    let _ = phases![];
}

//! A mention is one that was written as one, never a text.

use notify_core::content::Inline;

fn main() {
    let _ = Inline::Mention("<!channel>".to_owned());
}

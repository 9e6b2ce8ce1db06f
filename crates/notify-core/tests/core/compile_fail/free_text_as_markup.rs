//! Free text is a leaf of the content tree, never the tree.

use notify_core::content::Block;

fn main() {
    let _ = Block::Text("*bold* <!channel>".to_owned());
}

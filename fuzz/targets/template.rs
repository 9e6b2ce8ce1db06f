//! Any text is a template or a list of problems; what renders says the value as text and no more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use notify_core::content::{Block, Inline};

fuzz_target!(|input: (&str, &str)| {
    let (template, value) = input;
    let Some(rendered) = notify_template::__private::fuzz(template, value) else {
        return;
    };
    let lines = |block: &Block| -> Vec<Vec<Inline>> {
        match block {
            Block::Text(line) | Block::Heading(line) => vec![line.clone()],
            Block::Items { items, .. } => items.clone(),
            _ => Vec::new(),
        }
    };
    for inline in rendered.blocks.iter().flat_map(lines).flatten() {
        match inline {
            Inline::Link { url, .. } => assert!(notify_core::content::is_link(&url), "{url}"),
            Inline::Mention(mention) => assert!(template.contains("mention"), "{mention}"),
            _ => {}
        }
    }
});

//! An HTML document as a reader's program takes it apart.

use std::collections::BTreeSet;

/// What a reader's program makes of a document.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Every tag with its attributes; addresses apart.
    pub(super) tags: BTreeSet<String>,
    pub(super) hrefs: BTreeSet<String>,
    /// What is between the tags of the body.
    pub(super) text: String,
    pub(super) title: String,
    pub(super) style: String,
}

/// Takes a document apart. The little it knows of HTML is enough as long as every tag is known:
/// one that a text had made or ended early would not be.
pub(super) fn page(html: &str) -> Page {
    let mut page = Page::default();
    let mut within = String::new();
    let mut rest = html;
    while let Some((text, after)) = rest.split_once('<') {
        let text = unescape(text);
        match within.as_str() {
            "title" => page.title = text,
            "style" => page.style = text,
            _ => page.text += &text,
        }
        let (tag, after) = after.split_once('>').unwrap();
        rest = after;
        within = tag.split(' ').next().unwrap().to_owned();
        let tag = match tag.split_once(" href=\"") {
            Some((name, attributes)) => {
                let (href, attributes) = attributes.split_once('"').unwrap();
                page.hrefs.insert(unescape(href));
                format!("{name}{attributes}")
            }
            None => tag.to_owned(),
        };
        page.tags.insert(tag);
    }
    assert_eq!(rest, "\n");
    page
}

/// Undoes the five escapes; panics at any other, and at what should have been escaped.
fn unescape(text: &str) -> String {
    let mut pieces = text.split('&');
    let mut plain = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once(';').unwrap();
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            other => panic!("{other}"),
        });
        plain += rest;
    }
    plain
}

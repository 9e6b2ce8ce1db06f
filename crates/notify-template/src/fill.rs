//! A draft and the values behind its tokens to the content tree, each token once.

use notify_core::content::{Block, Field, Inline, Style};

use crate::link;
use crate::markdown::{Draft, Part, Segment, Step};
use crate::run::Piece;

/// Puts the values in their places.
pub(crate) fn fill(draft: &Draft<'_>, pieces: &[Piece<'_>]) -> Vec<Block> {
    let mut blocks: Vec<Block> = draft
        .parts
        .iter()
        .filter_map(|part| block(part, pieces))
        .collect();
    // What Markdown swallowed at run time is shown after all: no value is lost.
    for index in &draft.unplaced {
        let lost = line(&[Step::Token(*index, Style::default())], pieces);
        blocks.extend((!lost.is_empty()).then_some(Block::Text(lost)));
    }
    blocks
}

fn block(part: &Part<'_>, pieces: &[Piece<'_>]) -> Option<Block> {
    let block = match part {
        Part::Text(steps) => Block::Text(some(line(steps, pieces))?),
        Part::Heading(steps) => Block::Heading(some(line(steps, pieces))?),
        Part::Items(ordered, items) => {
            let items = items.iter().filter_map(|steps| some(line(steps, pieces)));
            Block::Items {
                ordered: *ordered,
                items: some(items.collect())?,
            }
        }
        Part::Code(steps) => Block::Code(plain(steps, pieces)),
        Part::Fields(fields) => {
            let fields = fields.iter().map(|(label, value)| Field {
                label: plain(label, pieces),
                value: plain(value, pieces),
            });
            let known = |field: &Field| !field.value.is_empty();
            Block::Fields(some(fields.filter(known).collect())?)
        }
    };
    Some(block)
}

fn some<T>(all: Vec<T>) -> Option<Vec<T>> {
    (!all.is_empty()).then_some(all)
}

fn plain(steps: &[Step<'_>], pieces: &[Piece<'_>]) -> String {
    let inlines = line(steps, pieces);
    match <[Inline; 1]>::try_from(inlines) {
        Ok([Inline::Text { text, .. }]) => text,
        Ok([other]) => other.text().into_owned(),
        Err(inlines) => inlines.iter().map(Inline::text).collect(),
    }
}

/// A line under construction; neighbours that look alike become one run.
#[derive(Default)]
struct Line {
    out: Vec<Inline>,
    link: Option<String>,
}

fn line(steps: &[Step<'_>], pieces: &[Piece<'_>]) -> Vec<Inline> {
    let mut line = Line::default();
    // What is shown behind a link that leads nowhere.
    let mut to_show: Option<String> = None;
    let mut shown_from = 0;
    for step in steps {
        match step {
            Step::Text(text, style) => line.text(text, *style),
            Step::Token(index, style) => match pieces.get(*index) {
                Some(Piece::Text(text)) => line.text(text.as_str(), *style),
                Some(Piece::Mention(mention)) if line.link.is_none() && !style.code => {
                    line.out.push(Inline::Mention((*mention).clone()));
                }
                Some(Piece::Mention(mention)) => line.text(&format!("@{mention}"), *style),
                None => {}
            },
            Step::Open(to) => {
                shown_from = line.out.len();
                match address(to, pieces) {
                    Ok(url) => line.link = Some(url),
                    Err(text) => to_show = Some(text),
                }
            }
            Step::Close => {
                if let Some(url) = line.link.take()
                    && line.out.len() == shown_from
                {
                    line.link = Some(url.clone());
                    line.text(&url, Style::default());
                    line.link = None;
                }
                if let Some(text) = to_show.take().filter(|text| !text.is_empty()) {
                    line.text(&format!(" ({text})"), Style::default());
                }
            }
        }
    }
    line.out
}

/// Gives the address that a link leads to, or the text of one that must not be followed.
fn address(to: &[Segment<'_>], pieces: &[Piece<'_>]) -> Result<String, String> {
    let parts: Vec<link::Piece<'_>> = to
        .iter()
        .filter_map(|segment| match segment {
            Segment::Text(text) => Some(link::Piece::Literal(text)),
            Segment::Token(index) => match pieces.get(*index)? {
                Piece::Text(text) => Some(link::Piece::Value(text.as_str())),
                Piece::Mention(_) => None,
            },
        })
        .collect();
    link::address(&parts).ok_or_else(|| {
        let text = parts.iter().map(|part| match part {
            link::Piece::Literal(text) | link::Piece::Value(text) => *text,
        });
        text.collect()
    })
}

impl Line {
    fn text(&mut self, new: &str, style: Style) {
        if new.is_empty() {
            return;
        }
        match (self.out.last_mut(), &self.link) {
            (Some(Inline::Text { text, style: last }), None) if *last == style => {
                text.push_str(new);
            }
            (
                Some(Inline::Link {
                    text,
                    url,
                    style: last,
                }),
                Some(link),
            ) if *last == style && url == link => {
                text.push_str(new);
            }
            (_, None) => self.out.push(Inline::Text {
                text: begun(new),
                style,
            }),
            (_, Some(url)) => {
                let (text, url) = (begun(new), url.clone());
                self.out.push(Inline::Link { text, url, style });
            }
        }
    }
}

/// Begins a text that a short value probably follows.
fn begun(text: &str) -> String {
    const SHORT_VALUE: usize = 32;
    let mut begun = String::with_capacity(text.len() + SHORT_VALUE);
    begun.push_str(text);
    begun
}

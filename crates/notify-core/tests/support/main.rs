//! Laws of cutting: what is cut fits, is marked, is never split, and nothing else changes.

#![cfg(test)]

mod any_message;

use notify_core::Message;
use notify_core::content::{Action, Block, Field, Inline};
use notify_core::fit::{fit, one_line, printable, shorten, shorten_front};
use proptest::prelude::{Strategy, any};
use proptest::{prop_assert, prop_assert_eq, proptest};

use crate::any_message::{
    any_message, any_text, front_marked, is_boundary, is_shown, laws, marked,
};

/// Ways in which vendors count.
const MEASURES: [fn(&str) -> usize; 4] = [
    str::len,
    |text| text.chars().count(),
    |text| text.encode_utf16().count(),
    |text| text.replace('&', "&amp;").replace('<', "&lt;").len(),
];

/// Measures a message as a provider would.
fn size(message: &Message) -> usize {
    let blocks = message
        .blocks
        .iter()
        .map(|block| block.plain_text().len() + 10);
    let actions = message.actions.iter();
    let actions = actions.map(|Action { label, url }| label.len() + url.len() + 20);
    let footer = message.footer.as_ref().map_or(0, String::len);
    message.headline.len() + blocks.chain(actions).sum::<usize>() + footer
}

/// Tells whether a text of a message is shown as it is, but for control characters, or is cut
/// between graphemes and says so.
fn is_shown_of(raw: &str, shown: &str) -> bool {
    let full = printable(raw);
    if full == shown {
        return true;
    }
    let Some((kept, omitted)) = marked(shown) else {
        return false;
    };
    let (raw, before) = marked(raw).unwrap_or((raw, 0));
    let full = printable(raw);
    // Control characters count where they were cut off with the rest.
    let missing = |text: &str| text.chars().count() - kept.chars().count() + before;
    full.starts_with(kept)
        && (missing(&full)..=missing(raw)).contains(&omitted)
        && (is_boundary(&full, kept.len()) || ends(raw).any(|end| printable(&raw[..end]) == kept))
}

/// The same for what loses its beginning.
fn is_end_shown_of(raw: &str, shown: &str) -> bool {
    let full = printable(raw);
    if full == shown {
        return true;
    }
    let Some((omitted, kept)) = front_marked(shown) else {
        return false;
    };
    let (before, raw) = front_marked(raw).unwrap_or((0, raw));
    let full = printable(raw);
    let missing = |text: &str| text.chars().count() - kept.chars().count() + before;
    full.ends_with(kept)
        && (missing(&full)..=missing(raw)).contains(&omitted)
        && (is_boundary(&full, full.len() - kept.len())
            || ends(raw).any(|end| printable(&raw[end..]) == kept))
}

fn ends(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices()
        .map(|(at, _)| at)
        .filter(|at| is_boundary(text, *at))
}

/// Tells whether a run of inlines is shown whole, or up to a mark.
fn are_shown(raw: &[Inline], shown: &[Inline]) -> bool {
    let is_whole = |(raw, shown): (&Inline, &Inline)| match (raw, shown) {
        (Inline::Text { text: raw, .. }, Inline::Text { text, .. }) => printable(raw) == *text,
        (Inline::Link { text: raw, url, .. }, Inline::Link { text, url: to, .. }) => {
            printable(raw) == *text && one_line(url) == *to
        }
        (Inline::Mention(raw), Inline::Mention(mention)) => {
            one_line(&raw.to_string()) == mention.to_string()
        }
        _ => false,
    };
    if raw.len() == shown.len() && raw.iter().zip(shown).all(is_whole) {
        return true;
    }
    let Some((Inline::Text { text, .. }, kept)) = shown.split_last() else {
        return false;
    };
    if marked(text).is_none_or(|(kept, _)| !kept.is_empty()) {
        return false;
    }
    let whole = raw
        .iter()
        .zip(kept)
        .take_while(|pair| is_whole(*pair))
        .count();
    match &kept[whole..] {
        [] => true,
        // The one that was cut, before the mark.
        [Inline::Text { text, .. }] => raw.get(whole).is_some_and(|raw| {
            matches!(raw, Inline::Text { .. }) && printable(&raw.text()).starts_with(text.as_str())
        }),
        _ => false,
    }
}

/// Tells whether a block shows what it was made of, or the beginning of it, and counts its parts.
fn shown_parts(raw: &Block, shown: &Block) -> Option<usize> {
    let field = |(raw, shown): (&Field, &Field)| {
        is_line_of(&raw.label, &shown.label) && is_shown_of(&raw.value, &shown.value)
    };
    let is_shown = match (raw, shown) {
        (Block::Text(raw), Block::Text(shown)) | (Block::Heading(raw), Block::Heading(shown)) => {
            are_shown(raw, shown)
        }
        (Block::Code(raw), Block::Code(shown)) => is_end_shown_of(raw, shown),
        (Block::Items { items: raw, .. }, Block::Items { items: shown, .. }) => {
            let mut pairs = raw.iter().zip(shown);
            return pairs
                .all(|(raw, shown)| are_shown(raw, shown))
                .then_some(shown.len());
        }
        (Block::Fields(raw), Block::Fields(shown)) => {
            return raw.iter().zip(shown).all(field).then_some(shown.len());
        }
        _ => false,
    };
    is_shown.then_some(1)
}

/// Tells whether a line begins as the text that it was made of does.
fn is_line_of(raw: &str, line: &str) -> bool {
    let full = one_line(raw);
    line == full || marked(line).is_some_and(|(kept, _)| full.starts_with(kept.trim_end()))
}

fn parts(message: &Message) -> usize {
    let blocks = message.blocks.iter().map(|block| match block {
        Block::Items { items, .. } => items.len(),
        Block::Fields(fields) => fields.len(),
        _ => 1,
    });
    message.actions.len() + blocks.sum::<usize>() + usize::from(message.footer.is_some())
}

proptest! {
    #![proptest_config(laws())]

    #[test]
    fn a_text_is_shown_whole_or_cut_between_graphemes_with_its_count(
        text in any_text(),
        budget in 40..3_000_usize,
        measure in (0..MEASURES.len()).prop_map(|index| MEASURES[index]),
    ) {
        let short = shorten(&text, budget, measure);
        prop_assert!(measure(&short) <= budget);
        prop_assert!(is_shown(&text, &short), "{short:?}");
        prop_assert!(measure(&text) > budget || short == text);

        let short = shorten_front(&text, budget, measure);
        prop_assert!(measure(&short) <= budget);
        prop_assert!(measure(&text) > budget || short == text);
        if short != text {
            let (before, full) = front_marked(&text).unwrap_or((0, &text));
            let (omitted, kept) = front_marked(&short).unwrap();
            let cut = full.strip_suffix(kept).unwrap();
            prop_assert_eq!(cut.chars().count() + before, omitted);
            prop_assert!(is_boundary(full, cut.len()));
        }
    }

    #[test]
    fn a_budget_without_room_for_a_mark_still_holds(
        text in any_text(),
        budget in 0..40_usize,
        index in 0..MEASURES.len(),
    ) {
        let measure = MEASURES[index];
        prop_assert!(measure(&shorten(&text, budget, measure)) <= budget);
        prop_assert!(measure(&shorten_front(&text, budget, measure)) <= budget);
    }

    #[test]
    fn a_message_fits_and_shows_what_it_was_made_of(
        message in any_message(),
        budget in 500..20_000_usize,
        nothing_fits in any::<u8>(),
    ) {
        let short = fit(&message, budget, size);
        prop_assert_eq!(&short, &fit(&message, budget, size));
        let plain: String = short.blocks.iter().map(Block::plain_text).collect();
        prop_assert!(printable(&plain) == plain);
        let headline = one_line(&message.headline);
        if message.headline.chars().count() <= budget {
            prop_assert_eq!(&short.headline, &headline);
        }
        let mut blocks = short.blocks.as_slice();
        let mut omitted = 0;
        if let Some((Block::Text(inlines), rest)) = blocks.split_last()
            && let [Inline::Text { text, .. }] = inlines.as_slice()
            && let Some(count) = text.strip_prefix("… ")
            && let Some(count) = count.strip_suffix(" parts omitted")
        {
            omitted = count.parse().unwrap();
            blocks = rest;
        }
        if size(&short) > budget {
            prop_assert!(headline.len() + 60 > budget);
            prop_assert_eq!(omitted, parts(&message));
        }
        let mut kept = short.actions.len() + usize::from(short.footer.is_some());
        for (action, shown) in message.actions.iter().zip(&short.actions) {
            prop_assert!(is_line_of(&action.label, &shown.label));
            prop_assert!(is_line_of(&action.url, &shown.url));
            prop_assert!(one_line(&action.url) == shown.url || !shown.is_web());
        }
        if let (Some(footer), Some(shown)) = (&message.footer, &short.footer) {
            prop_assert!(is_line_of(footer, shown));
        }
        let is_empty = |block: &&Block| match block {
            Block::Items { items, .. } => items.is_empty(),
            Block::Fields(fields) => fields.is_empty(),
            _ => false,
        };
        let full = message.blocks.iter().filter(|block| !is_empty(block));
        for (block, shown) in full.zip(blocks) {
            let parts = shown_parts(block, shown);
            prop_assert!(parts.is_some(), "{block:?}\n{shown:?}");
            kept += parts.unwrap();
        }
        prop_assert_eq!(kept + omitted, parts(&message));

        // Where a provider takes nothing, the headline is still there.
        if nothing_fits == 0 {
            let bare = fit(&message, budget, |_| usize::MAX);
            prop_assert_eq!((bare.headline, bare.actions.len()), (short.headline, 0));
        }
    }
}

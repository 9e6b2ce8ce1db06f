//! Making texts and messages fit a vendor's limits, visibly.
//!
//! **Invariant.** A cut falls between graphemes, never inside a link or a mention, and says how
//! much is missing. What is measured is near what is kept, however much a program has printed.

use std::borrow::Cow;

use unicode_segmentation::GraphemeCursor;

use crate::content::{Action, Block, Field, Inline, Mention, Message};

/// Gives a message that can be shown, and that fits in `budget` as `measure` counts.
///
/// `measure` gives a message's size in the vendor's unit after the provider lowered and escaped it;
/// where a number of things is limited as well, it gives `usize::MAX` for too many. Every character
/// and every part is taken to measure one at least.
///
/// Control characters are gone from the result; see [`printable`]. What is one line by its meaning
/// (headline, labels, addresses, footer) is [`one_line`].
///
/// Code is cut first, and loses its beginning, because the end of an output says why it stopped.
/// Long text gives way next, then both together, then whole parts from the end, which are counted.
/// The headline stays whole unless it alone is longer than the budget.
///
/// ```
/// use notify_core::Message;
/// use notify_core::content::{Block, Severity};
/// use notify_core::fit::fit;
///
/// let output = format!("{}row 4: amount is not a number", "noise\n".repeat(1_000));
/// let message = Message::new("nightly-etl failed", Severity::Error)
///     .block(Block::text("It ran for 2h 5m."))
///     .block(Block::Code(output));
/// let size = |message: &Message| message.blocks.iter().map(|block| block.plain_text().len()).sum();
/// let short = fit(&message, 200, size);
/// assert_eq!(short.blocks[0], message.blocks[0]);
/// assert!(short.blocks[1].plain_text().ends_with("row 4: amount is not a number"));
/// assert!(short.blocks[1].plain_text().contains("characters omitted …"));
/// ```
pub fn fit(message: &Message, budget: usize, measure: impl Fn(&Message) -> usize) -> Message {
    let parts = parts(message);
    let whole = Caps {
        budget,
        code: budget,
        text: budget,
        parts,
    };
    // Everything below begins with this copy, of which no text is longer than the budget.
    let message = whole.apply(message);
    if measure(&message) <= budget {
        return message;
    }
    let fits = |caps: Caps| {
        let message = caps.apply(&message);
        (measure(&message) <= budget).then_some(message)
    };
    let low = Caps {
        code: SHORT,
        text: SHORT,
        ..whole
    };
    // First how many parts there can be at all, then how much of their texts.
    let kept = largest(0, parts.min(budget), usize::MAX, |parts| {
        fits(Caps { parts, ..low })
    });
    let Some((parts, shortest)) = kept else {
        return Caps { parts: 0, ..low }.apply(&message);
    };
    let most = Caps { parts, ..whole };
    let share = (budget / 8).max(SHORT);
    let caps = |code, text| Caps { code, text, ..most };
    largest(share, budget, GRAIN, |level| fits(caps(level, budget)))
        .or_else(|| largest(share, budget, GRAIN, |level| fits(caps(share, level))))
        .or_else(|| largest(SHORT, share, GRAIN, |level| fits(caps(level, level))))
        .map_or(shortest, |(_, message)| message)
}

/// What a text keeps at least, in characters, before whole parts go: enough to tell what it is.
const SHORT: usize = 80;

/// How exactly room is used: lowering once more costs more than the last few letters are worth.
const GRAIN: usize = 32;

/// How much of a message is kept; texts in characters.
#[derive(Clone, Copy)]
struct Caps {
    budget: usize,
    code: usize,
    text: usize,
    parts: usize,
}

impl Caps {
    fn apply(self, message: &Message) -> Message {
        let mut left = self.parts;
        let mut take = |wanted: usize| {
            let taken = wanted.min(left);
            left -= taken;
            taken
        };
        let line = |text: &str| one_line(&shorten(text, self.text, chars));
        let actions = message
            .actions
            .iter()
            .take(take(message.actions.len()))
            .map(|Action { label, url }| Action {
                label: line(label),
                // An address that was cut holds spaces, so nobody takes it for one.
                url: one_line(&shorten(url, (self.budget / 4).max(SHORT), chars)),
            })
            .collect();
        let mut blocks = Vec::new();
        for block in &message.blocks {
            let kept = take(count(block));
            if kept > 0 {
                blocks.push(self.block(block, kept));
            }
        }
        let footer = message.footer.as_deref().filter(|_| take(1) == 1).map(line);
        let omitted = parts(message).saturating_sub(self.parts);
        if omitted > 0 {
            blocks.push(Block::text(format!("… {omitted} parts omitted")));
        }
        Message {
            headline: one_line(&shorten(&message.headline, self.budget, chars)),
            severity: message.severity,
            blocks,
            actions,
            footer,
        }
    }

    /// Copies the first parts of a block.
    fn block(self, block: &Block, parts: usize) -> Block {
        match block {
            Block::Text(inlines) => Block::Text(cut(inlines, self.text)),
            Block::Heading(inlines) => Block::Heading(cut(inlines, self.text)),
            Block::Items { ordered, items } => Block::Items {
                ordered: *ordered,
                items: items
                    .iter()
                    .take(parts)
                    .map(|item| cut(item, self.text))
                    .collect(),
            },
            Block::Fields(fields) => {
                let fields = fields.iter().take(parts);
                let cut = |Field { label, value }: &Field| Field {
                    label: one_line(&shorten(label, self.text, chars)),
                    value: printable(&shorten(value, self.text, chars)).into_owned(),
                };
                Block::Fields(fields.map(cut).collect())
            }
            Block::Code(code) => {
                Block::Code(printable(&shorten_front(code, self.code, chars)).into_owned())
            }
        }
    }
}

/// Counts what can be left out of a message one by one.
fn parts(message: &Message) -> usize {
    let blocks: usize = message.blocks.iter().map(count).sum();
    message.actions.len() + blocks + usize::from(message.footer.is_some())
}

/// Counts what can be left out of a block one by one.
fn count(block: &Block) -> usize {
    match block {
        Block::Text(_) | Block::Heading(_) | Block::Code(_) => 1,
        Block::Items { items, .. } => items.len(),
        Block::Fields(fields) => fields.len(),
    }
}

/// Finds the highest level at which a message fits, or one below it by less than one part in
/// `grain`; none where the message does not fit at the lowest.
fn largest(
    lowest: usize,
    highest: usize,
    grain: usize,
    fits: impl Fn(usize) -> Option<Message>,
) -> Option<(usize, Message)> {
    let mut best = (lowest, fits(lowest)?);
    let (mut low, mut high) = (lowest, highest);
    while high.saturating_sub(low) > low / grain {
        let middle = low + (high - low).div_ceil(2);
        match fits(middle) {
            Some(message) => {
                best = (middle, message);
                low = middle;
            }
            None => high = middle - 1,
        }
    }
    Some(best)
}

/// Copies the first characters of a run of inlines. Links and mentions are kept whole or not at all.
fn cut(inlines: &[Inline], cap: usize) -> Vec<Inline> {
    let (inlines, before) = match inlines.split_last() {
        Some((Inline::Text { text, .. }, rest)) => match unmarked(text) {
            ("", omitted) if omitted > 0 => (rest, omitted),
            _ => (inlines, 0),
        },
        _ => (inlines, 0),
    };
    let is_whole = before == 0 && {
        let mut room = Some(cap);
        for inline in inlines {
            room = room.and_then(|room| room_after(inline, room));
        }
        room.is_some()
    };
    let bytes = inlines.iter().map(|inline| inline.text().len()).sum();
    let reserve = if is_whole {
        0
    } else {
        chars(&marker(before.saturating_add(bytes)))
    };

    let mut kept = Vec::new();
    let mut room = Some(cap.saturating_sub(reserve));
    let mut omitted = before;
    for inline in inlines {
        let after = room.and_then(|room| room_after(inline, room));
        match (inline, room) {
            _ if after.is_some() => kept.push(shown(inline)),
            (Inline::Text { text, style }, Some(room)) => {
                let start = longest_prefix(text, room, &chars);
                omitted += text.get(start.len()..).map_or(0, chars);
                let (text, style) = (printable(start).into_owned(), *style);
                if !text.is_empty() {
                    kept.push(Inline::Text { text, style });
                }
            }
            _ => omitted += chars(&inline.text()),
        }
        room = after;
    }
    if !is_whole {
        kept.push(Inline::plain(marker(omitted)));
    }
    kept
}

/// Returns what is left of the room after an inline, or nothing where it does not fit whole.
fn room_after(inline: &Inline, room: usize) -> Option<usize> {
    let after = |room: usize, text: &str| {
        let start = longest_prefix(text, room, &chars);
        (start.len() == text.len()).then(|| room - chars(start))
    };
    match inline {
        Inline::Text { text, .. } => after(room, text),
        Inline::Link { text, url, .. } => after(after(room, text)?, url),
        Inline::Mention(mention) => after(room, &mention.to_string()),
    }
}

/// Copies an inline without its control characters.
fn shown(inline: &Inline) -> Inline {
    match inline {
        Inline::Text { text, style } => Inline::Text {
            text: printable(text).into_owned(),
            style: *style,
        },
        Inline::Link { text, url, style } => Inline::Link {
            text: printable(text).into_owned(),
            url: one_line(url),
            style: *style,
        },
        Inline::Mention(mention) => Inline::Mention(match mention {
            Mention::User(name) => Mention::User(one_line(name)),
            Mention::Group(name) => Mention::Group(one_line(name)),
            Mention::Here => Mention::Here,
            Mention::Channel => Mention::Channel,
        }),
    }
}

/// Drops control characters but line breaks and tabs, and makes every line end a `\n`.
///
/// ```
/// use notify_core::fit::printable;
///
/// assert_eq!(printable("\u{1b}[31mred\r\nnext\rlast\u{0}"), "[31mred\nnext\nlast");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    let unwanted = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
    if !text.contains(unwanted) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let printed = |(at, letter): (usize, char)| match letter {
        '\r' if bytes.get(at + 1) == Some(&b'\n') => None,
        '\r' => Some('\n'),
        letter => (!unwanted(letter)).then_some(letter),
    };
    Cow::Owned(text.char_indices().filter_map(printed).collect())
}

/// Makes one line of a text: words with one space between them, no control characters.
pub fn one_line(text: &str) -> String {
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let mut line = String::new();
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// Shortens a text to what fits in `budget` as `measure` counts, and says how much is missing.
///
/// `measure` gives a text's size in the vendor's unit after the vendor's escaping: characters,
/// bytes, UTF-16 units. The cut falls between graphemes, so no letter is split. A text that was
/// shortened before has one marker in the end, with the sum.
///
/// ```
/// use notify_core::fit::shorten;
///
/// let count = |text: &str| text.chars().count();
/// assert_eq!(shorten("short", 40, count), "short");
/// assert_eq!(shorten(&"x".repeat(60), 40, count), "xxxxxxxxxxxxxxxxx… 43 characters omitted");
/// ```
pub fn shorten(text: &str, budget: usize, measure: impl Fn(&str) -> usize) -> Cow<'_, str> {
    let kept = longest_prefix(text, budget, &measure);
    if kept.len() == text.len() {
        return Cow::Borrowed(text);
    }
    let (text, before) = unmarked(text);
    // The marker is longest where most is omitted, and no text has more characters than bytes.
    let reserve = measure(&marker(before.saturating_add(text.len())));
    let Some(room) = budget.checked_sub(reserve) else {
        return Cow::Borrowed(kept);
    };
    let kept = longest_prefix(text, room, &measure);
    let omitted = text.get(kept.len()..).map_or(0, chars);
    Cow::Owned(format!("{kept}{}", marker(before.saturating_add(omitted))))
}

/// Shortens from the front: the end of a program's output says why it stopped.
///
/// Where lines are short, the cut falls between two of them.
pub fn shorten_front(text: &str, budget: usize, measure: impl Fn(&str) -> usize) -> Cow<'_, str> {
    let kept = longest_suffix(text, budget, &measure);
    if kept.len() == text.len() {
        return Cow::Borrowed(text);
    }
    let (text, before) = front_unmarked(text);
    let reserve = measure(&front_marker(before.saturating_add(text.len())));
    let Some(room) = budget.checked_sub(reserve) else {
        return Cow::Borrowed(kept);
    };
    let kept = whole_lines(text, longest_suffix(text, room, &measure));
    let omitted = text.get(..text.len() - kept.len()).map_or(0, chars);
    let marker = front_marker(before.saturating_add(omitted));
    Cow::Owned(format!("{marker}{kept}"))
}

/// Drops the rest of a line that a cut fell into, where that is little of what is kept.
fn whole_lines<'a>(text: &str, kept: &'a str) -> &'a str {
    let before = text.get(..text.len() - kept.len()).unwrap_or("");
    match kept.split_once('\n') {
        Some((rest, lines))
            if !before.ends_with('\n') && !lines.is_empty() && rest.len() <= kept.len() / 8 =>
        {
            lines
        }
        _ => kept,
    }
}

const OMITTED: &str = " characters omitted";
const FRONT_OMITTED: &str = " characters omitted …\n";
/// As many digits as the largest count has.
const MAX_DIGITS: usize = 20;

fn marker(omitted: usize) -> String {
    format!("… {omitted}{OMITTED}")
}

fn front_marker(omitted: usize) -> String {
    format!("{omitted}{FRONT_OMITTED}")
}

/// Splits the marker of an earlier cut off, and gives what it counts.
fn unmarked(text: &str) -> (&str, usize) {
    let split = || {
        let (kept, count) = text.strip_suffix(OMITTED)?.rsplit_once("… ")?;
        Some((kept, count.parse().ok()?))
    };
    split().unwrap_or((text, 0))
}

fn front_unmarked(text: &str) -> (&str, usize) {
    let split = || {
        let digits = text.bytes().take(MAX_DIGITS).take_while(u8::is_ascii_digit);
        let (count, rest) = text.split_at_checked(digits.count())?;
        Some((rest.strip_prefix(FRONT_OMITTED)?, count.parse().ok()?))
    };
    split().unwrap_or((text, 0))
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// Finds the longest prefix of whole graphemes that fits.
fn longest_prefix<'a>(text: &'a str, budget: usize, measure: &impl Fn(&str) -> usize) -> &'a str {
    let prefix = |bytes: usize| text.get(..text.floor_char_boundary(bytes)).unwrap_or("");
    let fitting = prefix(fitting(text.len(), budget, |bytes| measure(prefix(bytes))));
    text.get(..grapheme_before(text, fitting.len()))
        .unwrap_or("")
}

/// Finds the longest suffix of whole graphemes that fits.
fn longest_suffix<'a>(text: &'a str, budget: usize, measure: &impl Fn(&str) -> usize) -> &'a str {
    let suffix = |bytes: usize| {
        let start = text.ceil_char_boundary(text.len().saturating_sub(bytes));
        text.get(start..).unwrap_or("")
    };
    let fitting = suffix(fitting(text.len(), budget, |bytes| measure(suffix(bytes))));
    let start = grapheme_after(text, text.len() - fitting.len());
    text.get(start..).unwrap_or("")
}

/// How far around a cut graphemes are looked at; no letter that anybody writes is longer.
const AROUND: usize = 4 * 1024;

/// Returns the last place at or before `at` that is between two graphemes.
///
/// The cost does not depend on the length of the text.
pub fn grapheme_before(text: &str, at: usize) -> usize {
    let (start, window, mut cursor) = around(text, text.floor_char_boundary(at));
    match cursor.is_boundary(window, 0) {
        Ok(true) => start + cursor.cur_cursor(),
        // With the whole window at hand the cursor needs no other context, and so has no error.
        _ => start + cursor.prev_boundary(window, 0).ok().flatten().unwrap_or(0),
    }
}

/// Returns the first place at or after `at` that is between two graphemes.
///
/// The cost does not depend on the length of the text.
pub fn grapheme_after(text: &str, at: usize) -> usize {
    let (start, window, mut cursor) = around(text, text.ceil_char_boundary(at));
    match cursor.is_boundary(window, 0) {
        Ok(true) => start + cursor.cur_cursor(),
        _ => {
            start
                + cursor
                    .next_boundary(window, 0)
                    .ok()
                    .flatten()
                    .unwrap_or(window.len())
        }
    }
}

/// Gives the text around a place, where it begins, and a cursor at the place.
fn around(text: &str, at: usize) -> (usize, &str, GraphemeCursor) {
    let mut start = text.floor_char_boundary(at.saturating_sub(AROUND));
    // A flag is a pair of letters: in a row of flags only its beginning tells the pairs.
    let is_flag = |letter: &char| ('\u{1f1e6}'..='\u{1f1ff}').contains(letter);
    let before = text.get(..start).unwrap_or("");
    let flags = before.chars().rev().take(4 * AROUND).take_while(is_flag);
    start -= flags.map(char::len_utf8).sum::<usize>();
    let end = text.ceil_char_boundary(at.saturating_add(AROUND).min(text.len()));
    let window = text.get(start..end).unwrap_or("");
    (
        start,
        window,
        GraphemeCursor::new(at - start, window.len(), true),
    )
}

/// Finds how many of so many bytes fit, without measuring much more than that.
fn fitting(bytes: usize, budget: usize, measure: impl Fn(usize) -> usize) -> usize {
    let fits = |bytes: usize| measure(bytes) <= budget;
    let (mut low, mut high) = (0, budget.max(1));
    while high < bytes && fits(high) {
        (low, high) = (high, high.saturating_mul(2));
    }
    if high >= bytes {
        if fits(bytes) {
            return bytes;
        }
        high = bytes;
    }
    // `low` fits, or is nothing; `high` does not.
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::content::Severity;

    #[test]
    fn code_is_cut_between_lines_where_they_are_short() {
        let log = "a line of a log\n".repeat(100);
        for budget in 350..400 {
            let short = shorten_front(&log, budget, chars);
            let mut lines = short.lines();
            assert!(lines.next().is_some_and(|line| line.ends_with(" …")));
            assert!(lines.all(|line| line == "a line of a log"), "{short}");
            assert!(chars(&short) > budget - 20, "{budget}");
        }
        let log = format!("{}\nend", "x".repeat(1_000));
        assert!(chars(&shorten_front(&log, 400, chars)) > 390);
    }

    #[test]
    fn nothing_shortened_is_over_budget_and_no_grapheme_is_split() {
        let family = "👨‍👩‍👧‍👦";
        let text = format!("start {} é {}", family.repeat(20), "x".repeat(50));
        let measures: [fn(&str) -> usize; 2] = [|text| text.chars().count(), |text| text.len()];
        for measure in measures {
            for budget in 0..400 {
                let cut = shorten(&text, budget, measure);
                assert!(measure(&cut) <= budget);
                let cut = shorten_front(&text, budget, measure);
                assert!(measure(&cut) <= budget);
            }
        }
        let cut = shorten(&text, 60, |text| text.chars().count());
        let kept = cut.split('…').next().unwrap();
        assert_eq!(
            kept.chars().filter(|letter| *letter == '\u{200d}').count() % 3,
            0
        );
    }

    #[test]
    fn a_flag_in_a_long_row_of_flags_is_not_cut_in_two() {
        let text = format!("x{}", "🇩🇪".repeat(3_000));
        for at in 9_000..9_016 {
            assert_eq!((grapheme_before(&text, at) - 1) % 8, 0);
            assert_eq!((grapheme_after(&text, at) - 1) % 8, 0);
        }
    }

    #[test]
    fn the_front_cut_keeps_the_last_words() {
        let text = format!("{} row 4: amount is not a number", "noise ".repeat(100));
        let cut = shorten_front(&text, 80, |text| text.chars().count());
        assert!(cut.ends_with("row 4: amount is not a number"));
        assert!(cut.contains("characters omitted …"));
    }

    #[test]
    fn a_text_that_is_cut_twice_counts_everything_once() {
        let text = "0123456789".repeat(50);
        for budget in 40..100 {
            let once = shorten(&text, budget, chars);
            let twice = shorten(&shorten(&text, 200, chars), budget, chars).into_owned();
            assert_eq!(once, twice);
            let once = shorten_front(&text, budget, chars);
            let twice =
                shorten_front(&shorten_front(&text, 200, chars), budget, chars).into_owned();
            assert_eq!(once, twice);
        }
    }

    #[test]
    fn a_link_is_kept_whole_or_not_at_all() {
        let link = |text: &str| Inline::Link {
            text: text.to_owned(),
            url: "https://example.com/17".to_owned(),
            style: crate::content::Style::default(),
        };
        let inlines = [
            Inline::plain("before "),
            link("the run"),
            Inline::plain(" after it"),
        ];
        assert_eq!(cut(&inlines, 45), inlines);
        let expected = [
            Inline::plain("before "),
            Inline::plain("… 16 characters omitted"),
        ];
        assert_eq!(cut(&inlines, 44), expected);
        assert_eq!(cut(&cut(&inlines, 44), 31), expected);
    }

    #[test]
    fn of_a_huge_text_little_is_measured() {
        let huge = "é\r\n\u{1b}x".repeat(10_000_000);
        let largest = Cell::new(0);
        let count = |text: &str| {
            largest.set(largest.get().max(text.len()));
            text.chars().count()
        };
        assert!(chars(&shorten(&huge, 3_000, count)) <= 3_000);
        assert!(chars(&shorten_front(&huge, 3_000, count)) <= 3_000);
        assert!(largest.get() <= 4 * 3_000, "{}", largest.get());

        let message = Message::new(&huge, Severity::Error)
            .block(Block::text(&huge))
            .block(Block::Code(huge.clone()))
            .action(&huge, &huge)
            .footer(&huge);
        let size = |message: &Message| {
            let blocks = message.blocks.iter().map(|block| block.plain_text().len());
            let actions = message.actions.iter().map(|action| action.url.len());
            let size = message.headline.len() + blocks.chain(actions).sum::<usize>();
            largest.set(largest.get().max(size));
            size
        };
        fit(&message, 12_000, size);
        assert!(largest.get() <= 16 * 12_000, "{}", largest.get());
    }

    #[test]
    fn whole_parts_go_last_and_are_counted() {
        let item = |index: usize| vec![Inline::plain(format!("item {index}"))];
        let message = Message::new("nightly-etl failed", Severity::Error)
            .block(Block::Items {
                ordered: false,
                items: (0..100).map(item).collect(),
            })
            .block(Block::Code("x".repeat(500)))
            .action("Open", "https://example.com/")
            .footer("p/d");
        let size = |message: &Message| {
            let blocks = message.blocks.iter().map(|block| block.plain_text().len());
            blocks.sum::<usize>() + message.headline.len()
        };
        let short = fit(&message, 300, size);
        assert_eq!(short.headline, message.headline);
        assert_eq!(short.actions, message.actions);
        let [Block::Items { items, .. }, marker] = short.blocks.as_slice() else {
            panic!("{short:?}");
        };
        // The code, the footer, and the items that are missing.
        let omitted = 100 - items.len() + 2;
        assert_eq!(*marker, Block::text(format!("… {omitted} parts omitted")));
        assert!(size(&short) > 280, "{}", size(&short));
    }
}

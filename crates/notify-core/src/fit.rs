//! Making a text fit a vendor's limit, visibly.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;

/// Shortens a text to what fits in `budget` as `measure` counts, and says how much is missing.
///
/// `measure` gives a text's size in the vendor's unit after the vendor's escaping: characters,
/// bytes, UTF-16 units. The cut falls between graphemes, so no letter is split.
///
/// ```
/// use notify_core::fit::shorten;
///
/// let count = |text: &str| text.chars().count();
/// assert_eq!(shorten("short", 40, count), "short");
/// assert_eq!(shorten(&"x".repeat(60), 40, count), "xxxxxxxxxxxxxxxxx… 43 characters omitted");
/// ```
pub fn shorten(text: &str, budget: usize, measure: impl Fn(&str) -> usize) -> Cow<'_, str> {
    if measure(text) <= budget {
        return Cow::Borrowed(text);
    }
    let total = text.chars().count();
    // The marker is longest where most is omitted, so reserving for `total` is always enough.
    let reserve = measure(&marker(total));
    let Some(room) = budget.checked_sub(reserve) else {
        return Cow::Owned(longest_prefix(text, budget, &measure).to_owned());
    };
    let kept = longest_prefix(text, room, &measure);
    let omitted = total - kept.chars().count();
    Cow::Owned(format!("{kept}{}", marker(omitted)))
}

/// Shortens from the front: the end of a program's output says why it stopped.
pub fn shorten_front(text: &str, budget: usize, measure: impl Fn(&str) -> usize) -> Cow<'_, str> {
    if measure(text) <= budget {
        return Cow::Borrowed(text);
    }
    let total = text.chars().count();
    let reserve = measure(&front_marker(total));
    let Some(room) = budget.checked_sub(reserve) else {
        return Cow::Owned(longest_suffix(text, budget, &measure).to_owned());
    };
    let kept = longest_suffix(text, room, &measure);
    let omitted = total - kept.chars().count();
    Cow::Owned(format!("{}{kept}", front_marker(omitted)))
}

fn marker(omitted: usize) -> String {
    format!("… {omitted} characters omitted")
}

fn front_marker(omitted: usize) -> String {
    format!("{omitted} characters omitted …\n")
}

/// Finds the longest prefix of whole graphemes that fits.
fn longest_prefix<'a>(text: &'a str, budget: usize, measure: &impl Fn(&str) -> usize) -> &'a str {
    let ends: Vec<usize> = text
        .grapheme_indices(true)
        .map(|(start, grapheme)| start + grapheme.len())
        .collect();
    let fitting = ends.partition_point(|end| measure(text.get(..*end).unwrap_or("")) <= budget);
    let end = fitting.checked_sub(1).and_then(|last| ends.get(last));
    text.get(..end.copied().unwrap_or(0)).unwrap_or("")
}

/// Finds the longest suffix of whole graphemes that fits.
fn longest_suffix<'a>(text: &'a str, budget: usize, measure: &impl Fn(&str) -> usize) -> &'a str {
    let starts: Vec<usize> = text
        .grapheme_indices(true)
        .map(|(start, _)| start)
        .collect();
    let unfitting =
        starts.partition_point(|start| measure(text.get(*start..).unwrap_or("")) > budget);
    let start = starts.get(unfitting).copied().unwrap_or(text.len());
    text.get(start..).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_front_cut_keeps_the_last_words() {
        let text = format!("{} row 4: amount is not a number", "noise ".repeat(100));
        let cut = shorten_front(&text, 80, |text| text.chars().count());
        assert!(cut.ends_with("row 4: amount is not a number"));
        assert!(cut.contains("characters omitted …"));
    }
}

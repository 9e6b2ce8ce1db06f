//! How much of an event's free parts is kept: enough to see what happened, never enough to hurt.
//!
//! **Invariant.** What a function here gave, it gives back unchanged: events are bounded on every way in
//! and out.

use std::collections::BTreeMap;
use std::io;

use serde_json::Value;

use crate::event::TaskEnded;
use unicode_segmentation::UnicodeSegmentation;

/// The most bytes of a failure's message that are kept, the mark of the cut included.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// The most bytes that the outputs may have as JSON, the marks of what was cut included.
pub const MAX_OUTPUTS: usize = 64 * 1024;

/// The most bytes of a short text: a principal, a code, a version, the name or value of a label,
/// the name of a task.
pub const MAX_TEXT: usize = 1024;

/// The most bytes of a URL; a longer one is left out, because the rest of it leads elsewhere.
pub const MAX_URL: usize = 4 * 1024;

/// The most labels, the mark of what was left out included.
pub const MAX_LABELS: usize = 64;

/// The most tasks, the mark of what was left out included.
pub const MAX_TASKS: usize = 1_000;

/// The deepest nesting of an output that is kept; readers of JSON give up at 128.
const MAX_DEPTH: usize = 32;

/// What the mark of a cut may need.
const MARK: usize = 64;

/// Bounds a failure's message; the common short one is not touched.
pub(super) fn message(message: String) -> String {
    if message.len() <= MAX_MESSAGE {
        message
    } else {
        tail(&message, 0)
    }
}

/// Keeps the end of a text, where programs say what went wrong; `before` bytes were cut already.
pub(super) fn tail(text: &str, before: usize) -> String {
    if before == 0 && text.len() <= MAX_MESSAGE {
        return text.to_owned();
    }
    let mut start = text.len().saturating_sub(MAX_MESSAGE - MARK);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let rest = text.get(start..).unwrap_or_default();
    let line_break = rest.bytes().take(1024).position(|byte| byte == b'\n');
    let skipped = match line_break {
        // Whole lines read better than the end of one.
        Some(index) => index + 1,
        // The first cluster may be the second half of one. A very long one is kept all the same.
        None => rest
            .graphemes(true)
            .next()
            .map(str::len)
            .filter(|bytes| *bytes <= 128)
            .unwrap_or(0),
    };
    let kept = rest.get(skipped..).unwrap_or_default();
    let left_out = before + start + skipped;
    format!("… {left_out} bytes left out\n{kept}")
}

/// Bounds a short text; of a longer one the beginning is kept.
pub(super) fn text(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let mark = "…";
    let mut end = MAX_TEXT - mark.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    // The last cluster may be the first half of one. A very long one is kept all the same.
    let half = kept.graphemes(true).next_back().map_or(0, str::len);
    let half = if half <= 128 { half } else { 0 };
    let kept = kept.get(..end - half).unwrap_or_default();
    format!("{kept}{mark}")
}

/// Bounds a URL.
pub(super) fn url(url: &str) -> Option<String> {
    (url.len() <= MAX_URL).then(|| url.to_owned())
}

/// Bounds labels: the first ones in their order are kept, and the others counted.
pub(super) fn labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let whole = labels.len() <= MAX_LABELS;
    let room = if whole { MAX_LABELS } else { MAX_LABELS - 1 };
    let short = |(key, value): (&String, &String)| (text(key), text(value));
    let mut kept: BTreeMap<String, String> = labels.iter().take(room).map(short).collect();
    if !whole {
        let left_out = labels.len() - room;
        kept.insert("…".to_owned(), format!("{left_out} more labels left out"));
    }
    kept
}

/// Bounds tasks: those that went wrong are kept before the others, and what is left out is counted.
pub(super) fn tasks(tasks: &[TaskEnded]) -> Vec<TaskEnded> {
    let short = |task: &TaskEnded| TaskEnded::new(text(&task.name), task.phase);
    if tasks.len() <= MAX_TASKS {
        return tasks.iter().map(short).collect();
    }
    let (fine, wrong): (Vec<&TaskEnded>, Vec<&TaskEnded>) =
        tasks.iter().partition(|task| task.phase.is_success());
    let mut sorted = wrong.into_iter().chain(fine);
    let mut kept: Vec<TaskEnded> = sorted.by_ref().take(MAX_TASKS - 1).map(short).collect();
    // Those that went wrong come first, so the first left out is the worst.
    if let Some(worst) = sorted.next().map(|task| task.phase) {
        let left_out = tasks.len() - kept.len();
        let mark = format!("… {left_out} more tasks left out");
        kept.push(TaskEnded::new(mark, worst));
    }
    kept
}

/// Bounds outputs: what does not fit is replaced by a mark, name by name in their order.
pub(super) fn outputs(outputs: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let too_deep = Value::String(format!("… nested deeper than {MAX_DEPTH} levels"));
    // References: what is cut is never copied.
    let flat: BTreeMap<&String, &Value> = outputs
        .iter()
        .map(|(name, value)| {
            let deep = is_deeper(value, MAX_DEPTH);
            (name, if deep { &too_deep } else { value })
        })
        .collect();
    let copy = |(name, value): (&String, &Value)| (name.clone(), value.clone());
    if size(&flat) <= MAX_OUTPUTS {
        return flat.into_iter().map(copy).collect();
    }
    let mut kept = BTreeMap::new();
    let mut left_out = 0_usize;
    // Two braces and the mark of what is left out whole.
    let mut room = MAX_OUTPUTS - 2 - 2 * MARK;
    for (name, value) in flat {
        // A colon and a comma.
        let frame = size(name) + 2;
        let bytes = size(value);
        let mark = Value::String(format!("… {bytes} bytes left out"));
        let entry = if frame + bytes <= room {
            Some((frame + bytes, value.clone()))
        } else {
            let bytes = frame + size(&mark);
            (bytes <= room).then_some((bytes, mark))
        };
        match entry {
            Some((bytes, value)) => {
                room -= bytes;
                kept.insert(name.clone(), value);
            }
            None => left_out += 1,
        }
    }
    if left_out > 0 {
        let mark = format!("{left_out} more outputs left out");
        kept.insert("…".to_owned(), Value::String(mark));
    }
    kept
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return true;
    };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, below)),
        Value::Object(map) => map.values().any(|item| is_deeper(item, below)),
        _ => false,
    }
}

/// Counts the bytes that a value has as JSON, without writing them.
pub(super) fn size(value: &impl serde::Serialize) -> usize {
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        Err(_) => usize::MAX,
    }
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::phase::TerminalPhase;

    #[test]
    fn a_long_message_keeps_its_last_whole_lines_and_says_what_is_missing() {
        let long = "the same line é\n".repeat(1_000_000);
        let kept = message(long.clone());
        assert!(kept.len() <= MAX_MESSAGE && kept.len() > MAX_MESSAGE - 2 * MARK);
        let (mark, rest) = kept.split_once('\n').unwrap();
        assert_eq!(
            mark,
            format!("… {} bytes left out", long.len() - rest.len())
        );
        assert!(rest.starts_with("the ") && long.ends_with(rest));
        assert_eq!(message(kept.clone()), kept);
    }

    #[test]
    fn a_cut_splits_no_character_and_no_cluster() {
        for pad in 0..30 {
            let family = "👩\u{200d}👩\u{200d}👧";
            let long = format!("{}{}", "x".repeat(pad), family.repeat(6_000));
            let kept = message(long);
            let (_, rest) = kept.split_once('\n').unwrap();
            assert!(
                rest.graphemes(true).all(|cluster| cluster == family),
                "{pad}"
            );
        }
    }

    #[test]
    fn one_endless_cluster_is_bounded_too() {
        let kept = message(format!("a{}", "\u{301}".repeat(MAX_MESSAGE)));
        assert!(kept.len() <= MAX_MESSAGE);
    }

    #[test]
    fn outputs_that_fit_are_untouched_and_others_are_marked() {
        let small = BTreeMap::from([("rows".to_owned(), json!(41))]);
        assert_eq!(outputs(&small), small);

        let mut large = small;
        large.insert("blob".to_owned(), json!("x".repeat(MAX_OUTPUTS)));
        large.insert("deep".to_owned(), nested(200));
        let kept = outputs(&large);
        assert_eq!(kept["rows"], json!(41));
        assert_eq!(kept["blob"], json!("… 65538 bytes left out"));
        assert_eq!(kept["deep"], json!("… nested deeper than 32 levels"));
        assert_eq!(outputs(&kept), kept);
    }

    #[test]
    fn short_texts_labels_tasks_and_urls_are_bounded_once_and_for_all() {
        let long = "wörd ".repeat(4_000);
        let short = text(&long);
        assert!(short.len() <= MAX_TEXT && short.ends_with('…') && long.starts_with(&short[..900]));
        assert_eq!(text(&short), short);
        assert!(text(&format!("a{}", "\u{301}".repeat(MAX_TEXT))).len() <= MAX_TEXT);

        let many: BTreeMap<String, String> = (0..5_000)
            .map(|index| (format!("{index:05}{long}"), long.clone()))
            .take(200)
            .collect();
        let kept = labels(&many);
        assert_eq!(kept["…"], "137 more labels left out");
        assert_eq!((kept.len(), labels(&kept)), (MAX_LABELS, kept));

        let phase = |index| {
            if index % 100 == 99 {
                TerminalPhase::Failed
            } else {
                TerminalPhase::Succeeded
            }
        };
        let many: Vec<TaskEnded> = (0..20_000)
            .map(|index| TaskEnded::new(format!("task {index}"), phase(index)))
            .collect();
        let kept = tasks(&many);
        let failed = kept.iter().filter(|task| !task.phase.is_success()).count();
        assert_eq!((kept.len(), failed), (MAX_TASKS, 200));
        assert_eq!(kept[999].name, "… 19001 more tasks left out");
        assert_eq!(tasks(&kept), kept);

        assert_eq!(
            url("https://example.com").as_deref(),
            Some("https://example.com")
        );
        assert_eq!(url(&long), None);
    }

    #[test]
    fn many_outputs_are_counted_when_not_even_their_marks_fit() {
        let many: BTreeMap<String, Value> = (0..20_000)
            .map(|index| (format!("key {index:05}"), json!("y".repeat(100))))
            .collect();
        let kept = outputs(&many);
        assert!(size(&kept) <= MAX_OUTPUTS);
        let mark = kept["…"].as_str().unwrap();
        assert_eq!(
            mark,
            format!("{} more outputs left out", 20_001 - kept.len())
        );
        assert_eq!(outputs(&kept), kept);
    }

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!(1), |inner, _| json!([inner]))
    }
}

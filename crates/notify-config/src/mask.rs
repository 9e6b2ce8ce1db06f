//! Makes a text fit to be shown: secrets become `*`, control characters become `?`.
//!
//! INVARIANT: the shown text has the bytes' length and the lines of the text, so that every place
//! in one is the same place in the other.

use std::ops::Range;
use std::sync::Arc;

/// What of a text can be shown.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    /// Hides all that may be a secret: every value and every commented-out one.
    pub(crate) guarded: bool,
    /// Values that are known to be no secret.
    pub(crate) open: Vec<Range<usize>>,
    /// Values that are secrets.
    pub(crate) hidden: Vec<Range<usize>>,
}

impl Mask {
    /// Hides all that may be a secret.
    pub(crate) fn guarded() -> Self {
        Self {
            guarded: true,
            ..Self::default()
        }
    }

    /// Gives the text as it can be shown.
    pub(crate) fn apply(&self, text: &str) -> Arc<str> {
        let mut hide = vec![false; text.len()];
        let mut set = |range: &Range<usize>, value: bool| {
            if let Some(bytes) = hide.get_mut(range.clone()) {
                bytes.fill(value);
            }
        };
        if self.guarded {
            for range in values(text) {
                set(&range, true);
            }
        }
        for range in &self.open {
            set(range, false);
        }
        for range in &self.hidden {
            set(range, true);
        }
        let mut shown = String::with_capacity(text.len());
        for (at, letter) in text.char_indices() {
            let hidden = hide.get(at).copied().unwrap_or(true);
            match letter {
                '\n' | '\r' => shown.push(letter),
                _ if hidden => shown.extend(std::iter::repeat_n('*', letter.len_utf8())),
                '\t' => shown.push(letter),
                // A file could otherwise steer the terminal that its problems are shown on.
                _ if letter.is_control() => {
                    shown.extend(std::iter::repeat_n('?', letter.len_utf8()));
                }
                _ => shown.push(letter),
            }
        }
        shown.into()
    }
}

/// Finds everything in a TOML text that is not a key, a table's name or prose.
///
/// It works on broken texts too, where there is no tree to ask, and errs on the side of hiding.
fn values(text: &str) -> Vec<Range<usize>> {
    let mut finder = Finder::default();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        finder.line(start, line);
        start += line.len();
    }
    finder.found
}

#[derive(Default)]
struct Finder {
    found: Vec<Range<usize>>,
    /// The end of the quoted text over several lines that has begun.
    awaited: Option<&'static str>,
}

impl Finder {
    fn line(&mut self, start: usize, line: &str) {
        let header = self.awaited.is_none() && line.trim_start().starts_with('[');
        let mut first = true;
        let mut at = 0;
        while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
            let here = start + at;
            if let Some(end) = self.awaited {
                let length = rest.find(end);
                self.hide(here, length.unwrap_or(rest.len()));
                at += length.map_or(rest.len(), |length| length + end.len());
                if length.is_some() {
                    self.awaited = None;
                }
                continue;
            }
            let triple = ["\"\"\"", "'''"]
                .into_iter()
                .find(|quote| rest.starts_with(quote));
            if let Some(quote) = triple {
                self.awaited = Some(quote);
                at += quote.len();
                continue;
            }
            let letter = rest.chars().next().unwrap_or_default();
            at += match letter {
                '"' | '\'' => {
                    let length = quoted(rest, letter);
                    self.hide(here, length);
                    length
                }
                '#' => {
                    self.comment(here, rest);
                    rest.len()
                }
                _ if is_word(letter) => {
                    let length = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
                    let (word, after) = rest.split_at(length);
                    let after = after.trim_start();
                    let key = after.starts_with('=')
                        || first && !after.is_empty() && !after.starts_with([',', '#']);
                    if !(header || key || matches!(word, "true" | "false")) {
                        self.hide(here, length);
                    }
                    length
                }
                other => other.len_utf8(),
            };
            first = first && letter.is_whitespace();
        }
    }

    /// A comment is prose, unless it is a line that was switched off.
    fn comment(&mut self, start: usize, text: &str) {
        if let Some(at) = text.find('=') {
            self.hide(start + at + 1, text.len() - at - 1);
        }
        let mut at = 0;
        for word in text.split_inclusive(char::is_whitespace) {
            if word.trim_end().len() >= LONG_WORD {
                self.hide(start + at, word.trim_end().len());
            }
            at += word.len();
        }
    }

    fn hide(&mut self, start: usize, length: usize) {
        self.found.push(start..start + length);
    }
}

/// A word of this many bytes in a comment is more probably a token than a word.
const LONG_WORD: usize = 16;

fn is_word(letter: char) -> bool {
    !letter.is_whitespace() && !"[]{},=\"'#".contains(letter)
}

/// Returns the length of a quoted text with its quotes, up to the line's end where it is not closed.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if letter == quote && !escaped {
            return at + 1;
        }
        escaped = letter == '\\' && quote == '"' && !escaped;
    }
    text.trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(&*Mask::guarded().apply(text), expected);
    }

    #[test]
    fn keys_headers_and_prose_stay_and_values_go() {
        check(
            "[accounts.ntfy.prod] # the one\ntoken = \"hunter2\"\nport = 25\non = true\n",
            "[accounts.ntfy.prod] # the one\ntoken = *********\nport = **\non = true\n",
        );
        check(
            "token = { env = \"TOKEN\" } # token = \"old\"\n",
            "token = { env = ******* } # token =******\n",
        );
        check(
            "list = [\n  'a b',\n  3,\n]\n",
            "list = [\n  *****,\n  *,\n]\n",
        );
    }

    #[test]
    fn a_broken_text_shows_no_value_either() {
        check(
            "token = \"hunter2\nport = 1\n",
            "token = ********\nport = *\n",
        );
        check("token = hunter2\n", "token = *******\n");
        check("token: hunter2\n", "token: *******\n");
        check("token hunter2\n", "token *******\n");
        check("hunter2\n", "*******\n");
        check(
            "t = \"\"\"\nhunter2\n\"hunter2\" \"\"\" x\n",
            "t = \"\"\"\n*******\n**********\"\"\" *\n",
        );
        check("t = \"a\\\"hunter2\" \n", "t = ************ \n");
        check("# xoxb-1234-5678-abcdef\r\n", "# *********************\r\n");
    }

    #[test]
    fn the_length_of_the_text_stays_and_terminals_are_safe() {
        let text = "a: \u{1b}[31m é\n";
        let mut mask = Mask::default();
        mask.hidden.push(text.len() - 3..text.len());
        assert_eq!(&*mask.apply(text), "a: ?[31m **\n");
    }
}

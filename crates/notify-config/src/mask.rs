//! Makes a text fit to be shown: secrets become `*`, control characters become `?`.
//!
//! What looks like a secret is hidden wherever it stands, in every text, sound or broken. In
//! `notify.toml`, where secrets are at home, everything is hidden that is not known to be harmless.
//!
//! INVARIANT: the shown text has the bytes' length and the lines of the text, so that every place
//! in one is the same place in the other.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use notify_core::secret::secrets_in;

/// What of a text can be shown.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    guard: Guard,
    /// Values that are known to be no secret.
    pub(crate) open: Vec<Range<usize>>,
    /// Values that are secrets.
    pub(crate) hidden: Vec<Range<usize>>,
}

/// What is hidden of a text without a closer look.
#[derive(Debug, Default)]
enum Guard {
    /// What looks like a secret.
    #[default]
    Guesses,
    /// All but the keys and the headers of a sound TOML text.
    Values,
    /// All but these words, where no value stands, and what is between words.
    Words(BTreeSet<String>),
}

impl Mask {
    /// Hides every value and every comment of a text that is sound TOML.
    pub(crate) fn of_toml() -> Self {
        Self {
            guard: Guard::Values,
            ..Self::default()
        }
    }

    /// Hides every word but these, and these too where a value stands: of a text that is no TOML, but
    /// may have been meant as some, nothing else is known to be harmless.
    pub(crate) fn of_broken_toml(known: BTreeSet<String>) -> Self {
        Self {
            guard: Guard::Words(known),
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
        let known = match &self.guard {
            Guard::Guesses => None,
            Guard::Values => Some(None),
            Guard::Words(known) => Some(Some(known)),
        };
        if let Some(known) = known {
            for range in values(text, known) {
                set(&range, true);
            }
        }
        for range in &self.open {
            set(range, false);
        }
        for range in &self.hidden {
            set(range, true);
        }
        for range in secrets_in(text) {
            set(&range, true);
        }
        let mut shown = String::with_capacity(text.len());
        for (at, letter) in text.char_indices() {
            let hidden = hide.get(at).copied().unwrap_or(true);
            match letter {
                '\n' | '\r' => shown.push(letter),
                _ if hidden => shown.extend(std::iter::repeat_n('*', letter.len_utf8())),
                '\t' => shown.push(letter),
                // A file could otherwise steer the terminal that its problems are shown on.
                _ if letter.is_control() || turns(letter) => {
                    shown.extend(std::iter::repeat_n('?', letter.len_utf8()));
                }
                _ => shown.push(letter),
            }
        }
        shown.into()
    }
}

/// Tells whether a character turns the direction of others, so that a line shows what it does not say.
fn turns(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Hides in the words about a text what looks like a secret of that text.
///
/// The words have addresses of their own, as examples: one is hidden where it stands in the text
/// too, and says more than the name of a host.
pub(crate) fn concealed<'a>(words: &'a str, text: &str) -> Cow<'a, str> {
    let is_secret = |found: &Range<usize>| {
        let found = words.get(found.clone()).unwrap_or_default();
        let address = found.split_once("://");
        address.is_none_or(|(_, rest)| rest.contains(['/', '@', '?', '#']) && text.contains(found))
    };
    let mut found = secrets_in(words).filter(is_secret).peekable();
    if found.peek().is_none() {
        return Cow::Borrowed(words);
    }
    let (mut shown, mut from) = (String::new(), 0);
    for range in found {
        shown.push_str(words.get(from..range.start).unwrap_or_default());
        shown.push('…');
        from = from.max(range.end);
    }
    shown.push_str(words.get(from..).unwrap_or_default());
    Cow::Owned(shown)
}

/// How far from a place a secret is looked for that the place is a part of.
const NEAR: usize = 512;

/// Lists the words of the secrets that a place in a text is a part of: quoted alone they look like
/// any other.
pub(crate) fn parts_of_secrets<'a>(text: &'a str, place: &Range<usize>) -> Vec<&'a str> {
    let start = text.floor_char_boundary(place.start.saturating_sub(NEAR));
    let end = place.end.min(place.start.saturating_add(NEAR));
    let end = text.ceil_char_boundary(end.saturating_add(NEAR));
    let near = text.get(start..end).unwrap_or_default();
    let overlaps =
        |found: &Range<usize>| start + found.start < place.end && place.start < start + found.end;
    let secrets = secrets_in(near).filter(overlaps);
    let words = secrets.flat_map(|found| {
        let secret = near.get(found).unwrap_or_default();
        // How an address begins is no secret, and rules about addresses say it.
        let secret = ["https://", "http://"]
            .iter()
            .find_map(|scheme| secret.strip_prefix(scheme))
            .unwrap_or(secret);
        secret.split(|letter: char| !letter.is_alphanumeric())
    });
    words.filter(|word| word.chars().count() >= 3).collect()
}

/// Hides what stands between backticks and holds one of these parts.
pub(crate) fn without_quoted<'a>(words: &'a str, parts: &[&str]) -> Cow<'a, str> {
    if parts.is_empty() {
        return Cow::Borrowed(words);
    }
    let fit = |(index, piece): (usize, &'a str)| {
        let quotes = index % 2 == 1 && parts.iter().any(|part| piece.contains(part));
        if quotes { "…" } else { piece }
    };
    let pieces: Vec<&str> = words.split('`').enumerate().map(fit).collect();
    Cow::Owned(pieces.join("`"))
}

/// Finds everything in a TOML text that is not a key, a table's name or between words.
///
/// With the words that are known it works on broken texts too, where nobody can tell a key from a
/// value, and hides all others.
fn values(text: &str, known: Option<&BTreeSet<String>>) -> Vec<Range<usize>> {
    let mut finder = Finder {
        known,
        found: Vec::new(),
        awaited: None,
        depth: 0,
    };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        finder.line(start, line);
        start += line.len();
    }
    finder.found
}

struct Finder<'a> {
    /// The words that are shown; in a sound text every key is.
    known: Option<&'a BTreeSet<String>>,
    found: Vec<Range<usize>>,
    /// The end of the quoted text over several lines that has begun.
    awaited: Option<&'static str>,
    /// How many brackets are open that are no header's.
    depth: usize,
}

impl Finder<'_> {
    fn line(&mut self, start: usize, line: &str) {
        let header = self.header(line);
        let mut at = 0;
        let mut before = ' ';
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
            let length = match letter {
                '"' | '\'' => {
                    let length = quoted(rest, letter);
                    self.hide(here, length);
                    length
                }
                // A comment can be a line that was switched off.
                '#' => {
                    self.hide(here + 1, rest.len() - 1);
                    rest.len()
                }
                _ if is_word(letter) => {
                    let length = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
                    let (word, after) = rest.split_at(length);
                    if at >= header {
                        self.word(here, word, before, after);
                    }
                    length
                }
                '[' | '{' if at >= header => {
                    self.depth += 1;
                    1
                }
                ']' | '}' if at >= header => {
                    self.depth = self.depth.saturating_sub(1);
                    1
                }
                other => other.len_utf8(),
            };
            if !letter.is_whitespace() {
                before = letter;
            }
            at += length;
        }
    }

    /// Hides what may be secret of a word that stands between these.
    fn word(&mut self, start: usize, word: &str, before: char, after: &str) {
        let shown = match self.known {
            Some(_) => false,
            None => after.trim_start().starts_with('='),
        };
        if shown || matches!(word, "true" | "false") {
            return;
        }
        let known = self.known.filter(|_| !matches!(before, '=' | ':'));
        let Some(known) = known else {
            return self.hide(start, word.len());
        };
        let mut at = start;
        for part in word.split('.') {
            if !known.contains(part) {
                self.hide(at, part.len());
            }
            at += part.len() + 1;
        }
    }

    /// Returns the length of the header that a line begins with: `[accounts.slack.prod]`.
    fn header(&self, line: &str) -> usize {
        let sound = self.known.is_none();
        if self.awaited.is_some() || sound && self.depth > 0 {
            return 0;
        }
        let blank = line.len() - line.trim_start().len();
        let rest = line.trim_start();
        let brackets = rest.len() - rest.trim_start_matches('[').len();
        let Some((names, _)) = rest.get(brackets..).and_then(|rest| rest.split_once(']')) else {
            return 0;
        };
        let mut parts = names.split('.').map(str::trim);
        let begins = |known: &BTreeSet<String>| {
            // The name of an account is anybody's choice; what stands before it is not.
            let known = |part: &str| known.contains(part);
            let first = parts.next().is_some_and(known);
            let kind = first && parts.next().is_none_or(known);
            kind && parts.next().is_none_or(is_name) && parts.all(known)
        };
        let is_header = matches!(brackets, 1 | 2) && self.known.is_none_or(begins);
        let length = blank + brackets + names.len() + brackets;
        if is_header { length } else { 0 }
    }

    fn hide(&mut self, start: usize, length: usize) {
        self.found.push(start..start + length);
    }
}

fn is_name(text: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    text.len() <= 32 && text.chars().all(letter)
}

fn is_word(letter: char) -> bool {
    !letter.is_whitespace() && !"[]{},=:\"'#".contains(letter)
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
        assert_eq!(&*Mask::of_toml().apply(text), expected);
    }

    #[track_caller]
    fn check_broken(text: &str, expected: &str) {
        let known = ["accounts", "slack", "token", "env"].map(str::to_owned);
        let mask = Mask::of_broken_toml(known.into());
        assert_eq!(&*mask.apply(text), expected);
    }

    #[test]
    fn keys_and_headers_stay_and_values_and_comments_go() {
        check(
            "[accounts.ntfy.prod] # the one\ntoken = \"hunter2\"\nport = 25\non = true\n",
            "[accounts.ntfy.prod] #********\ntoken = *********\nport = **\non = true\n",
        );
        check(
            "token = { env = \"TOKEN\" } # token = \"old\"\n",
            "token = { env = ******* } #**************\n",
        );
        check(
            "list = [\n  'a b',\n  3,\n  [12345678],\n]\n",
            "list = [\n  *****,\n  *,\n  [********],\n]\n",
        );
    }

    #[test]
    fn of_a_broken_text_only_known_words_are_shown_where_no_value_stands() {
        let table = [
            (
                "token = \"hunter2\nport = 1\n",
                "token = ********\n**** = *\n",
            ),
            ("token = hunter2\n", "token = *******\n"),
            ("token: hunter2\n", "token: *******\n"),
            ("token hunter2\n", "token *******\n"),
            ("token = token\n", "token = *****\n"),
            ("token = hunter2==\n", "token = *******==\n"),
            ("token = hunter2+x/y=\n", "token = ***********=\n"),
            (
                "export SLACK_TOKEN=hunter2=\n",
                "****** ***********=*******=\n",
            ),
            (
                "token = \"hunter2\n hunter2 x\"\n",
                "token = ********\n ******* **\n",
            ),
            ("token = [\n[hunter2,\n", "token = [\n[*******,\n"),
            ("token = [\nhunter2 x\n", "token = [\n******* *\n"),
            (
                "[hunter2]\n[token.hunter2]\n",
                "[*******]\n[token.*******]\n",
            ),
            (
                "[accounts.slack.prod.hunter2]\n",
                "[accounts.slack.****.*******]\n",
            ),
            ("hunter2\n", "*******\n"),
            (
                "[accounts.slack.prod] token = hunter2\n",
                "[accounts.slack.prod] token = *******\n",
            ),
            (
                "[accounts.slack.prod\n[[accounts.slack.b]]\n",
                "[accounts.slack.****\n[[accounts.slack.b]]\n",
            ),
            (
                "t = \"\"\"\nhunter2\n\"hunter2\" \"\"\" x\n",
                "* = \"\"\"\n*******\n**********\"\"\" *\n",
            ),
            ("token = \"a\\\"hunter2\" \n", "token = ************ \n"),
            ("# token: hunter2\n", "#***************\n"),
            ("x # hunter2\r\n", "* #********\r\n"),
        ];
        for (text, expected) in table {
            check_broken(text, expected);
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_hidden_in_every_text_and_in_what_is_open() {
        let text = "slack: xoxb-1-hunter2 # https://h/hunter2\n";
        let mut mask = Mask::default();
        mask.open.push(0..text.len());
        assert_eq!(
            &*mask.apply(text),
            "slack: ************** # *****************\n"
        );
    }

    #[test]
    fn words_about_a_text_say_no_secret_of_it_and_keep_their_own_examples() {
        let text = "smtp = \"smtps://u:hunter2@h\" # smtps://smtp.example.com";
        let table = [
            (
                "no channel `xoxb-1-hunter2`, is it?",
                "no channel `…`, is it?",
            ),
            ("`smtps://u:hunter2@h` is wrong", "`…` is wrong"),
            (
                "write `smtps://smtp.example.com`",
                "write `smtps://smtp.example.com`",
            ),
            ("write `https://host/path`", "write `https://host/path`"),
        ];
        for (words, expected) in table {
            assert_eq!(concealed(words, text), expected);
        }
    }

    #[test]
    fn a_part_of_a_secret_is_not_quoted_either() {
        let text = "é {{ xoxb-1-hunter2 }} and more";
        let at = text.find("hunter2").unwrap();
        let parts = parts_of_secrets(text, &(at..at + 7));
        assert_eq!(
            without_quoted("unknown field `hunter2`, of `more`", &parts),
            "unknown field `…`, of `more`"
        );
        assert_eq!(
            parts_of_secrets(text, &(text.len() - 4..text.len())),
            [""; 0]
        );
        let text = "url = \"http://push.lan/hunter2\"";
        let parts = parts_of_secrets(text, &(6..text.len()));
        assert_eq!(
            without_quoted("`http` is for `localhost`, not for `push.lan`", &parts),
            "`http` is for `localhost`, not for `…`"
        );
    }

    #[test]
    fn the_length_of_the_text_stays_and_terminals_are_safe() {
        let text = "a: \u{1b}[31m\u{202e} é\n";
        let mut mask = Mask::default();
        mask.hidden.push(text.len() - 3..text.len());
        assert_eq!(&*mask.apply(text), "a: ?[31m??? **\n");
    }
}

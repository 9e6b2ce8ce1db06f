//! What was probably meant by a text that is not YAML.

use std::ops::Range;

use notify_core::Code;

use crate::diagnostic::Finding;

/// Finds the quote that is open where a text ends.
pub(super) fn open_quote(text: &str) -> Option<usize> {
    let mut open: Option<(usize, char)> = None;
    // The indentation of the line that began a block of text.
    let mut block: Option<usize> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let is_of_block = block.is_some_and(|of_head| indent > of_head || line.trim().is_empty());
        if !(is_of_block && open.is_none()) {
            block = None;
            open = after_line(line, start, open);
            if open.is_none() && begins_block(line) {
                block = Some(indent);
            }
        }
        start += line.len();
    }
    open.map(|(at, _)| at)
}

/// Walks a line; gives the quote that is open behind it.
fn after_line(line: &str, start: usize, open: Option<(usize, char)>) -> Option<(usize, char)> {
    let mut open = open;
    let mut may_begin = true;
    let mut before = ' ';
    let mut letters = line.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match open {
            Some((_, '"')) if letter == '\\' => {
                letters.next();
            }
            Some((_, '\''))
                if letter == '\'' && letters.peek().is_some_and(|(_, next)| *next == '\'') =>
            {
                letters.next();
            }
            Some((_, quote)) if letter == quote => {
                open = None;
                may_begin = false;
            }
            Some(_) => {}
            None if letter == '#' && before.is_whitespace() => break,
            None if may_begin && matches!(letter, '"' | '\'') => open = Some((start + at, letter)),
            None => {
                let separates = matches!(letter, '[' | '{' | ',')
                    || matches!(letter, ':' | '-' | '?')
                        && letters.peek().is_none_or(|(_, next)| next.is_whitespace());
                may_begin = separates || may_begin && letter.is_whitespace();
            }
        }
        before = letter;
    }
    open
}

/// Tells whether the lines below are a text as they stand: `key: |`.
fn begins_block(line: &str) -> bool {
    let line = line
        .trim_end()
        .trim_end_matches(|letter: char| letter.is_ascii_digit() || matches!(letter, '+' | '-'));
    [": |", ": >", "- |", "- >"]
        .iter()
        .any(|end| line.ends_with(end))
}

/// Returns where the line of a place begins, and the line.
fn line_of(text: &str, at: usize) -> (usize, &str) {
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind(['\r', '\n']).map_or(0, |newline| newline + 1);
    let rest = text.get(start..).unwrap_or_default();
    (start, rest.split(['\r', '\n']).next().unwrap_or_default())
}

/// Returns the last line with text above the one that begins at a place.
fn line_above(text: &str, start: usize) -> Option<(usize, &str)> {
    let above = text.get(..start)?.trim_end();
    (!above.is_empty()).then(|| line_of(text, above.len()))
}

/// Finds `key: {{ field }}`, which YAML reads as a map within a map.
pub(super) fn template_without_quotes(text: &str, span: &Range<usize>) -> Option<Finding> {
    let (start, line) = line_of(text, span.start);
    let (start, line) = if line.contains("{{") {
        (start, line)
    } else {
        line_above(text, start)?
    };
    let at = line.find(": {{").map(|at| at + 2).or_else(|| {
        let rest = line.trim_start().strip_prefix("- {{")?;
        Some(line.len() - rest.len() - 2)
    })?;
    let message = "a `{` begins a map in YAML, and this is a template";
    let help = "put a text with `{{` in quotes: `\"{{ workflow }} failed\"`; or in lines of its own \
                behind `|`";
    let place = start + at..start + at + 2;
    Some(Finding::new(Code::SYNTAX, message, place).help(help))
}

/// Finds a letter that looks like a `:` or like a space and is none, in the line of a place or above.
pub(super) fn look_alike(text: &str, span: &Range<usize>) -> Option<Finding> {
    let (start, line) = line_of(text, span.start);
    let found = |(start, line): (usize, &str)| {
        let is_space = |letter: char| !letter.is_ascii() && letter.is_whitespace();
        let mut before = ' ';
        for (at, letter) in line.char_indices() {
            let what = match letter {
                '\u{ff1a}' | '\u{fe55}' | '\u{a789}' | '\u{2236}' => ":",
                _ if is_space(letter) && (before == ':' || line.get(..at)?.trim().is_empty()) => {
                    "space"
                }
                _ => {
                    before = letter;
                    continue;
                }
            };
            let code = u32::from(letter);
            let message = match what {
                ":" => format!("this looks like a `:` and is another letter, U+{code:04X}"),
                _ => format!("this looks like a space and is another letter, U+{code:04X}"),
            };
            let place = start + at..start + at + letter.len_utf8();
            let help = "write it anew: such letters come along when a text is copied";
            return Some(Finding::new(Code::SYNTAX, message, place).help(help));
        }
        None
    };
    found((start, line)).or_else(|| found(line_above(text, start)?))
}

/// Finds a key that is indented deeper than the key above it, which has its value already.
pub(super) fn deeper(text: &str, span: &Range<usize>) -> Option<Finding> {
    let (start, line) = line_of(text, span.start);
    let (_, above) = line_above(text, start)?;
    let key = line.trim_start_matches(' ');
    let column = line.len() - key.len();
    let of_above = above.trim_start_matches([' ', '-']);
    let (name, value) = of_above.split_once(": ")?;
    let is_deeper = column > above.len() - of_above.len();
    let is_plain = !name.contains(['"', '\'', '{', '[']) && !value.trim().is_empty();
    let (word, _) = key.split_once(':')?;
    if !is_deeper || !is_plain || word.contains(char::is_whitespace) {
        return None;
    }
    let message = "this key is indented deeper than the key above it, which has a value already";
    let place = start + column..start + column + word.len();
    let help = "give the keys of one map the same indentation";
    Some(Finding::new(Code::SYNTAX, message, place).help(help))
}

//! What looks like a secret: tokens by how they begin, keys by their letters, addresses by `://`.

use std::ops::Range;

/// How many letters make a key.
const KEY: usize = 24;

/// How tokens of services begin that are no keys by their letters alone.
const TOKENS: [&str; 6] = ["xapp-", "xwfp-", "eyJ", "glpat-", "hvs.", "SG."];

/// How many letters of a token follow what it begins with.
const OF_TOKEN: usize = 8;

/// Finds what looks like a secret, word by word.
pub(super) fn secrets(text: &str) -> impl Iterator<Item = Range<usize>> {
    words(text).flat_map(|(start, word)| {
        in_word(word)
            .into_iter()
            .map(move |found| start + found.start..start + found.end)
    })
}

/// Splits a text where no secret goes on: at blanks, quotes and angle brackets.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split_inclusive(ends_word).map(move |part| {
        let begin = start;
        start += part.len();
        (begin, part.trim_end_matches(ends_word))
    })
}

fn ends_word(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || "\"'`<>".contains(letter)
}

fn in_word(word: &str) -> Vec<Range<usize>> {
    // Both reach to the end of the word.
    if let Some(start) = address(word).into_iter().chain(token(word)).min() {
        let mut found = keys(word.get(..start).unwrap_or_default());
        let end = word.trim_end_matches([':', ',', ';', ')', ']', '}']).len();
        found.push(start..end.max(start));
        return found;
    }
    keys(word)
}

/// Finds where an address begins; JSON can write its slashes with backslashes.
fn address(word: &str) -> Option<usize> {
    let at = word.find("://").or_else(|| word.find(":\\/\\/"))?;
    let before = word.get(..at)?;
    let of_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+.-".contains(letter);
    Some(before.trim_end_matches(of_scheme).len())
}

/// Finds where a token begins.
fn token(word: &str) -> Option<usize> {
    let begins = |at: usize| {
        let before = word.get(..at).unwrap_or_default();
        !before.ends_with(|letter: char| letter.is_ascii_alphanumeric())
    };
    let slack = word.match_indices("xox").find(|(at, _)| {
        // One letter and a dash, and then the token: `xoxb-1`, but not `xoxb-…`.
        let mut rest = word.get(at + 3..).unwrap_or_default().chars();
        begins(*at)
            && rest.next().is_some_and(|kind| kind.is_ascii_alphanumeric())
            && matches!(rest.next(), Some('-' | '.'))
            && rest
                .next()
                .is_some_and(|letter| letter.is_ascii_alphanumeric())
    });
    let others = TOKENS.iter().filter_map(|token| {
        let mut found = word.match_indices(token);
        found.find(|(at, _)| {
            let rest = word.get(at + token.len()..).unwrap_or_default();
            let letters = rest.chars().take_while(|letter| is_of_token(*letter));
            begins(*at) && letters.count() >= OF_TOKEN
        })
    });
    slack.into_iter().chain(others).map(|(at, _)| at).min()
}

fn is_of_token(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_.".contains(letter)
}

/// Finds long runs of letters and digits that are no words.
fn keys(word: &str) -> Vec<Range<usize>> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "+/=_".contains(letter);
    // Names with dashes are everywhere, so only the alphabet of base64 is a key with them.
    let dashed = |letter: char| letter.is_ascii_alphanumeric() || "-=_".contains(letter);
    let plain = runs(word, plain).into_iter().filter(|(_, run)| is_key(run));
    let dashed = runs(word, dashed).into_iter();
    let mut found: Vec<Range<usize>> = plain
        .chain(dashed.filter(|(_, run)| is_base64(run)))
        .map(|(start, run)| start..start + run.len())
        .collect();
    found.sort_by_key(|range| range.start);
    found
}

/// Finds the longest parts that hold no other letters.
fn runs(word: &str, of_run: impl Fn(char) -> bool) -> Vec<(usize, &str)> {
    let (mut found, mut start) = (Vec::new(), 0);
    for part in word.split(|letter| !of_run(letter)) {
        found.push((start, part));
        let after = word.get(start + part.len()..).unwrap_or_default();
        start += part.len() + after.chars().next().map_or(0, char::len_utf8);
    }
    found
}

/// Tells whether a run is a key: of several words, one of them is wild.
fn is_key(run: &str) -> bool {
    let digit = |letter: char| letter.is_ascii_digit();
    run.len() >= KEY
        && run.contains(digit)
        && (!run.contains(['_', '/']) || run.split(['_', '/']).any(is_wild))
}

fn is_base64(run: &str) -> bool {
    let is = |of: fn(&char) -> bool| run.chars().any(|letter| of(&letter));
    run.len() >= KEY
        && is(char::is_ascii_lowercase)
        && is(char::is_ascii_uppercase)
        && run.split(['-', '_']).any(is_wild)
}

/// Tells whether a digit stands before a letter: words have theirs at the end.
fn is_wild(piece: &str) -> bool {
    let rest = piece.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    piece.len() >= 6 && rest.contains(|letter: char| letter.is_ascii_alphabetic())
}

/// Tells whether the name of a variable is rather the secret that it should hold.
pub(super) fn is_pasted_name(name: &str) -> bool {
    secrets(name).next().is_some() && name.split('_').any(is_wild)
}

/// Tells whether the path of a file or of a program is rather a secret.
pub(super) fn is_pasted_path(path: &str) -> bool {
    // Folders can have wild names; a key begins with no slash and no dot.
    if path.starts_with(['/', '.', '~']) {
        return words(path).any(|(_, word)| address(word).or_else(|| token(word)).is_some());
    }
    path.split('/').any(|step| secrets(step).next().is_some()) || path.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut shown = text.to_owned();
        for range in secrets(text) {
            shown.replace_range(range.clone(), &"*".repeat(range.len()));
        }
        assert_eq!(shown, expected);
    }

    #[test]
    fn secrets_are_found_wherever_they_stand() {
        check("#token:xoxb-1-2 x", "#token:******** x");
        check("a='xoxe.xoxp-1-ab'", "a='**************'");
        check("see https://h/x?y, z", "see *************, z");
        check("{xoxb-1-2: [xoxb-1-2]}", "{********: [********]}");
        check("<smtp://u:p@h>", "<************>");
        check(r#""https:\/\/h\/x""#, r#""**************""#);
        check("é eyJhbGciOiJI.e30.x", "é ******************");
        check(
            "key R0123456789abcdef0123456789ABCDE.",
            "key ********************************.",
        );
        check("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", &"*".repeat(40));
        check("aB3dE-fG5hI_jK7lM-nO9pQrStUv", &"*".repeat(28));
        check("é0123456789abcdef01234567é", "é************************é");
    }

    #[test]
    fn words_and_names_and_paths_are_not() {
        for text in [
            "data-platform-production-2",
            "nightly_etl_for_the_warehouse_2",
            "/run/secrets/production_2/slack_token",
            "a token begins with `xoxb-…`",
            "foxox-1 xoxo",
            "billing-7d4f9c8b6d-x2x5z-and-more",
            "Europe-West-Production-Warehouse-2",
        ] {
            check(text, text);
        }
    }
}

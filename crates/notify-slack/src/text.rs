//! How Slack counts and escapes text. Pure.

/// Escapes what Slack treats as markup in `text`, and nothing else.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Counts UTF-16 units: at least as many as characters.
pub(crate) fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Counts what a text takes once Slack has escaped it.
pub(crate) fn escaped(text: &str) -> usize {
    let entity = |letter: char| match letter {
        '&' => 5,
        '<' | '>' => 4,
        other => other.len_utf16(),
    };
    text.chars().map(entity).sum()
}

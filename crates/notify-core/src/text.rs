//! Checks on text that run at compile time as well, so that a literal and a line in a file obey one rule.
//!
//! `const fn` allows neither iterators nor trait calls, hence the byte loops.

use crate::problem::Malformed;
use crate::secret::looks_secret;

/// Tells whether a byte of UTF-8 text is an ASCII control character.
///
/// C1 controls are two bytes in UTF-8 (`C2 80` to `C2 9F`); [`has_control`] finds those.
const fn is_ascii_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// Tells whether the text holds a control character, C0 or C1, line breaks and tabs included.
pub(crate) const fn has_control(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if is_ascii_control(byte(bytes, at)) {
            return true;
        }
        if byte(bytes, at) == 0xc2 && at + 1 < bytes.len() && byte(bytes, at + 1) < 0xa0 {
            return true;
        }
        at += 1;
    }
    false
}

/// Tells whether the text holds a character that nobody sees: two texts that differ in one look alike.
///
/// That is what directs writing, joins nothing visible, fills without a mark or breaks lines without
/// being a control character (`Default_Ignorable` code points, line separators, the blanks that
/// count as letters). Joiners and variation selectors are kept where scripts and emoji need
/// them: after a character that is not ASCII, a joiner before one too.
pub(crate) const fn has_invisible(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut joinable = false;
    while at < bytes.len() {
        let (code, length) = decode(bytes, at);
        let next = at + length;
        let joiner = matches!(code, 0x200c | 0x200d);
        let selector = matches!(code, 0xfe00..=0xfe0f);
        if joiner || selector {
            let before_letter = next < bytes.len() && !byte(bytes, next).is_ascii();
            if !joinable || (joiner && !before_letter) {
                return true;
            }
            // A selector may stand before a joiner; nothing may follow a joiner but a character.
            joinable = selector;
        } else if is_invisible(code) {
            return true;
        } else {
            joinable = code > 0x7f;
        }
        at = next;
    }
    false
}

/// Tells whether a code point is invisible wherever it stands.
const fn is_invisible(code: u32) -> bool {
    matches!(
        code,
        0xad // soft hyphen
            | 0x34f
            | 0x61c // bidi
            | 0x115f..=0x1160 // Hangul fillers
            | 0x17b4..=0x17b5
            | 0x180b..=0x180f
            | 0x200b // zero width space
            | 0x200e..=0x200f // bidi
            | 0x2028..=0x202e // line separators, bidi
            | 0x2060..=0x206f // word joiner, bidi isolates
            | 0x2800 // blank of Braille
            | 0x3164 // Hangul filler
            | 0xfeff // byte order mark
            | 0xffa0
            | 0xfff0..=0xfffb
            | 0x1bca0..=0x1bca3
            | 0x1d173..=0x1d17a
            | 0xe0000..=0xe0fff // tags
    )
}

/// Tells whether the text holds a space of any kind: the `White_Space` code points that are no controls.
pub(crate) const fn has_space(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let (code, length) = decode(bytes, at);
        if is_space(code) {
            return true;
        }
        at += length;
    }
    false
}

/// Tells whether the text begins or ends with a space of any kind.
pub(crate) const fn has_outer_space(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut last = false;
    while at < bytes.len() {
        let (code, length) = decode(bytes, at);
        last = is_space(code);
        if last && at == 0 {
            return true;
        }
        at += length;
    }
    last
}

const fn is_space(code: u32) -> bool {
    matches!(
        code,
        0x20 | 0xa0 | 0x1680 | 0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x205f | 0x3000
    )
}

/// Tells whether the text has the form of a PagerDuty integration key: 32 letters and digits.
pub(crate) const fn is_key(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut at, mut digits) = (0, 0);
    while at < bytes.len() {
        let byte = byte(bytes, at);
        if !byte.is_ascii_alphanumeric() {
            return false;
        }
        if byte.is_ascii_digit() {
            digits += 1;
        }
        at += 1;
    }
    bytes.len() == 32 && digits > 0
}

/// Decodes the character that begins at an index of UTF-8 text; gives its code point and length.
const fn decode(bytes: &[u8], at: usize) -> (u32, usize) {
    let first = byte(bytes, at);
    let (mut code, length) = match first {
        0x00..=0x7f => (first as u32, 1),
        0x80..=0xdf => ((first & 0x1f) as u32, 2),
        0xe0..=0xef => ((first & 0x0f) as u32, 3),
        0xf0..=0xff => ((first & 0x07) as u32, 4),
    };
    let mut step = 1;
    while step < length && at + step < bytes.len() {
        code = (code << 6) | (byte(bytes, at + step) & 0x3f) as u32;
        step += 1;
    }
    (code, length)
}

/// Tells whether the text holds this ASCII byte.
pub(crate) const fn has(text: &str, wanted: u8) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if byte(bytes, at) == wanted {
            return true;
        }
        at += 1;
    }
    false
}

/// Tells whether the text holds one of these ASCII bytes.
pub(crate) const fn has_any(text: &str, wanted: &[u8]) -> bool {
    let mut at = 0;
    while at < wanted.len() {
        if has(text, byte(wanted, at)) {
            return true;
        }
        at += 1;
    }
    false
}

/// Tells whether the text holds an ASCII capital.
pub(crate) const fn has_capital(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if byte(bytes, at).is_ascii_uppercase() {
            return true;
        }
        at += 1;
    }
    false
}

/// Counts Unicode scalar values.
pub(crate) const fn chars(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        // Continuation bytes are `10xxxxxx`; every other byte starts a character.
        if byte(bytes, at) & 0b1100_0000 != 0b1000_0000 {
            count += 1;
        }
        at += 1;
    }
    count
}

/// Returns the byte at an index that the caller has checked.
#[expect(
    clippy::indexing_slicing,
    reason = "`get` is not const on slices of a generic index; every caller bounds the index"
)]
pub(crate) const fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes[at]
}

/// Says why a text is no recipient. What looks like a secret in the wrong place is not quoted.
pub(crate) fn refused(text: &str, why: &'static str) -> Malformed {
    if looks_secret(text) {
        return Malformed::new(why).sensitive();
    }
    Malformed::new(format!("`{}`: {why}", shown(text))).plainly(why)
}

/// Quotes a text in a message: control characters visible, length bounded.
///
/// What looks like a secret that was pasted into the wrong place is not quoted.
pub(crate) fn shown(text: &str) -> String {
    if looks_secret(text) {
        return "…".to_owned();
    }
    let mut shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    if text.chars().count() > 64 {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn const_checks_agree_with_the_standard_library() {
        for code in 0_u32..0x3000 {
            let Some(letter) = char::from_u32(code) else {
                continue;
            };
            let text = format!("a{letter}é");
            assert_eq!(has_control(&text), letter.is_control(), "U+{code:04X}");
            assert_eq!(chars(&text), text.chars().count());
            let space = letter.is_whitespace() && !letter.is_control();
            assert_eq!(has_space(&text), space, "U+{code:04X}");
            assert_eq!(
                has_outer_space(&format!("{letter}a")),
                space,
                "U+{code:04X}"
            );
            assert_eq!(
                has_outer_space(&format!("é{letter}")),
                space,
                "U+{code:04X}"
            );
        }
    }

    #[test]
    fn characters_that_nobody_sees_are_found_and_those_that_scripts_need_are_kept() {
        let kept = [
            "data-platform",
            "données été",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "👩\u{200d}🚒 etl",
            "❤\u{fe0f}\u{200d}🔥",
            "夜間バッチ",
            "a\u{301}",
        ];
        for text in kept {
            assert!(!has_invisible(text), "{text:?}");
        }
        let found = [
            "a\u{200b}b",
            "a\u{200d}b",
            "é\u{200d}b",
            "é\u{200d}",
            "é\u{200d}\u{200d}é",
            "a\u{fe0f}",
            "\u{feff}a",
            "a\u{ad}b",
            "\u{202e}moc",
            "\u{2066}a\u{2069}",
            "a\u{2028}b",
            "a\u{2060}b",
            "\u{3164}",
            "\u{2800}",
            "a\u{e0041}",
        ];
        for text in found {
            assert!(has_invisible(text), "{text:?}");
        }
    }
}

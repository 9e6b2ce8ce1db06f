//! Checks on text that run at compile time as well, so that a literal and a line in a file obey one rule.
//!
//! `const fn` allows neither iterators nor trait calls, hence the byte loops.

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
        }
    }
}

//! The common ground of the HTTP services: forms, and requests as text.

use std::fmt::Write as _;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;

/// What stands in a shown request where a secret was.
pub(crate) const MASK: &str = "[secret]";

/// The media type of the body in lower case, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase(),
    )
}

/// A request as text, with the secret masked wherever it occurs.
pub(crate) fn as_text(parts: &Parts, body: &str, secret: &str) -> String {
    let mut text = format!("{} {} HTTP/1.1\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    }
    text.push('\n');
    text.push_str(body);
    text.replace(secret, MASK)
}

/// The fields of an `application/x-www-form-urlencoded` text, in order.
pub(crate) fn form_fields(form: &str) -> impl Iterator<Item = (String, String)> {
    form.split('&')
        .filter(|field| !field.is_empty())
        .map(|field| {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            (percent_decoded(name), percent_decoded(value))
        })
}

fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => match after {
                [high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    decoded.push(hex_digit(*high) << 4 | hex_digit(*low));
                    rest = tail;
                }
                _ => decoded.push(b'%'),
            },
            other => decoded.push(other),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded_and_rubbish_is_kept() {
        let fields: Vec<_> = form_fields("a=1+2&&b=%C3%A4%zz%4&c&%ff=x").collect();
        let expected = [("a", "1 2"), ("b", "ä%zz%4"), ("c", ""), ("\u{fffd}", "x")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields, expected);
    }
}

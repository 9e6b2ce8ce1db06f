//! Where a link may lead.
//!
//! A value can be a whole address or stand in the path, the query or the fragment of one; it never
//! chooses the scheme or the host of an address that the author began.

/// The longest address that is made clickable.
const ADDRESS_BYTES: usize = 2048;
const WEB: &[&str] = &["https://", "http://"];

/// A piece of a link's destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// As the author wrote it.
    Literal(&'a str),
    /// As the event has it.
    Value(&'a str),
}

/// Gives the address to follow, or nothing where the destination must stay text.
pub(crate) fn address(pieces: &[Piece<'_>]) -> Option<String> {
    let url = match pieces {
        [Piece::Value(whole)] => (*whole).to_owned(),
        _ => assembled(pieces)?,
    };
    is_address(&url).then_some(url)
}

/// Tells whether a destination whose values are not known yet can become an address.
pub(crate) fn can_be_address(pieces: &[Piece<'_>]) -> bool {
    match pieces {
        [Piece::Value(_)] => true,
        _ => assembled(pieces).is_some_and(|url| is_address(&url)),
    }
}

fn assembled(pieces: &[Piece<'_>]) -> Option<String> {
    let mut url = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => url.push_str(text),
            Piece::Value(text) => {
                if !takes_values(&url) {
                    return None;
                }
                encode(text, &mut url);
            }
        }
    }
    // A value of dots would step out of the directory that the author named.
    let steps_out = |part: &str| {
        const DOTS: [&str; 6] = [".", "..", "%2e", ".%2e", "%2e.", "%2e%2e"];
        DOTS.iter().any(|dots| part.eq_ignore_ascii_case(dots))
    };
    let path = url.split(['?', '#']).next().unwrap_or("");
    (!path.split(['/', '\\']).any(steps_out)).then_some(url)
}

/// Gives what comes after a scheme, in any case of letters.
fn after<'a>(url: &'a str, schemes: &[&str]) -> Option<&'a str> {
    schemes.iter().find_map(|scheme| {
        let (begin, rest) = url.split_at_checked(scheme.len())?;
        begin.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// Tells whether what comes after this beginning is past the host.
fn takes_values(beginning: &str) -> bool {
    if let Some(mailto) = after(beginning, &["mailto:"]) {
        return mailto.contains('?');
    }
    after(beginning, WEB)
        .and_then(|rest| rest.find(['/', '?', '#']).map(|end| rest.get(..end)))
        .flatten()
        .is_some_and(is_host)
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .chars()
            .all(|letter| letter.is_alphanumeric() || ".-_:[]@%".contains(letter))
}

fn is_address(url: &str) -> bool {
    let allowed = |letter: char| {
        letter.is_ascii_graphic() && !"<>\"\\`|^{}".contains(letter)
            || !letter.is_ascii() && letter.is_alphanumeric()
    };
    if url.len() > ADDRESS_BYTES || !url.chars().all(allowed) {
        return false;
    }
    if let Some(rest) = after(url, &["mailto:"]) {
        return rest.split('?').next().is_some_and(|to| to.contains('@'));
    }
    let host = |rest: &str| is_host(rest.split(['/', '?', '#']).next().unwrap_or(""));
    after(url, WEB).is_some_and(host)
}

/// Writes everything but letters, digits and `-._~` as `%XX` (RFC 3986, unreserved characters).
fn encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes().take(ADDRESS_BYTES + 1) {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from(*HEX.get(usize::from(nibble)).unwrap_or(&b'0'));
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Piece::{Literal, Value};
    use super::*;

    #[track_caller]
    fn check(pieces: &[Piece<'_>], expected: Option<&str>) {
        assert_eq!(address(pieces).as_deref(), expected, "{pieces:?}");
    }

    #[test]
    fn a_value_is_an_address_only_as_a_whole() {
        for good in [
            "https://example.com/run?x=1#y",
            "http://localhost:8080",
            "mailto:a@b.c",
        ] {
            check(&[Value(good)], Some(good));
        }
        for bad in [
            "",
            "javascript:alert(1)",
            "data:text/html,x",
            "//example.com",
            "https://",
            "https:///path",
            "https://a b",
            "https://example.com/\u{202e}gpj",
            "https://example.com/|x",
            "https://example.com/>",
            "https://exa\\mple.com",
            " https://example.com",
            "mailto:nobody",
        ] {
            check(&[Value(bad)], None);
        }
        check(
            &[Value(&format!("https://example.com/{}", "x".repeat(3000)))],
            None,
        );
    }

    #[test]
    fn a_value_inside_is_encoded_and_never_in_scheme_or_host() {
        let run = Literal("https://example.com/run/");
        check(
            &[run.clone(), Value("a/b?c#d e")],
            Some("https://example.com/run/a%2Fb%3Fc%23d%20e"),
        );
        check(
            &[Literal("https://h?q="), Value("é")],
            Some("https://h?q=%C3%A9"),
        );
        check(
            &[Literal("mailto:a@b.c?subject="), Value("x y")],
            Some("mailto:a@b.c?subject=x%20y"),
        );
        for bad in [
            "",
            "https:",
            "https://",
            "https://example.com",
            "https://example.com:",
            "mailto:",
        ] {
            check(&[Literal(bad), Value("x"), Literal("/")], None);
        }
        check(&[Literal("https://good.com\\"), Value("x")], None);
        check(&[run.clone(), Value(".."), Literal("/admin")], None);
        check(&[run.clone(), Value("."), Value(".")], None);
        check(
            &[run, Value("..."), Literal("/x")],
            Some("https://example.com/run/.../x"),
        );
    }
}

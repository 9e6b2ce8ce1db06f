//! Runs of text as rich text elements, which Slack does not parse. Pure.
//!
//! **Invariant.** An element that calls somebody stands for a mention of the author and for nothing
//! else.

use std::fmt::Write;

use notify_core::content::{Inline, Mention, Style, is_link};
use notify_http::web_url;
use serde_json::{Map, Value, json};

/// The longest address that Slack takes.
pub(crate) const MAX_URL: usize = 3_000;

/// Puts an element into a block of its own.
pub(crate) fn block(element: &Value) -> Value {
    json!({"type": "rich_text", "elements": [element]})
}

/// Lowers a run of inlines.
pub(crate) fn section(inlines: &[Inline], around: Style) -> Value {
    let mut elements: Vec<_> = inlines
        .iter()
        .filter_map(|inline| element(inline, around))
        .collect();
    if elements.is_empty() {
        // An item without text still counts in a list, and Slack may refuse a section of nothing.
        elements.push(run(" ", around));
    }
    json!({"type": "rich_text_section", "elements": elements})
}

/// Makes a line that calls these people; none where that is nobody.
pub(crate) fn call(mentions: &[Mention]) -> Option<Value> {
    let mut elements = Vec::new();
    for mention in mentions {
        let mention = Inline::Mention(mention.clone());
        if !elements.is_empty() {
            elements.push(run(" ", Style::default()));
        }
        elements.extend(element(&mention, Style::default()));
    }
    (!elements.is_empty())
        .then(|| block(&json!({"type": "rich_text_section", "elements": elements})))
}

fn element(inline: &Inline, around: Style) -> Option<Value> {
    let element = match inline {
        Inline::Link { text, url, style } => {
            let style = within(*style, around);
            match link_url(url) {
                Some(url) if !text.is_empty() => {
                    styled(json!({"type": "link", "url": url, "text": text}), style)
                }
                Some(url) => styled(json!({"type": "link", "url": url}), style),
                None => run(&inline.plain_text(), style),
            }
        }
        Inline::Mention(Mention::Here) => json!({"type": "broadcast", "range": "here"}),
        Inline::Mention(Mention::Channel) => json!({"type": "broadcast", "range": "channel"}),
        Inline::Mention(Mention::User(id)) if is_id(id, &['U', 'W']) => {
            json!({"type": "user", "user_id": id})
        }
        Inline::Mention(Mention::Group(id)) if is_id(id, &['S']) => {
            json!({"type": "usergroup", "usergroup_id": id})
        }
        Inline::Text { style, .. } => run(&inline.plain_text(), within(*style, around)),
        // A name, which Slack cannot call, or what is newer than this provider.
        _ => run(&inline.plain_text(), around),
    };
    // Slack refuses a message for one empty text.
    (element.get("text") != Some(&json!(""))).then_some(element)
}

fn run(text: &str, style: Style) -> Value {
    styled(json!({"type": "text", "text": text}), style)
}

fn styled(mut element: Value, style: Style) -> Value {
    let names = [
        ("bold", style.strong),
        ("italic", style.emphasis),
        ("strike", style.strike),
        ("code", style.code),
    ];
    let set = names.into_iter().filter(|(_, is_set)| *is_set);
    let style: Map<_, _> = set
        .map(|(name, _)| (name.to_owned(), json!(true)))
        .collect();
    if let (Some(element), false) = (element.as_object_mut(), style.is_empty()) {
        element.insert("style".to_owned(), Value::Object(style));
    }
    element
}

/// Adds the style of a whole line to that of a run in it.
fn within(mut style: Style, around: Style) -> Style {
    style.strong |= around.strong;
    style
}

/// Tells whether a name is an id that Slack gave: a capital that tells what it is, then capitals
/// and digits.
fn is_id(name: &str, kinds: &[char]) -> bool {
    name.strip_prefix(kinds).is_some_and(|rest| {
        (8..24).contains(&rest.len())
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            && rest.contains(|letter: char| letter.is_ascii_digit())
    })
}

/// Makes an address clickable, or says that it cannot be.
fn link_url(url: &str) -> Option<String> {
    if !is_link(url) {
        return None;
    }
    let url = web_url(url).or_else(|| mail_url(url))?;
    (url.len() <= MAX_URL).then_some(url)
}

/// Encodes what RFC 6068 does not allow in an address to write to.
fn mail_url(url: &str) -> Option<String> {
    let (scheme, address) = url.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("mailto") || address.is_empty() {
        return None;
    }
    let mut encoded = "mailto:".to_owned();
    for byte in address.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$'*+,;:@/?&=%".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // Writing to a `String` cannot fail.
            write!(encoded, "%{byte:02X}").ok();
        }
    }
    Some(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lowers inlines and gives the elements.
    fn elements(inlines: &[Inline]) -> Value {
        section(inlines, Style::default())["elements"].clone()
    }

    #[test]
    fn styles_are_added_to_those_around() {
        let mut style = Style::default();
        style.emphasis = true;
        style.code = true;
        let text = Inline::Text {
            text: "*x*".to_owned(),
            style,
        };
        let styled = json!({"code": true, "italic": true});
        let expected = json!([{"type": "text", "text": "*x*", "style": styled}]);
        assert_eq!(elements(&[text.clone(), Inline::plain("")]), expected);
        let mut heading = Style::default();
        heading.strong = true;
        let styled = json!({"bold": true, "code": true, "italic": true});
        assert_eq!(section(&[text], heading)["elements"][0]["style"], styled);
    }

    #[test]
    fn a_mention_calls_only_by_id() {
        let table = [
            (Mention::Here, json!({"type": "broadcast", "range": "here"})),
            (
                Mention::Channel,
                json!({"type": "broadcast", "range": "channel"}),
            ),
            (
                Mention::User("U024BE7LH".to_owned()),
                json!({"type": "user", "user_id": "U024BE7LH"}),
            ),
            (
                Mention::Group("S024BE7LH".to_owned()),
                json!({"type": "usergroup", "usergroup_id": "S024BE7LH"}),
            ),
            (
                Mention::User("S024BE7LH".to_owned()),
                json!({"type": "text", "text": "@S024BE7LH"}),
            ),
            (
                Mention::User("jane".to_owned()),
                json!({"type": "text", "text": "@jane"}),
            ),
            (
                Mention::Group("UNDERWRITERS".to_owned()),
                json!({"type": "text", "text": "@UNDERWRITERS"}),
            ),
        ];
        for (mention, expected) in table {
            assert_eq!(elements(&[Inline::Mention(mention)]), json!([expected]));
        }
    }

    #[test]
    fn a_link_leads_to_the_web_or_to_a_mailbox_or_shows_where_it_led() {
        let long = format!("https://example.com/{}", "x".repeat(MAX_URL));
        let table = [
            ("https://example.com/a|b", Some("https://example.com/a%7Cb")),
            (
                "mailto:jane|x@example.com",
                Some("mailto:jane%7Cx@example.com"),
            ),
            ("javascript:alert(1)", None),
            ("mailto:", None),
            (&long, None),
        ];
        for (url, expected) in table {
            let link = Inline::Link {
                text: "run".to_owned(),
                url: url.to_owned(),
                style: Style::default(),
            };
            let expected = match expected {
                Some(url) => json!({"type": "link", "url": url, "text": "run"}),
                None => json!({"type": "text", "text": format!("run ({url})")}),
            };
            assert_eq!(elements(&[link]), json!([expected]));
        }
    }

    #[test]
    fn whoever_is_called_stands_in_one_line() {
        let jane = Mention::User("U024BE7LH".to_owned());
        let line = call(&[Mention::Here, jane]).unwrap();
        let expected = json!([
            {"type": "broadcast", "range": "here"},
            {"type": "text", "text": " "},
            {"type": "user", "user_id": "U024BE7LH"},
        ]);
        assert_eq!(line["elements"][0]["elements"], expected);
        assert_eq!(call(&[]), None);
    }
}

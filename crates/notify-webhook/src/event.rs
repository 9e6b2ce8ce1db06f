//! CloudEvents 1.0 over HTTP, with data that is JSON: the whole event as the body, or its attributes
//! as headers. Pure.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>,
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>

use notify_core::{Delivery, Malformed, TerminalPhase};
use notify_http::Header;
use serde_json::{Map, Value, json};

/// The media type of an event as a body.
pub(crate) const STRUCTURED: &str = "application/cloudevents+json";

/// The media type of the data, and of bodies of one's own.
pub(crate) const JSON: &str = "application/json";

/// The attributes of an event, all of them texts.
///
/// The `id` is the delivery's and not the execution's. A receiver tells a repeat by `source` and `id`:
/// the attempts of one delivery are repeats of each other, and two notifications about one end, with
/// their own messages, are not. Who wants one of the latter looks at `source` and `subject`.
pub(crate) struct Attributes {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) kind: &'static str,
    pub(crate) subject: String,
    pub(crate) time: String,
}

impl Attributes {
    pub(crate) fn of(delivery: &Delivery<'_>) -> Self {
        let execution = &delivery.event.execution;
        let (project, domain) = (execution.project(), execution.domain());
        let steps = [project, domain, delivery.event.workflow.as_str()];
        let name = execution.name();
        let subject = match execution.attempt_number() {
            1 => name.to_owned(),
            attempt => format!("{name}#{attempt}"),
        };
        Self {
            id: delivery.id.to_string(),
            source: steps.map(|step| format!("/{}", segment(step))).concat(),
            kind: kind(delivery.event.phase),
            subject: plain(&subject),
            time: delivery.at.to_string(),
        }
    }

    /// Gives the event with its data.
    pub(crate) fn with(self, data: &Value) -> Value {
        json!({
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.kind,
            "subject": self.subject,
            "time": self.time,
            "datacontenttype": JSON,
            "data": data,
        })
    }
}

/// Names what happened: in the past, and by how the workflow ended.
const fn kind(phase: TerminalPhase) -> &'static str {
    match phase {
        TerminalPhase::Succeeded => "org.workflow-notify.workflow.succeeded",
        TerminalPhase::Failed => "org.workflow-notify.workflow.failed",
        TerminalPhase::Aborted => "org.workflow-notify.workflow.aborted",
        TerminalPhase::TimedOut => "org.workflow-notify.workflow.timed_out",
    }
}

/// Writes a name as one segment of a path (RFC 3986, section 3.3).
fn segment(name: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded = encoded(name, unreserved);
    // Alone, these mean this folder and the one above it.
    match encoded.as_str() {
        "." | ".." => encoded.replace('.', "%2E"),
        _ => encoded,
    }
}

/// Writes an attribute as the value of a header: the binding, section 3.1.3.2, leaves visible ASCII
/// but `"` and `%` as it is, and encodes the UTF-8 bytes of everything else.
fn header_value(text: &str) -> String {
    encoded(text, |byte| {
        (0x21..=0x7e).contains(&byte) && byte != b'"' && byte != b'%'
    })
}

fn encoded(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if keep(byte) {
            encoded.push(char::from(byte));
        } else {
            let [high, low] = [byte >> 4, byte & 0xf].map(|digit| {
                let digit = char::from_digit(u32::from(digit), 16);
                digit.unwrap_or('0').to_ascii_uppercase()
            });
            encoded.extend(['%', high, low]);
        }
    }
    encoded
}

/// Replaces what a text of an attribute may not hold: controls, and what is no character at all.
fn plain(text: &str) -> String {
    let none = |letter: char| {
        let code = u32::from(letter);
        code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code)
    };
    text.replace(
        |letter: char| letter.is_control() || none(letter),
        "\u{fffd}",
    )
}

/// Takes an event apart for the binary mode: headers, and the data as the body.
///
/// # Errors
///
/// When it is no event; this crate makes none such.
pub(crate) fn binary(event: &[u8]) -> Result<(Vec<Header>, Vec<u8>), Malformed> {
    let no_event = || Malformed::new("the payload is no event");
    let mut event: Map<String, Value> = serde_json::from_slice(event).map_err(|_| no_event())?;
    let data = event.remove("data").ok_or_else(no_event)?;
    // It is the content type, and nothing else.
    event.remove("datacontenttype");
    let mut headers = Vec::with_capacity(event.len());
    for (name, value) in &event {
        let value = value.as_str().ok_or_else(no_event)?;
        headers.push(Header::new(&format!("ce-{name}"), &header_value(value))?);
    }
    Ok((headers, data.to_string().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_are_encoded_as_the_binding_says() {
        // The first is the example of the binding.
        let table = [
            ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
            ("100% \"sure\"", "100%25%20%22sure%22"),
            ("a\r\nb: c\t\u{7f}", "a%0D%0Ab:%20c%09%7F"),
            ("/analytics/nightly-etl#2~!'", "/analytics/nightly-etl#2~!'"),
            ("é", "%C3%A9"),
        ];
        for (text, expected) in table {
            assert_eq!(header_value(text), expected);
        }
    }

    #[test]
    fn a_name_is_one_segment_of_the_source() {
        let table = [
            ("nightly-etl", "nightly-etl"),
            ("a/b?c#d", "a%2Fb%3Fc%23d"),
            ("..", "%2E%2E"),
            ("a.b", "a.b"),
            (
                "夜間 バッチ",
                "%E5%A4%9C%E9%96%93%20%E3%83%90%E3%83%83%E3%83%81",
            ),
        ];
        for (name, expected) in table {
            assert_eq!(segment(name), expected);
        }
    }

    #[test]
    fn an_attribute_holds_characters_only() {
        let text = "a\u{0}b\u{85}\u{fffe}\u{1ffff}\u{fdd0}é";
        assert_eq!(plain(text), "a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}\u{fffd}é");
    }

    #[test]
    fn an_event_comes_apart_into_headers_and_data() {
        let event = json!({
            "specversion": "1.0", "id": "a b", "datacontenttype": JSON, "data": {"x": 1.5},
        });
        let (headers, body) = binary(event.to_string().as_bytes()).unwrap();
        let expected = [("ce-id", "a%20b"), ("ce-specversion", "1.0")];
        let expected = expected.map(|(name, value)| Header::new(name, value).unwrap());
        assert_eq!(headers, expected);
        assert_eq!(body, b"{\"x\":1.5}");
        for bad in ["", "[]", "{}", "{\"data\":1,\"id\":2}"] {
            assert!(binary(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

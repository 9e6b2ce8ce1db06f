//! What a call brings along: arguments from JSON or a form, and the content of a message.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde_json::{Map, Value, json};

use crate::request;
use crate::slack::blocks::{check_attachments, check_blocks};

const MAX_TEXT_CHARS: usize = 40_000;

/// The arguments of a call, from JSON or a form.
pub(super) type Arguments = Map<String, Value>;

/// A refused call, in the vendor's words.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    /// Message and JSON pointer of what is wrong.
    detail: Option<(String, String)>,
    /// The scopes that are needed, and those that are there.
    scopes: Option<(&'static str, &'static str)>,
}

impl Refusal {
    pub(super) fn new(code: &'static str) -> Self {
        Self {
            code,
            detail: None,
            scopes: None,
        }
    }

    pub(super) fn at(code: &'static str, message: &str, pointer: &str) -> Self {
        Self {
            detail: Some((message.to_owned(), pointer.to_owned())),
            ..Self::new(code)
        }
    }

    pub(super) fn scope(needed: &'static str, provided: &'static str) -> Self {
        Self {
            scopes: Some((needed, provided)),
            ..Self::new("missing_scope")
        }
    }

    pub(super) fn into_json(self) -> Value {
        let Self {
            code,
            detail,
            scopes,
        } = self;
        if let Some((needed, provided)) = scopes {
            return json!({"ok": false, "error": code, "needed": needed, "provided": provided});
        }
        let Some((message, pointer)) = detail else {
            return json!({"ok": false, "error": code});
        };
        let detail = format!("{message} [json-pointer:{pointer}]");
        json!({
            "ok": false,
            "error": code,
            "errors": [detail],
            "response_metadata": {"messages": [format!("[ERROR] {detail}")]},
        })
    }
}

/// The checked content of a message.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) text: String,
    pub(super) headline: String,
    /// `text`, `blocks`, `attachments` and what else the answer repeats.
    pub(super) echo: Map<String, Value>,
}

/// Reads query and body; `takes_json` where the vendor reads JSON bodies.
pub(super) fn arguments(
    parts: &Parts,
    body: &[u8],
    takes_json: bool,
) -> Result<Arguments, Refusal> {
    let mut arguments = Arguments::new();
    let mut add_form = |form: &str| {
        arguments
            .extend(request::form_fields(form).map(|(name, value)| (name, Value::String(value))));
    };
    add_form(parts.uri.query().unwrap_or_default());
    match request::media_type(&parts.headers).as_deref() {
        None if body.is_empty() => {}
        None => return Err(Refusal::new("missing_post_type")),
        Some("application/json") => {
            check_charset(&parts.headers)?;
            if takes_json && !body.is_empty() {
                match serde_json::from_slice(body) {
                    Ok(Value::Object(object)) => arguments.extend(object),
                    // The vendor documents no code of its own for malformed JSON.
                    _ => return Err(Refusal::new("invalid_form_data")),
                }
            }
        }
        Some("application/x-www-form-urlencoded") => add_form(&String::from_utf8_lossy(body)),
        // Multipart forms included: nothing that posts a message needs them.
        Some(_) => return Err(Refusal::new("invalid_post_type")),
    }
    arguments.retain(|_, value| !value.is_null());
    for name in ["blocks", "attachments", "metadata"] {
        // Forms carry these as JSON text, and the vendor takes it in JSON bodies too.
        if let Some(Value::String(text)) = arguments.get(name)
            && let Ok(value) = serde_json::from_str::<Value>(text)
        {
            arguments.insert(name.to_owned(), value);
        }
    }
    Ok(arguments)
}

fn check_charset(headers: &HeaderMap) -> Result<(), Refusal> {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let charset = value.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    });
    match charset {
        None => Ok(()),
        Some(charset)
            if ["utf-8", "utf8"]
                .iter()
                .any(|known| charset.eq_ignore_ascii_case(known)) =>
        {
            Ok(())
        }
        Some(_) => Err(Refusal::new("invalid_charset")),
    }
}

/// Checks the content of a message in the vendor's order.
pub(super) fn content(arguments: &Arguments) -> Result<Content, Refusal> {
    let text = string(arguments, "text").unwrap_or_default();
    let markdown = string(arguments, "markdown_text").unwrap_or_default();
    let blocks = arguments.get("blocks");
    let attachments = arguments.get("attachments");
    if !markdown.is_empty() && (!text.is_empty() || blocks.is_some()) {
        return Err(Refusal::new("markdown_text_conflict"));
    }
    if let Some(blocks) = blocks {
        check_blocks(blocks)?;
    }
    if let Some(attachments) = attachments {
        check_attachments(attachments)?;
    }
    if let Some(metadata) = arguments.get("metadata") {
        check_metadata(metadata)?;
    }
    let is_empty = |list: Option<&Value>| list.and_then(Value::as_array).is_none_or(Vec::is_empty);
    if text.is_empty() && markdown.is_empty() && is_empty(blocks) && is_empty(attachments) {
        return Err(Refusal::new("no_text"));
    }

    let mut echo = Map::new();
    // The vendor cuts here and says nothing.
    let text: String = text.chars().take(MAX_TEXT_CHARS).collect();
    for name in ["blocks", "metadata"] {
        if let Some(value) = arguments.get(name) {
            echo.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(Value::Array(attachments)) = attachments {
        echo.insert("attachments".to_owned(), numbered(attachments));
    }
    echo.insert("text".to_owned(), Value::String(text.clone()));
    let text = [
        text,
        markdown.to_owned(),
        plain_text(blocks),
        plain_text(attachments),
    ]
    .into_iter()
    .find(|text| !text.is_empty())
    .unwrap_or_default();
    let headline = header_text(blocks)
        .or_else(|| text.lines().find(|line| !line.trim().is_empty()))
        .unwrap_or_default()
        .to_owned();
    Ok(Content {
        text,
        headline,
        echo,
    })
}

/// Metadata is an event with its type, entities, or nothing.
fn check_metadata(metadata: &Value) -> Result<(), Refusal> {
    let Value::Object(fields) = metadata else {
        return Err(Refusal::new("invalid_metadata_format"));
    };
    let is_event = fields.get("event_type").is_some_and(Value::is_string)
        && fields.get("event_payload").is_some_and(Value::is_object);
    if is_event || fields.is_empty() || fields.get("entities").is_some_and(Value::is_array) {
        Ok(())
    } else {
        Err(Refusal::new("invalid_metadata_schema"))
    }
}

/// Attachments as the vendor gives them back: each with its number and a text to fall back to.
fn numbered(attachments: &[Value]) -> Value {
    let numbered = attachments.iter().zip(1_u64..).map(|(attachment, number)| {
        let mut attachment = attachment.clone();
        if let Some(fields) = attachment.as_object_mut() {
            fields.insert("id".to_owned(), json!(number));
            fields
                .entry("fallback")
                .or_insert_with(|| json!("[no preview available]"));
        }
        attachment
    });
    numbered.collect()
}

fn header_text(blocks: Option<&Value>) -> Option<&str> {
    let mut blocks = blocks?.as_array()?.iter();
    let header = blocks.find(|block| block.get("type").is_some_and(|kind| kind == "header"))?;
    header.get("text")?.get("text")?.as_str()
}

/// Every text inside blocks or attachments, one per line.
fn plain_text(value: Option<&Value>) -> String {
    fn collect<'a>(value: &'a Value, lines: &mut Vec<&'a str>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, lines)),
            Value::Object(fields) => {
                for (name, field) in fields {
                    match field {
                        Value::String(text)
                            if matches!(name.as_str(), "text" | "title" | "fallback") =>
                        {
                            lines.push(text);
                        }
                        field => collect(field, lines),
                    }
                }
            }
            _ => {}
        }
    }
    let mut lines = Vec::new();
    if let Some(value) = value {
        collect(value, &mut lines);
    }
    lines.join("\n")
}

pub(super) fn string<'a>(arguments: &'a Arguments, name: &str) -> Option<&'a str> {
    arguments.get(name).and_then(Value::as_str)
}

/// Puts a field into an object.
pub(super) fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// A yes or no, in JSON or in the words of a form.
pub(super) fn flag(arguments: &Arguments, name: &str) -> bool {
    match arguments.get(name) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => matches!(text.as_str(), "true" | "1"),
        Some(Value::Number(number)) => number.as_u64() == Some(1),
        _ => false,
    }
}

/// A whole number, in JSON or in the digits of a form.
pub(super) fn number(arguments: &Arguments, name: &str) -> Result<Option<usize>, Refusal> {
    let number = match arguments.get(name) {
        None => return Ok(None),
        Some(Value::String(digits)) => digits.parse().ok(),
        Some(number) => number.as_u64().and_then(|number| number.try_into().ok()),
    };
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(Refusal::at(
            "invalid_arguments",
            "must be a number",
            &format!("/{name}"),
        )),
    }
}

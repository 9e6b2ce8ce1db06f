//! `${NAME}` in texts: the value of a variable, in parsed values only.
//!
//! Nothing else is a template of anything: not keys, not numbers, not the text of a file as a
//! whole, so no value can break out of the text that it stands in. In a template of a message too a
//! value is text and never code: see [`as_text`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use notify_core::secret::SecretCommand;
use notify_core::{Code, Path, SecretRef};
use serde::Deserialize;
use serde_json::Value;

use super::{Content, Document, Node};
use crate::diagnostic::{Finding, MOST};
use crate::variables::{NoValue, Variables};

/// How many bytes all values of one file may have once they are expanded.
const MAX_BYTES: usize = 1024 * 1024;

/// How many characters of a text are quoted.
const MOST_SHOWN: usize = 64;

/// What was written where something else stands now.
#[derive(Clone, Debug)]
pub struct Expanded {
    written: String,
    variables: Vec<String>,
    failed: bool,
}

impl Expanded {
    /// Returns the text as it stands in the file.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Returns the text as it stands in the file, in a length that a line of a message can hold.
    pub(super) fn shown(&self) -> String {
        let text: String = self.written.chars().take(MOST_SHOWN).collect();
        let cut = if text.len() < self.written.len() {
            "…"
        } else {
            ""
        };
        format!("{}{cut}", text.escape_debug())
    }

    /// Returns the names of the variables, in the order of the text.
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Tells whether a variable has no value.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }
}

/// A value with the texts that variables were expanded in, and the names of the variables.
pub(crate) type AsWritten = (Value, Vec<String>);

impl Document {
    /// Puts the values of variables into the texts that name them; gives what has no value.
    pub(crate) fn expand(&mut self, variables: &Variables) -> Vec<Finding> {
        let mut expander = Expander {
            text: self.source.text(),
            variables,
            left: MAX_BYTES,
            found: Vec::new(),
        };
        let root = &mut self.root;
        // Everything in `[templates]` is a template, and elsewhere what stands under that name.
        if let Content::Map(entries) = &mut root.content {
            let named = entries.iter_mut().filter(|entry| entry.key == "templates");
            for entry in named {
                if let Content::Map(entries) = &mut entry.value.content {
                    for entry in entries {
                        expander.node(&mut entry.value, Kind::Template);
                    }
                }
            }
        }
        expander.node(root, Kind::Text);
        expander.found
    }

    /// Returns what was written at exactly this path, where variables were expanded.
    pub(crate) fn expanded(&self, path: &Path) -> Option<&Expanded> {
        let found = self.find(path);
        found.node.expanded.as_deref().filter(|_| found.whole)
    }

    /// Returns the value at exactly this path as it was written, where variables were expanded in it
    /// or below, and their names.
    pub(crate) fn as_written(&self, path: &Path) -> Option<AsWritten> {
        let found = self.find(path);
        let mut variables = Vec::new();
        let value = found.node.as_written(&mut variables);
        (found.whole && !variables.is_empty()).then_some((value, variables))
    }
}

/// The references to secrets that variables were expanded in.
impl Document {
    /// Lists these references, each with one that shows what was written: what a variable holds may
    /// be the secret itself, by mistake.
    pub(crate) fn references_as_written(&self) -> BTreeMap<SecretRef, SecretRef> {
        let mut found = BTreeMap::new();
        let mut left = vec![&self.root];
        while let Some(node) = left.pop() {
            match &node.content {
                Content::Scalar(_) => {}
                Content::List(items) => left.extend(items),
                Content::Map(entries) => {
                    left.extend(entries.iter().map(|entry| &entry.value));
                    let mut variables = Vec::new();
                    let written = node.as_written(&mut variables);
                    let reference = SecretRef::deserialize(node.to_value());
                    if let (false, Ok(reference)) = (variables.is_empty(), reference) {
                        found.insert(reference.clone(), like(&reference, &written));
                    }
                }
            }
        }
        found
    }
}

/// Gives a reference of the same kind that shows these texts.
fn like(reference: &SecretRef, written: &Value) -> SecretRef {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    match reference {
        SecretRef::File(_) => SecretRef::File(text(written.get("file")).into()),
        SecretRef::Command(_) => {
            let words = written.get("command");
            let program = text(words.and_then(|words| words.get(0)));
            SecretRef::Command(SecretCommand::new(program, [""; 0]))
        }
        _ => SecretRef::Env(text(written.get("env"))),
    }
}

impl Node {
    fn as_written(&self, variables: &mut Vec<String>) -> Value {
        if let Some(expanded) = &self.expanded {
            variables.extend(expanded.variables.iter().cloned());
            return expanded.written.as_str().into();
        }
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items
                .iter()
                .map(|item| item.as_written(variables))
                .collect(),
            Content::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.as_written(variables)))
                .collect(),
        }
    }
}

struct Expander<'a> {
    text: &'a str,
    variables: &'a Variables,
    left: usize,
    found: Vec<Finding>,
}

/// What a text is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// The template of a message.
    Template,
}

impl Expander<'_> {
    fn node(&mut self, node: &mut Node, kind: Kind) {
        match &mut node.content {
            Content::Scalar(Value::String(text))
                if node.expanded.is_none() && text.contains("${") =>
            {
                let (value, expanded) = self.scalar(text, &node.span, kind);
                *text = value;
                // An escape alone is nothing to remember.
                if expanded.failed || !expanded.variables.is_empty() {
                    node.expanded = Some(Box::new(expanded));
                }
            }
            Content::Scalar(_) => {}
            Content::List(items) => items
                .iter_mut()
                .for_each(|item| self.node(item, Kind::Text)),
            Content::Map(entries) => {
                for entry in entries {
                    let is_template = entry.key == "template";
                    let kind = if is_template {
                        Kind::Template
                    } else {
                        Kind::Text
                    };
                    self.node(&mut entry.value, kind);
                }
            }
        }
    }

    /// Keeps one more than are told of a file, so that it is known that there are more.
    fn note(&mut self, finding: Finding) {
        if self.found.len() <= MOST {
            self.found.push(finding);
        }
    }

    fn scalar(&mut self, text: &str, span: &Range<usize>, kind: Kind) -> (String, Expanded) {
        let mut expanded = Expanded {
            written: text.to_owned(),
            variables: Vec::new(),
            failed: false,
        };
        // Where the text stands as it is, its parts have places too.
        let written = self.text.get(span.clone()).unwrap_or_default();
        let verbatim = written.find(text).map(|at| span.start + at);
        let within = |offset: usize, length: usize| match verbatim {
            Some(start) => start + offset..start + offset + length,
            None => span.clone(),
        };
        let mut told = BTreeSet::new();
        let (mut value, mut rest) = (String::new(), text);
        // Up to here a template is known to be outside of its code; within it, each look begins there.
        let (mut outside, mut told_in_code) = (0, 0);
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at_checked(at).unwrap_or_default();
            if let Some(before) = before.strip_suffix('$') {
                value.push_str(before);
                value.push_str("${");
                rest = from.get(2..).unwrap_or_default();
                continue;
            }
            value.push_str(before);
            let offset = text.len() - from.len();
            let Some((whole, name)) = variable(from) else {
                let message = "`${` begins a variable, and no name of one follows";
                let finding = Finding::new(Code::VARIABLE, message, within(offset, 2));
                let help = "write `${NAME}`; or `$${` where the text itself is meant";
                self.note(finding.help(help));
                expanded.failed = true;
                value.push_str("${");
                rest = from.get(2..).unwrap_or_default();
                continue;
            };
            let in_code = kind == Kind::Template
                && told_in_code < MOST
                && is_code(text.get(outside..offset).unwrap_or_default());
            if in_code {
                told_in_code += 1;
                let message = "a variable stands in the text of a template, not in its code";
                let place = within(offset, whole.len());
                let help = "take it out of the `{{ … }}` or the `{% … %}`";
                self.note(Finding::new(Code::VARIABLE, message, place).help(help));
                expanded.failed = true;
                rest = from.get(whole.len()..).unwrap_or_default();
                continue;
            }
            outside = offset + whole.len();
            let found = self.variables.get(name).map(|found| match kind {
                Kind::Text => found,
                Kind::Template => as_text(found),
            });
            let found = match found {
                Ok(found) if found.len() <= self.left => Ok(found),
                Ok(_) => Err(None),
                Err(why) => Err(Some(why)),
            };
            match found {
                Ok(found) => {
                    self.left -= found.len();
                    value.push_str(&found);
                    expanded.variables.push(name.to_owned());
                }
                Err(why) => {
                    if told.insert(name) {
                        let place = within(offset, whole.len());
                        self.note(no_value(name, why, place));
                    }
                    expanded.failed = true;
                }
            }
            rest = from.get(whole.len()..).unwrap_or_default();
        }
        value.push_str(rest);
        (value, expanded)
    }
}

fn no_value(name: &str, why: Option<NoValue>, place: Range<usize>) -> Finding {
    let finding = |message: String| Finding::new(Code::VARIABLE, message, place.clone());
    match why {
        Some(NoValue::Unset) => finding(format!("the variable `{name}` is not set")).help(format!(
            "set it in the environment, or write `$${{{name}}}` where the text itself is meant"
        )),
        Some(NoValue::NotText) => finding(format!("the variable `{name}` is not UTF-8 text")),
        None => Finding::new(
            Code::TOO_LARGE,
            "the file becomes too large when its variables are written out",
            place.clone(),
        ),
    }
}

/// Writes a value so that a template has it as text: no letter of it is code or Markdown.
///
/// What means nothing to either stands as it is, so that it can be a part of an address too.
fn as_text(value: String) -> String {
    let mut before = ' ';
    let mut letters = value.chars().peekable();
    let mut plain = true;
    while let Some(letter) = letters.next() {
        let after = letters.peek().copied().unwrap_or(' ');
        let between = |of: fn(char) -> bool| of(before) && of(after);
        plain &= match letter {
            ' ' => between(char::is_alphanumeric),
            '.' | ':' | '/' | '-' | '_' => {
                between(|letter| letter.is_alphanumeric() || "./:-_".contains(letter))
            }
            _ => letter.is_alphanumeric(),
        };
        before = letter;
    }
    if plain {
        return value;
    }
    let mut quoted = "{{ \"".to_owned();
    for letter in value.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ => quoted.push(letter),
        }
    }
    quoted + "\" }}"
}

/// Tells whether a template is within its code where this beginning ends.
fn is_code(beginning: &str) -> bool {
    let mut rest = beginning;
    while let Some(at) = rest.find('{') {
        let inner = rest.get(at + 1..).unwrap_or_default();
        let end = match inner.chars().next() {
            Some('{') => "}}",
            Some('%') => "%}",
            Some('#') => "#}",
            // One at the end would begin code together with what follows.
            None => return true,
            Some(_) => {
                rest = inner;
                continue;
            }
        };
        match code(inner.get(1..).unwrap_or_default(), end) {
            Some(after) => rest = after,
            None => return true,
        }
    }
    false
}

/// Returns what follows the code that ends so. An end within a quoted text is none.
fn code<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    let mut quote = None;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match quote {
            Some(open) if letter == open && !escaped => quote = None,
            Some(_) => escaped = letter == '\\' && !escaped,
            None if matches!(letter, '"' | '\'') && end != "#}" => quote = Some(letter),
            None => {
                if let Some(rest) = text.get(at..).and_then(|rest| rest.strip_prefix(end)) {
                    return Some(rest);
                }
            }
        }
    }
    None
}

/// Reads `${NAME}` at the front of a text; gives it whole, and the name.
fn variable(text: &str) -> Option<(&str, &str)> {
    let name = text.strip_prefix("${")?.split_once('}')?.0;
    let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let is_name = !name.is_empty()
        && !name.starts_with(|letter: char| letter.is_ascii_digit())
        && name.chars().all(letter);
    let whole = text.get(..name.len() + 3)?;
    is_name.then_some((whole, name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::Source;

    #[track_caller]
    fn check(text: &str, expected: &Value) {
        let mut document = Document::yaml(&Source::new("a.yaml", text)).unwrap();
        let variables = Variables::of([("A", "one"), ("B", "${A}"), ("Q", "\"], x: [\"")]);
        let found = document.expand(&variables);
        assert_eq!(
            (document.to_value(), found.len()),
            (expected.clone(), 0),
            "{text}"
        );
    }

    #[test]
    fn variables_stand_in_texts_and_nowhere_else() {
        check("a: x${A}y$A", &json!({"a": "xoney$A"}));
        check("a: '${A}${A}'", &json!({"a": "oneone"}));
        check("${A}: ['${Q}']", &json!({"${A}": ["\"], x: [\""]}));
        // What a variable holds is not expanded again.
        check("a: '${B}'", &json!({"a": "${A}"}));
        check("a: '$${A} $$${A} $$'", &json!({"a": "${A} $${A} $$"}));
        check(
            "a: {b: 3, c: true, d: }",
            &json!({"a": {"b": 3, "c": true, "d": null}}),
        );
    }

    #[test]
    fn what_has_no_value_is_told_at_its_own_characters() {
        let table = [
            ("a: x${NO}y", "${NO}"),
            ("a: \"x${NO}y\"", "${NO}"),
            ("a: \"\\x41${NO}y\"", "\"\\x41${NO}y\""),
            ("a: '${}'", "${"),
            ("a: '${1A}'", "${"),
            ("a: '${{ x }}'", "${"),
            ("a: '${A'", "${"),
            ("a: 'ü${NO}'", "${NO}"),
            ("a: '${NO} ${1} ${A-b}'", "${NO};${;${"),
            ("template: '{{ ${A} }}'", "${A}"),
            ("template: '{% if \"%}${A}\" %}x'", "${A}"),
            ("template: '{# ${A} #}'", "${A}"),
            ("template: '{${A}'", "${A}"),
            ("templates: {a: '{{ ${A}'}", "${A}"),
        ];
        for (text, expected) in table {
            let source = Source::new("a.yaml", text);
            let mut document = Document::yaml(&source).unwrap();
            let found = document.expand(&Variables::of([("A", "a")]));
            let found: Vec<&str> = found.iter().map(|one| &text[one.span()]).collect();
            assert_eq!(found.join(";"), expected, "{text}");
        }
    }

    #[test]
    fn a_value_is_text_in_a_template_and_never_code() {
        let table = [
            (
                "data-platform.example.com:80/a_b",
                "data-platform.example.com:80/a_b",
            ),
            ("Größe 3", "Größe 3"),
            ("{{ workflow }}", r#"{{ "{{ workflow }}" }}"#),
            ("{% raw %}", r#"{{ "{% raw %}" }}"#),
            ("a\" }}\\", r#"{{ "a\" }}\\" }}"#),
            ("**a**\n# b\t", r#"{{ "**a**\n# b\t" }}"#),
            ("- a", r#"{{ "- a" }}"#),
            ("1. a", r#"{{ "1. a" }}"#),
            ("_a_", r#"{{ "_a_" }}"#),
            ("", ""),
        ];
        for (value, expected) in table {
            assert_eq!(as_text(value.to_owned()), expected);
            let text = "templates: {a: 'x {{ workflow }} ${E} {% if execution %}y{% endif %}'}";
            let mut document = Document::yaml(&Source::new("a.yaml", text)).unwrap();
            assert!(document.expand(&Variables::of([("E", value)])).is_empty());
            let found = document.to_value();
            let found = found["templates"]["a"].as_str().unwrap();
            assert_eq!(
                found,
                format!("x {{{{ workflow }}}} {expected} {{% if execution %}}y{{% endif %}}")
            );
            notify_template::Template::parse(found).unwrap();
        }
    }

    #[test]
    fn a_bomb_of_variables_is_refused() {
        let text = format!("a: ['{}']", "${A}".repeat(2_000));
        let mut document = Document::yaml(&Source::new("a.yaml", &text)).unwrap();
        let variables = Variables::of([("A", "x".repeat(1_000))]);
        assert!(!document.expand(&variables).is_empty());
        assert!(document.to_value().to_string().len() < 2 * MAX_BYTES);
    }
}

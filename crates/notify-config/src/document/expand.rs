//! `${NAME}` in texts: the value of a variable, in parsed values only.
//!
//! Nothing else is a template of anything: not keys, not numbers, not the text of a file as a
//! whole, so no value can break out of the text that it stands in.

use std::collections::BTreeSet;
use std::ops::Range;

use notify_core::{Code, Path};
use serde_json::Value;

use super::{Content, Document, Node};
use crate::diagnostic::Finding;
use crate::variables::{NoValue, Variables};

/// How many bytes all values of one file may have once they are expanded.
const MAX_BYTES: usize = 1024 * 1024;

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

    /// Returns the names of the variables, in the order of the text.
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Tells whether a variable has no value.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }
}

impl Document {
    /// Puts the values of variables into the texts that name them; gives what has no value.
    pub(crate) fn expand(&mut self, variables: &Variables) -> Vec<Finding> {
        let mut expander = Expander {
            text: self.source.text(),
            variables,
            left: MAX_BYTES,
            found: Vec::new(),
        };
        expander.node(&mut self.root);
        expander.found
    }

    /// Returns what was written at exactly this path, where variables were expanded.
    pub(crate) fn expanded(&self, path: &Path) -> Option<&Expanded> {
        let found = self.find(path);
        found.node.expanded.as_deref().filter(|_| found.whole)
    }
}

struct Expander<'a> {
    text: &'a str,
    variables: &'a Variables,
    left: usize,
    found: Vec<Finding>,
}

impl Expander<'_> {
    fn node(&mut self, node: &mut Node) {
        match &mut node.content {
            Content::Scalar(Value::String(text)) if text.contains("${") => {
                let (value, expanded) = self.scalar(text, &node.span);
                *text = value;
                // An escape alone is nothing to remember.
                if expanded.failed || !expanded.variables.is_empty() {
                    node.expanded = Some(Box::new(expanded));
                }
            }
            Content::Scalar(_) => {}
            Content::List(items) => items.iter_mut().for_each(|item| self.node(item)),
            Content::Map(entries) => {
                for entry in entries {
                    self.node(&mut entry.value);
                }
            }
        }
    }

    fn scalar(&mut self, text: &str, span: &Range<usize>) -> (String, Expanded) {
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
                self.found.push(finding.help(help));
                expanded.failed = true;
                break;
            };
            let found = self.variables.get(name);
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
                        self.found.push(no_value(name, why, place));
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
        ];
        for (text, expected) in table {
            let source = Source::new("a.yaml", text);
            let mut document = Document::yaml(&source).unwrap();
            let found = document.expand(&Variables::of([("A", "a")]));
            let found: Vec<&str> = found.iter().map(|one| &text[one.span()]).collect();
            assert_eq!(found, [expected], "{text}");
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

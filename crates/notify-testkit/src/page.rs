//! A provider's page: what stands on it is held against the program by a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// A page in Markdown.
///
/// ```
/// use notify_testkit::page::Page;
///
/// let page = Page::new("# Sounds\n\n| key | default |\n|---|---|\n| `horn` | `off` |\n");
/// assert_eq!(page.rows("# Sounds"), [["`horn`", "`off`"]]);
/// ```
#[derive(Clone, Debug)]
pub struct Page(String);

impl Page {
    /// Takes a page's text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Reads a page.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn read(path: impl AsRef<Path>) -> Self {
        Self(fs::read_to_string(path).unwrap())
    }

    /// Returns the whole text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Lists the fenced blocks of a language.
    pub fn blocks(&self, language: &str) -> Vec<String> {
        let fence = format!("```{language}\n");
        let blocks = self.0.split(&fence).skip(1);
        let inside = |rest: &str| rest.split("```").next().unwrap_or_default().to_owned();
        blocks.map(inside).collect()
    }

    /// Lists the rows of the first table below a line, each as its cells.
    ///
    /// # Panics
    ///
    /// When the page has no such line.
    pub fn rows(&self, below: &str) -> Vec<Vec<String>> {
        let place = self.0.split_once(&format!("{below}\n"));
        let (_, section) = place.unwrap_or_else(|| panic!("the page has no line {below:?}"));
        let lines = section.lines().skip_while(|line| !line.starts_with("|---"));
        lines
            .skip(1)
            .take_while(|line| line.starts_with('|'))
            .map(|line| {
                let cells = line.trim_matches('|').split(" | ");
                cells.map(|cell| cell.trim().to_owned()).collect()
            })
            .collect()
    }
}

/// Lists the keys of a struct in a JSON Schema, with those of the structs right below it:
/// `tls`, `tls.ca_file`.
///
/// # Panics
///
/// When `of` is no struct, or refers to what `document` does not define.
pub fn keys(document: &Value, of: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (key, value) in of["properties"].as_object().unwrap() {
        found.insert(key.clone());
        let refers = [
            &value["$ref"],
            &value["anyOf"][0]["$ref"],
            &value["allOf"][0]["$ref"],
            &value["items"]["$ref"],
        ];
        for name in refers.into_iter().filter_map(Value::as_str) {
            let below = &document["$defs"][name.strip_prefix("#/$defs/").unwrap()];
            let below = below["properties"].as_object().into_iter().flatten();
            found.extend(below.map(|(inner, _)| format!("{key}.{inner}")));
        }
    }
    found
}

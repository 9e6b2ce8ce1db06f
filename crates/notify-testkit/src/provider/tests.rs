//! The suite, its macro and the page of the contract say the same.

use std::fs;
use std::path::Path;

use super::{cases, themes};

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join("docs/specs/provider.md")).unwrap()
}

#[test]
fn the_page_has_each_sentence_with_its_case_under_its_theme() {
    let mut expected = Vec::new();
    for (theme, cases) in themes() {
        expected.push(format!("## {theme}"));
        let line = |case: &super::Case| format!("- {} `{}`", case.sentence(), case.id);
        expected.extend(cases.iter().map(line));
    }
    let page = page();
    let found: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("## ") || line.starts_with("- "))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn every_sentence_says_how_binding_it_is() {
    for case in cases() {
        let sentence = case.sentence();
        let binding = ["MUST", "MUST NOT", "SHOULD"];
        assert!(
            binding.iter().any(|word| sentence.contains(word)),
            "{sentence}"
        );
        assert!(sentence.ends_with(['.', '”']), "{sentence}");
    }
}

#[test]
fn every_case_is_in_the_macro_in_its_order() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/provider.rs");
    let source = fs::read_to_string(source).unwrap();
    let (_, rest) = source.split_once("@cases $fixture;\n").unwrap();
    let (list, _) = rest.split_once('}').unwrap();
    let listed: Vec<&str> = list.split_whitespace().collect();
    let ids: Vec<&str> = cases().map(|case| case.id).collect();
    assert_eq!(listed, ids);
    assert!(ids.len() >= 40, "{}", ids.len());
}

//! `notify schema`, and the copies of the schemas that the examples name.

use std::fs;

use serde_json::Value;
use workflow_notify::files::{Document, Source};

use crate::bench::{notify, root, text};

fn printed(of: &[&str]) -> Value {
    let output = notify().arg("schema").args(of).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn kept(name: &str) -> Value {
    let path = root().join("docs/reference").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_schemas_in_the_reference_are_those_that_are_printed() {
    for (of, name) in [
        ("definitions", "definitions.schema.json"),
        ("settings", "notify-toml.schema.json"),
    ] {
        let up_to_date = printed(&[of]) == kept(name);
        assert!(up_to_date, "docs/reference/{name}: `cargo xtask schema`");
    }
    assert_eq!(printed(&[]), printed(&["definitions"]));
}

#[test]
fn an_unknown_file_has_no_schema() {
    let output = notify().args(["schema", "accounts"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("definitions"));
}

/// The blocks of a page in this language that are whole files: they begin with a comment or a key.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let page = fs::read_to_string(root().join(page)).unwrap();
    let begin = format!("```{language}\n");
    let blocks = page.split(&begin).skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("```").next());
    let whole = |block: &&str| !block.starts_with(' ');
    blocks.filter(whole).map(str::to_owned).collect()
}

#[test]
fn examples_and_readme_fit_the_schemas() {
    let example = |name: &str| fs::read_to_string(root().join("examples").join(name)).unwrap();
    let [definitions, settings] = [
        kept("definitions.schema.json"),
        kept("notify-toml.schema.json"),
    ]
    .map(|schema| jsonschema::validator_for(&schema).unwrap());
    let mut yaml = blocks("README.md", "yaml");
    assert!(!yaml.is_empty());
    yaml.push(example("nightly-etl.yaml"));
    for text in yaml {
        let value = Document::yaml(&Source::new("a.yaml", &text))
            .unwrap()
            .to_value();
        let errors: Vec<_> = definitions
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{text}\n{errors:?}");
    }
    let mut toml = blocks("README.md", "toml");
    toml.extend(blocks("docs/reference/notify-toml.md", "toml"));
    assert!(!toml.is_empty());
    toml.push(example("notify.toml"));
    for text in toml {
        let value = Document::toml(&Source::new("notify.toml", &text))
            .unwrap()
            .to_value();
        let errors: Vec<_> = settings
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{text}\n{errors:?}");
    }
}

#[test]
fn each_example_names_its_schema() {
    for (file, line) in [
        ("nightly-etl.yaml", "# yaml-language-server: $schema="),
        ("notify.toml", "#:schema "),
    ] {
        let folder = root().join("examples");
        let example = fs::read_to_string(folder.join(file)).unwrap();
        let named = example.lines().next().unwrap().strip_prefix(line).unwrap();
        assert!(folder.join(named).exists(), "{named}");
    }
}

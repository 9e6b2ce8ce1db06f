//! JSON Schema of definitions and of `notify.toml`, from the providers that are linked in.
//!
//! Both are of the dialect 2020-12 and stand for themselves. They describe a file as it is written,
//! so wherever a text is they take `${NAME}` in it too.

use std::collections::BTreeSet;

use notify_core::Registry;
use notify_core::schema::{
    SchemaGenerator, TEMPLATE, generator, own_schema, pattern, shared, whole,
};
use serde_json::{Value, json};

use crate::settings;

/// Describes a file of definitions: one, or a list under `workflows`.
pub fn definitions(registry: &Registry) -> Value {
    let mut generator = generator();
    shared(&mut generator, TEMPLATE, || {
        json!({
            "description": "What the message says: Markdown with fields of the event, or the name of a template of `notify.toml`.",
            "anyOf": [{"type": "string"}, named()],
            "examples": ["{{ workflow }} failed", {"use": "failed"}],
        })
    });
    let one = registry.workflow_schema(&mut generator);
    let many = shared(&mut generator, "Workflows", || {
        json!({
            "description": "Several workflows in one file.",
            "type": "object",
            "properties": {
                "$schema": own_schema(),
                "workflows": {
                    "description": "The definitions of the workflows.",
                    "type": "array",
                    "items": one,
                    "minItems": 1,
                },
            },
            "required": ["workflows"],
            "additionalProperties": false,
        })
    });
    let root = json!({
        "$id": "urn:workflow-notify:schema:definitions",
        "title": "Workflow notifications",
        "description": "Who is told when a workflow ends: one definition, or several under `workflows`.",
        "type": "object",
        "if": {"required": ["workflows"]},
        "then": many,
        "else": one,
        "examples": [{
            "workflow": "nightly-etl",
            "notifications": [example(registry)],
        }],
    });
    document(generator, root)
}

/// Describes `notify.toml`.
pub fn settings(registry: &Registry) -> Value {
    let mut generator = generator();
    shared(&mut generator, TEMPLATE, || {
        json!({
            "description": "What the message says: Markdown with fields of the event, or the name of a template of `[templates]`.",
            "anyOf": [{"type": "string"}, named()],
            "examples": ["{{ workflow }} failed", {"use": "failed"}],
        })
    });
    let root = json!({
        "$id": "urn:workflow-notify:schema:settings",
        "title": "notify.toml",
        "description": "Accounts, outbox, rules, templates and how the engine works.",
        "type": "object",
        "properties": {
            "accounts": registry.accounts_schema(&mut generator),
            "engine": settings::engine::schema(&mut generator),
            "outbox": settings::outbox::schema(),
            "rules": {
                "description": "Notifications of the whole installation, asked in this order.",
                "type": "array",
                "items": registry.rule_schema(&mut generator),
                "maxItems": settings::rules::MOST,
            },
            "templates": templates(),
        },
        "additionalProperties": false,
    });
    let mut schema = document(generator, root);
    without_null(&mut schema);
    schema
}

/// Collects the keys that `notify.toml` can have, the kinds of accounts among them.
pub(crate) fn keys(registry: &Registry) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&settings(registry), &mut found);
    found
}

fn collect(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            let properties = map.get("properties").and_then(Value::as_object);
            found.extend(properties.into_iter().flatten().map(|(key, _)| key.clone()));
            map.values().for_each(|part| collect(part, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// A template that is named where it is used.
fn named() -> Value {
    json!({
        "type": "object",
        "properties": {
            "use": {"description": "The name of a template.", "type": "string"},
        },
        "required": ["use"],
        "additionalProperties": false,
    })
}

fn templates() -> Value {
    json!({
        "description": "Templates by name, for `template = { use = \"NAME\" }`.",
        "type": "object",
        "propertyNames": {"pattern": pattern::identifier()},
        "additionalProperties": {
            "description": "The text, or the file that holds it.",
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {
                        "file": {
                            "description": "The file, relative to the folder of this one.",
                            "type": "string",
                            "pattern": pattern::argument(),
                        },
                    },
                    "required": ["file"],
                    "additionalProperties": false,
                },
            ],
        },
    })
}

/// Makes a notification of the first kind whose recipients have an example.
fn example(registry: &Registry) -> Value {
    let mut found = json!({"phases": ["failed", "timed_out"]});
    let of_kind = registry.iter().find_map(|descriptor| {
        let recipient = descriptor.example_of_recipient()?;
        Some((descriptor.kind, recipient))
    });
    if let (Value::Object(map), Some((kind, recipient))) = (&mut found, of_kind) {
        map.insert(kind.to_owned(), json!([recipient]));
    }
    found
}

/// Brings a root and the schemas that it refers to together.
fn document(generator: SchemaGenerator, root: Value) -> Value {
    let mut schema = whole(generator, root);
    tidy(&mut schema);
    with_variables(&mut schema);
    schema
}

/// Takes out what tells readers of Rust something, and nobody else.
fn tidy(schema: &mut Value) {
    if let Value::Object(map) = schema {
        // Widths of numbers: the bounds say what is meant.
        if map.get("type").is_some_and(is_number) {
            map.remove("format");
        }
        if map.get("default") == Some(&Value::Null) {
            map.remove("default");
        }
        if let Some(Value::String(description)) = map.get_mut("description") {
            *description = plain(description);
        }
    }
    each_part(schema, &mut tidy);
}

fn is_number(kind: &Value) -> bool {
    let number = |kind: &Value| kind == "integer" || kind == "number";
    number(kind)
        || kind
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(number))
}

/// Takes the links of Rust's documentation out of a text, and its examples.
fn plain(text: &str) -> String {
    let text = text.split("\n```").next().unwrap_or_default().trim_end();
    let mut words = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[`") {
        let Some((name, after)) = after.split_once("`]") else {
            break;
        };
        words.push_str(before);
        words.push('`');
        words.push_str(name);
        words.push('`');
        rest = match after
            .strip_prefix('(')
            .and_then(|link| link.split_once(')'))
        {
            Some((_, after)) => after,
            None => after,
        };
    }
    words + rest
}

/// Makes texts of a certain form take texts with variables, whose form nobody knows yet.
fn with_variables(schema: &mut Value) {
    each_part(schema, &mut with_variables);
    let Value::Object(map) = schema else {
        return;
    };
    if let Some(Value::String(pattern)) = map.get_mut("pattern") {
        *pattern = format!(r"(?:{pattern})|{VARIABLE}");
    }
    if texts(map.get("enum")) {
        let choice = map.remove("enum");
        map.insert("anyOf".to_owned(), json!([{"enum": choice}, variable()]));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(forms)) = map.get_mut(key)
            && forms
                .iter()
                .any(|form| form.get("const").is_some_and(Value::is_string))
        {
            forms.push(variable());
        }
    }
}

const VARIABLE: &str = r"\$\{[A-Za-z_]";

fn variable() -> Value {
    json!({"description": "The value of a variable.", "type": "string", "pattern": VARIABLE})
}

fn texts(list: Option<&Value>) -> bool {
    let list = list.and_then(Value::as_array);
    list.is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string))
}

/// Takes out the value that TOML does not have.
fn without_null(schema: &mut Value) {
    each_part(schema, &mut without_null);
    let Value::Object(map) = schema else {
        return;
    };
    let null = json!({"type": "null"});
    for key in ["anyOf", "oneOf"] {
        let Some(Value::Array(forms)) = map.get_mut(key) else {
            continue;
        };
        let before = forms.len();
        forms.retain(|form| *form != null);
        if before > 1
            && let [Value::Object(only)] = forms.as_slice()
        {
            let only = only.clone();
            map.remove(key);
            for (key, value) in only {
                map.entry(key).or_insert(value);
            }
        }
    }
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
}

/// Visits the schemas that a schema is made of, but for those of keys and those that are denied.
fn each_part(schema: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
    let Value::Object(map) = schema else {
        return;
    };
    for (key, part) in map {
        match (key.as_str(), part) {
            ("$defs" | "properties" | "patternProperties", Value::Object(parts)) => {
                parts.values_mut().for_each(&mut *visit);
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(parts)) => {
                parts.iter_mut().for_each(&mut *visit);
            }
            ("additionalProperties" | "else" | "if" | "items" | "then", part) => visit(part),
            _ => {}
        }
    }
}

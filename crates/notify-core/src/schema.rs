//! JSON Schema of what files hold, for editors and for validators of other languages.
//!
//! Each type has its schema beside its reader, so that a kind of anybody's is described as exactly
//! as those of this crate. A schema refuses nothing that the reader takes. What it cannot see it
//! takes: names that stand elsewhere, fields of templates, values of variables.
//!
//! | what is read by | is described by |
//! |---|---|
//! | [`Registry::load_workflow`] | [`Registry::workflow_schema`] |
//! | [`Registry::load_notification`] | [`Registry::notification_schema`] |
//! | [`Registry::load_rule`] | [`Registry::rule_schema`] |
//! | [`Accounts::load`](crate::Accounts::load) | [`Registry::accounts_schema`] |

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
pub use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::condition::Condition;
use crate::name::{AccountName, WorkflowName};
use crate::notification::IfUnknown;
use crate::phase::{Phases, TerminalPhase};
use crate::registry::{ProviderDescriptor, Registry};
use crate::rule::Match;

pub mod pattern;

/// The name of the schema of `template` among the definitions of a document.
///
/// Here it is a text. Whoever reads templates in another form too puts that in its place.
pub const TEMPLATE: &str = "Template";

/// Makes a generator for the dialect of 2020-12, with shared schemas under `$defs`.
pub fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

impl Registry {
    /// Describes a workflow's definition.
    pub fn workflow_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<WorkflowName>();
        let notification = self.notification_schema(generator);
        shared(generator, "Workflow", || {
            json!({
                "description": "A workflow and who is told when it ends.",
                "type": "object",
                "properties": {
                    "$schema": own_schema(),
                    "workflow": name,
                    "notifications": {
                        "description": "Who is told, when and how.",
                        "type": "array",
                        "items": notification,
                    },
                },
                "required": ["workflow", "notifications"],
                "additionalProperties": false,
            })
        })
    }

    /// Describes a notification of any kind that is linked in.
    pub fn notification_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let description =
            "Who is told of which ends of the workflow: phases, and exactly one kind.";
        let schema = self.one_kind(generator, description, Map::new());
        shared(generator, "Notification", || schema)
    }

    /// Describes a rule: a notification with a `match`.
    pub fn rule_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let matches = json!(generator.subschema_for::<Match>());
        let more = Map::from_iter([("match".to_owned(), matches)]);
        let description =
            "Who is told of every event that matches, whatever its workflow declares.";
        let schema = self.one_kind(generator, description, more);
        shared(generator, "Rule", || schema)
    }

    /// Describes the table `accounts`: kind, then name, then what the provider wants.
    pub fn accounts_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let of_kinds: Map<String, Value> = self
            .iter()
            .map(|descriptor| {
                let accounts = json!({
                    "description": format!("Accounts by name: {}.", descriptor.summary),
                    "type": "object",
                    "propertyNames": {"pattern": pattern::identifier()},
                    "additionalProperties": account(descriptor, generator),
                });
                (descriptor.kind.to_owned(), accounts)
            })
            .collect();
        shared(generator, "Accounts", || {
            json!({
                "description": "Accounts by kind and name: `[accounts.KIND.NAME]`.",
                "type": "object",
                "properties": of_kinds,
                "additionalProperties": false,
            })
        })
    }

    fn one_kind(
        &self,
        generator: &mut SchemaGenerator,
        description: &str,
        mut properties: Map<String, Value>,
    ) -> Value {
        let phases = described(
            generator.subschema_for::<Phases>(),
            "The ends that it is sent for: one, or a list.",
        );
        properties.insert("phases".to_owned(), phases);
        let when = described(
            generator.subschema_for::<Condition>(),
            "What must hold beside the phase.",
        );
        properties.insert("when".to_owned(), when);
        let if_unknown = described(
            generator.subschema_for::<IfUnknown>(),
            "What is done with a delivery when nobody knows whether it arrived.",
        );
        properties.insert("if_unknown".to_owned(), if_unknown);
        for descriptor in self.iter() {
            let body = json!(body(self, descriptor, generator));
            properties.insert(descriptor.kind.to_owned(), body);
        }
        let one: Vec<Value> = self
            .kinds()
            .map(|kind| json!({"required": [kind]}))
            .collect();
        json!({
            "description": description,
            "type": "object",
            "properties": properties,
            "required": ["phases"],
            "oneOf": one,
            "additionalProperties": false,
        })
    }
}

/// Describes what stands under a kind's key: one recipient, a list of them, or the long form.
fn body(
    registry: &Registry,
    descriptor: &ProviderDescriptor,
    generator: &mut SchemaGenerator,
) -> Schema {
    let recipient = recipient(registry, descriptor, generator);
    let recipients = json!({
        "description": "Who is told.",
        "type": "array",
        "items": recipient,
        "minItems": 1,
    });
    let account = described(
        generator.subschema_for::<AccountName>(),
        "The account that it is sent through; the kind's default one where nothing is said.",
    );
    let template = shared(generator, TEMPLATE, || {
        json!({
            "description": "What the message says: Markdown with fields of the event.",
            "type": "string",
        })
    });
    let mut long = object(descriptor.options_schema(generator));
    let needs_options = long.get("required").is_some();
    let mut properties = table(&mut long, "properties");
    let to = json!({
        "description": "Who is told: one, or a list. Without it those whom the account names.",
        "anyOf": [recipient, recipients],
    });
    properties.insert("to".to_owned(), to);
    properties.insert("account".to_owned(), account);
    properties.insert("template".to_owned(), json!(template));
    long.insert("properties".to_owned(), Value::Object(properties));
    let mut forms = vec![Value::Object(long)];
    // Options that must be said have no place in a short form.
    if !needs_options {
        forms.extend([recipients, json!(recipient)]);
    }
    let name = format!("notification-{}", descriptor.kind);
    shared(
        generator,
        &name,
        || json!({"description": sentence(descriptor.summary), "anyOf": forms}),
    )
}

/// Describes who can be named under a kind: its recipients, and those that it gives to another.
fn recipient(
    registry: &Registry,
    descriptor: &ProviderDescriptor,
    generator: &mut SchemaGenerator,
) -> Value {
    let own = descriptor.recipient_schema(generator);
    let other = descriptor.redirect.and_then(|to| registry.get(to.kind));
    match other {
        Some(other) => json!({"anyOf": [own, other.recipient_schema(generator)]}),
        None => json!(own),
    }
}

/// Describes the section of one account.
fn account(descriptor: &ProviderDescriptor, generator: &mut SchemaGenerator) -> Schema {
    let mut section = object(descriptor.account_schema(generator));
    let mut properties = table(&mut section, "properties");
    properties.insert(
        "default".to_owned(),
        json!({
            "description": "Whether notifications that name no account use this one.",
            "type": "boolean",
            "default": false,
        }),
    );
    properties.insert(
        "enabled".to_owned(),
        json!({
            "description": "Whether anything is sent through it.",
            "type": "boolean",
            "default": true,
        }),
    );
    section.insert("properties".to_owned(), Value::Object(properties));
    let description = format!("An account: {}.", descriptor.summary);
    section.insert("description".to_owned(), json!(description));
    shared(generator, &format!("account-{}", descriptor.kind), || {
        Value::Object(section)
    })
}

/// Describes the key by which a file names its own schema.
pub fn own_schema() -> Value {
    json!({
        "description": "The schema of this file, for editors.",
        "type": "string",
    })
}

/// Puts a schema under `$defs`, where it is not there yet, and refers to it.
pub fn shared(
    generator: &mut SchemaGenerator,
    name: &str,
    schema: impl FnOnce() -> Value,
) -> Schema {
    if !generator.definitions().contains_key(name) {
        let schema = schema();
        generator.definitions_mut().insert(name.to_owned(), schema);
    }
    Schema::new_ref(format!("#/$defs/{name}"))
}

/// Makes a document of a schema and of those that it refers to.
pub fn whole(mut generator: SchemaGenerator, root: impl Into<Value>) -> Value {
    let mut document = Map::new();
    document.insert("$schema".to_owned(), json!(DIALECT));
    if let Value::Object(root) = root.into() {
        document.extend(root);
    }
    let shared = Value::Object(generator.take_definitions(true));
    document.insert("$defs".to_owned(), shared);
    Value::Object(document)
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Says what a schema is for in its place.
fn described(mut schema: Schema, description: &str) -> Value {
    schema.insert("description".to_owned(), json!(description));
    schema.to_value()
}

fn sentence(summary: &str) -> String {
    let mut letters = summary.chars();
    let first = letters.next().map(char::to_uppercase);
    let capital: String = first.into_iter().flatten().collect();
    format!("{capital}{}.", letters.as_str())
}

/// Takes a schema of a struct as the map of its keywords.
fn object(schema: Schema) -> Map<String, Value> {
    let mut map = match schema.to_value() {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    // The place gives name and description; a loose schema would hide a misspelt key.
    map.remove("title");
    map.remove("description");
    map.insert("type".to_owned(), json!("object"));
    map.entry("additionalProperties").or_insert(json!(false));
    map
}

/// Takes out the map under a keyword, an empty one where there is none.
fn table(map: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    match map.remove(key) {
        Some(Value::Object(table)) => table,
        _ => Map::new(),
    }
}

impl JsonSchema for TerminalPhase {
    fn schema_name() -> Cow<'static, str> {
        "TerminalPhase".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let meanings = Self::ALL.map(|phase| {
            let meaning = match phase {
                Self::Succeeded => "The workflow did what it was meant to do.",
                Self::Failed => "The workflow ended with an error.",
                Self::Aborted => "Somebody stopped the workflow.",
                Self::TimedOut => "The workflow ran past its time limit.",
            };
            json!({"const": phase.name(), "description": meaning})
        });
        let [succeeded, failed, aborted, timed_out] = meanings;
        schema(json!({
            "description": "How an execution ended.",
            "anyOf": [
                succeeded,
                failed,
                aborted,
                timed_out,
                {
                    "description": "The name or the number that another system gives to an end.",
                    "type": "string",
                    "pattern": pattern::phase(),
                },
                {"type": "integer", "minimum": 4, "maximum": 8, "not": {"const": 5}},
            ],
        }))
    }
}

impl JsonSchema for Phases {
    fn schema_name() -> Cow<'static, str> {
        "Phases".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let phase = generator.subschema_for::<TerminalPhase>();
        schema(json!({
            "description": "One terminal phase, or a list of them.",
            "anyOf": [phase, {"type": "array", "items": phase, "minItems": 1}],
            "examples": [["failed", "timed_out"]],
        }))
    }
}

/// Takes a value that was written as a schema.
pub(crate) fn schema(value: Value) -> Schema {
    Schema::try_from(value).unwrap_or_default()
}

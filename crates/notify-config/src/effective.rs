//! What is in force, value by value, and where each came from.
//!
//! Secrets are not known here: what stands in their place is the reference to them.

use std::fmt;

use notify_core::{AccountName, Accounts, Kind, Notification, Path};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::diagnostic::Location;
use crate::document::Document;
use crate::load::Loaded;
use crate::settings::EngineSettings;

/// One value that is in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct InForce {
    /// Its name: `accounts.slack.prod.timeout`.
    pub key: String,
    /// The value; of a secret the reference.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Origin {
    /// The place in a file; `None` where nothing was written and the default holds.
    pub place: Option<Location>,
    /// The variables that its text was expanded from.
    pub variables: Vec<String>,
}

/// `notify.toml:4:11`, `notify.toml:4:11 (from ${HOST})`, `default`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}")?,
            None => f.write_str("default")?,
        }
        if self.variables.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self
            .variables
            .iter()
            .map(|name| format!("${{{name}}}"))
            .collect();
        write!(f, " (from {})", names.join(", "))
    }
}

/// `accounts.slack.prod.timeout = "30s"  # notify.toml:4:11`.
impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  # {}", self.key, self.value, self.origin)
    }
}

impl Loaded {
    /// Lists everything that is in force: outbox, engine, accounts, templates, rules, workflows.
    ///
    /// `engine` has the values that hold where the file says nothing; this crate does not know
    /// them. The same is true of what a provider takes for a key that is left out.
    pub fn effective(&self, engine: &EngineSettings) -> Vec<InForce> {
        let settings = self.settings.document();
        let mut list = List::default();
        let url = Path::root().then("outbox").then("url");
        let outbox = self.settings.outbox().to_string();
        list.add(settings.origin(&url), &url, json!(outbox));
        let written = settings.to_value();
        let written = written.get("engine");
        for (key, value) in engine.values() {
            let path = Path::root().then("engine").then(key.as_str());
            let value = written.and_then(|table| table.get(&key)).unwrap_or(&value);
            list.add(settings.origin(&path), &path, value.clone());
        }
        self.accounts(&mut list);
        for (name, source, _) in self.settings.templates().iter() {
            let path = Path::root().then("templates").then(name);
            list.add(settings.origin(&path), &path, json!(source));
        }
        for (index, rule) in self.settings.rules().iter().enumerate() {
            let place = Path::root().then("rules").then(index);
            let path = place.then("match");
            list.add(settings.origin(&path), &path, json!(rule.matches()));
            for notification in rule.notifications() {
                let origin = |path: &Path| settings.origin(&place.join(path));
                self.notification(&mut list, &place, notification, &origin);
            }
        }
        for workflow in self.config.workflows() {
            let name = Path::root()
                .then("workflows")
                .then(workflow.name().as_str());
            for (index, notification) in workflow.notifications().iter().enumerate() {
                let place = Path::root().then("notifications").then(index);
                let origin = |path: &Path| {
                    let found = self.definitions.place(workflow, &place.join(path));
                    found.map_or_else(Origin::default, |(place, variables)| Origin {
                        place: Some(place),
                        variables,
                    })
                };
                self.notification(&mut list, &name.join(&place), notification, &origin);
            }
        }
        list.0
    }

    fn accounts(&self, list: &mut List) {
        let document = self.settings.document();
        let value = document.to_value();
        let kinds = value.get("accounts").and_then(Value::as_object);
        for (kind, sections) in kinds.into_iter().flatten() {
            for (name, section) in sections.as_object().into_iter().flatten() {
                let place = Path::root()
                    .then("accounts")
                    .then(kind.as_str())
                    .then(name.as_str());
                for (key, fallback) in [
                    ("default", is_default(self.settings.accounts(), kind, name)),
                    ("enabled", true),
                ] {
                    let path = place.then(key);
                    let value = section.get(key).cloned().unwrap_or(json!(fallback));
                    list.add(document.origin(&path), &path, value);
                }
                for (key, value) in section.as_object().into_iter().flatten() {
                    if !matches!(key.as_str(), "default" | "enabled") {
                        list.leaves(document, &place.then(key.as_str()), value);
                    }
                }
            }
        }
    }

    fn notification(
        &self,
        list: &mut List,
        place: &Path,
        notification: &Notification,
        origin: &dyn Fn(&Path) -> Origin,
    ) {
        let root = Path::root();
        let kind = notification.kind().as_str();
        let mut value = match notification.to_value() {
            Value::Object(value) => value,
            _ => Map::new(),
        };
        let mut body = match value.remove(kind) {
            Some(Value::Object(body)) => body,
            _ => Map::new(),
        };
        let if_unknown = json!(notification.if_unknown());
        value.entry("if_unknown").or_insert(if_unknown);
        for (key, value) in value {
            let path = root.then(key.as_str());
            list.add(origin(&path), &place.join(&path), value);
        }
        let accounts = self.settings.accounts();
        if let Ok(id) = accounts.resolve(notification.kind(), notification.account()) {
            body.insert("account".to_owned(), json!(id.name));
        }
        for (key, value) in body {
            let path = root.then(kind).then(key.as_str());
            let mut found = origin(&path);
            if found.place.is_none() && key == "to" {
                // In the short form the recipients stand under the kind itself.
                found = origin(&root.then(kind));
            }
            list.add(found, &place.join(&path), value);
        }
    }
}

fn is_default(accounts: &Accounts, kind: &str, name: &str) -> bool {
    let of_kind = Kind::new(kind).ok();
    let default = of_kind.and_then(|kind| accounts.resolve(&kind, None).ok());
    default.is_some_and(|id| AccountName::new(name).is_ok_and(|name| name == id.name))
}

impl Document {
    fn origin(&self, path: &Path) -> Origin {
        let variables = self.expanded(path);
        Origin {
            place: self.location(path),
            variables: variables.map_or_else(Vec::new, |found| found.variables().to_vec()),
        }
    }
}

#[derive(Default)]
struct List(Vec<InForce>);

impl List {
    fn add(&mut self, origin: Origin, path: &Path, value: Value) {
        if !value.is_null() {
            self.0.push(InForce {
                key: path.to_string(),
                value,
                origin,
            });
        }
    }

    /// Adds each value of a table by itself; a reference to a secret is one value.
    fn leaves(&mut self, document: &Document, path: &Path, value: &Value) {
        match value {
            Value::Object(table) if !is_reference(table) => {
                for (key, value) in table {
                    self.leaves(document, &path.then(key.as_str()), value);
                }
            }
            _ => self.add(document.origin(path), path, value.clone()),
        }
    }
}

fn is_reference(table: &Map<String, Value>) -> bool {
    let is = |key: &str| matches!(key, "env" | "file" | "command" | "timeout");
    !table.is_empty() && table.keys().all(|key| is(key))
}

//! What is in force, value by value, and where each came from.
//!
//! Secrets are not known here: what stands in their place is the reference to them. What a variable
//! holds may be one, so a text is shown as it was written; and so may what a command is given.

use std::fmt;

use notify_core::notification::DECLARED_UNDER;
use notify_core::{AccountId, Kind, Notification, Path};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::diagnostic::Location;
use crate::document::{AsWritten, Document};
use crate::load::Loaded;
use crate::mask::concealed;
use crate::settings::EngineSettings;

/// One value that is in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct InForce {
    /// Its name: `accounts.slack.prod.timeout`.
    pub key: String,
    /// The value as it was written; of a secret the reference, of a command its program only.
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
    /// The account that names these recipients, where the notification names nobody.
    pub account: Option<AccountId>,
    /// The kind that these recipients are written under, where that one gave them to another.
    pub declared_under: Option<Kind>,
}

/// `notify.toml:4:11`, `notify.toml:4:11 (from ${HOST})`, `notify.toml:4:1 (default of slack.prod)`,
/// `nightly.yaml:5:16 (declared under pagerduty)`, `default`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}")?,
            None => f.write_str("default")?,
        }
        if let Some(account) = &self.account {
            write!(f, " (default of {account})")?;
        }
        if let Some(kind) = &self.declared_under {
            write!(f, " (declared under {kind})")?;
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
        list.add(settings.here(&url), &url, json!(outbox));
        let written = settings.to_value();
        let written = written.get("engine");
        for (key, value) in engine.values() {
            let path = Path::root().then("engine").then(key.as_str());
            let value = written.and_then(|table| table.get(&key)).unwrap_or(&value);
            list.add(settings.here(&path), &path, value.clone());
        }
        self.accounts(&mut list);
        for (name, source, _) in self.settings.templates().iter() {
            let path = Path::root().then("templates").then(name);
            list.add(settings.here(&path), &path, json!(source));
        }
        for (index, rule) in self.config.rules().iter().enumerate() {
            let place = Path::root().then("rules").then(index);
            let path = place.then("match");
            list.add(settings.here(&path), &path, json!(rule.matches()));
            let here = |path: &Path| settings.here(&place.join(path));
            for (part, notification) in rule.notifications().iter().enumerate() {
                self.notification(&mut list, &place, notification, part > 0, &here);
            }
        }
        for workflow in self.config.workflows() {
            let here = |path: &Path| match self.definitions.place(workflow, path) {
                Some((place, written)) => Here::new(Some(place), written),
                None => Here::default(),
            };
            let of_variables = here(&Path::root().then("workflow")).written;
            let name = of_variables.as_ref().and_then(Value::as_str);
            let name = Path::root()
                .then("workflows")
                .then(name.unwrap_or(workflow.name().as_str()));
            let mut before = None;
            for (index, notification) in workflow.declared() {
                let place = Path::root().then("notifications").then(index);
                let here = |path: &Path| here(&place.join(path));
                let is_more = before.replace(index) == Some(index);
                self.notification(&mut list, &name.join(&place), notification, is_more, &here);
            }
        }
        list.0
    }

    fn accounts(&self, list: &mut List) {
        let document = self.settings.document();
        let value = document.to_value();
        let kinds = value.get("accounts").and_then(Value::as_object);
        for (kind, sections) in kinds.into_iter().flatten() {
            let of_kind = Kind::new(kind.as_str()).ok();
            let accounts = self.settings.accounts();
            let default = of_kind.and_then(|kind| accounts.resolve(&kind, None).ok());
            for (name, section) in sections.as_object().into_iter().flatten() {
                let place = Path::root()
                    .then("accounts")
                    .then(kind.as_str())
                    .then(name.as_str());
                // The only account of a kind is the default one, whatever it says.
                let is_default = default.as_ref().is_some_and(|id| id.name.as_str() == name);
                let path = place.then("default");
                let here = match section.get("default") {
                    Some(written) if *written != json!(is_default) => Here::default(),
                    _ => document.here(&path),
                };
                list.add(here, &path, json!(is_default));
                let path = place.then("enabled");
                let enabled = section.get("enabled").cloned().unwrap_or(json!(true));
                list.add(document.here(&path), &path, enabled);
                for (key, value) in section.as_object().into_iter().flatten() {
                    if !matches!(key.as_str(), "default" | "enabled") {
                        list.leaves(document, &place.then(key.as_str()), value);
                    }
                }
            }
        }
    }

    /// Lists what a notification says; of one that `is_more` of the same declaration, what differs.
    fn notification(
        &self,
        list: &mut List,
        place: &Path,
        notification: &Notification,
        is_more: bool,
        here: &dyn Fn(&Path) -> Here,
    ) {
        let root = Path::root();
        let kind = notification.kind().as_str();
        let under = notification.declared_under().map_or(kind, Kind::as_str);
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
        value.remove(DECLARED_UNDER);
        for (key, value) in value.into_iter().filter(|_| !is_more) {
            let path = root.then(key.as_str());
            list.add(here(&path), &place.join(&path), value);
        }
        let accounts = self.settings.accounts();
        if let Ok(id) = accounts.resolve(notification.kind(), notification.account()) {
            body.insert("account".to_owned(), json!(id.name));
        }
        for (key, value) in body {
            let path = place.then(kind).then(key.as_str());
            if key == "to" {
                let (found, recipients) = self.recipients(notification, here);
                list.add(found, &path, recipients);
                continue;
            }
            let mut found = match notification.declared_under() {
                // The account of the other kind is not this one's.
                Some(_) if key == "account" => Here::default(),
                _ => here(&root.then(under).then(key.as_str())),
            };
            if found.written.is_none() && key == "template" {
                found.written = self.template_as_written(&value);
            }
            list.add(found, &path, value);
        }
    }

    /// Gives the recipients as they were written, and where that was.
    fn recipients(
        &self,
        notification: &Notification,
        here: &dyn Fn(&Path) -> Here,
    ) -> (Here, Value) {
        if notification.is_to_default() {
            return self.default_recipients(notification);
        }
        let kind = notification.kind();
        let under = Path::root().then(notification.declared_under().unwrap_or(kind).as_str());
        let to = under.then("to");
        let first = |paths: &[Path]| {
            let mut all = paths.iter().map(here);
            all.find(|here| here.origin.place.is_some())
                .unwrap_or_default()
        };
        // In the short form the recipients stand under the kind itself.
        let mut list = first(&[to.clone(), under.clone()]);
        list.written = None;
        list.origin.variables.clear();
        let mut recipients = Vec::new();
        for (index, recipient) in notification.declared() {
            let places = [to.then(index), to.clone(), under.then(index), under.clone()];
            let one = first(&places);
            recipients.push(one.written.unwrap_or_else(|| json!(recipient.as_str())));
            for variable in one.origin.variables {
                if !list.origin.variables.contains(&variable) {
                    list.origin.variables.push(variable);
                }
            }
            if notification.declared_under().is_some() && recipients.len() == 1 {
                list.origin.place = one.origin.place;
            }
        }
        list.origin.declared_under = notification.declared_under().cloned();
        (list, json!(recipients))
    }

    /// Gives the recipients that the account names, and where it does.
    fn default_recipients(&self, notification: &Notification) -> (Here, Value) {
        let (accounts, document) = (self.settings.accounts(), self.settings.document());
        let account = accounts.resolve(notification.kind(), notification.account());
        let Ok(account) = account else {
            return (Here::default(), Value::Null);
        };
        let section = Path::root().then("accounts").then(account.kind.as_str());
        let section = section.then(account.name.as_str());
        let value = document.to_value();
        let value = value.pointer(&format!("/accounts/{}/{}", account.kind, account.name));
        let named: Vec<(Option<Path>, &str)> = notification
            .recipients()
            .iter()
            .map(|recipient| {
                let path = value.and_then(|value| leaf(value, &section, recipient.as_str()));
                (path, recipient.as_str())
            })
            .collect();
        let of_variables = document.as_written(&section).is_some();
        let shown = |(path, recipient): &(Option<Path>, &str)| match path {
            Some(path) => document
                .as_written(path)
                .map_or_else(|| json!(recipient), |(written, _)| written),
            // A variable may hold it, and which one is not known.
            None if of_variables => json!("…"),
            None => json!(recipient),
        };
        let recipients: Value = named.iter().map(shown).collect();
        let first = named.into_iter().next().and_then(|(path, _)| path);
        let mut here = document.here(first.as_ref().unwrap_or(&section));
        here.written = None;
        here.origin.account = Some(account);
        (here, recipients)
    }

    /// Returns a named template as it was written, where variables were expanded in it.
    fn template_as_written(&self, source: &Value) -> Option<Value> {
        let mut templates = self.settings.templates().iter();
        let (name, ..) = templates.find(|(_, of_name, _)| source.as_str() == Some(of_name))?;
        let path = Path::root().then("templates").then(name);
        let (written, _) = self.settings.document().as_written(&path)?;
        Some(written)
    }
}

/// Finds a text in a table or a list.
fn leaf(value: &Value, path: &Path, text: &str) -> Option<Path> {
    match value {
        Value::String(found) => (found.trim() == text).then(|| path.clone()),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| leaf(item, &path.then(index), text))
        }
        Value::Object(table) => {
            let mut table = table.iter();
            table.find_map(|(key, value)| leaf(value, &path.then(key.as_str()), text))
        }
        _ => None,
    }
}

/// Where a value stands, and how it was written.
#[derive(Default)]
struct Here {
    origin: Origin,
    /// The value as it was written, where variables were expanded in it.
    written: Option<Value>,
}

impl Here {
    fn new(place: Option<Location>, written: Option<AsWritten>) -> Self {
        let (written, variables) = written.unzip();
        Self {
            origin: Origin {
                place,
                variables: variables.unwrap_or_default(),
                ..Origin::default()
            },
            written,
        }
    }
}

impl Document {
    fn here(&self, path: &Path) -> Here {
        Here::new(self.location(path), self.as_written(path))
    }
}

#[derive(Default)]
struct List(Vec<InForce>);

impl List {
    fn add(&mut self, here: Here, path: &Path, value: Value) {
        let value = match here.written {
            // One that stands for a list is a list in force.
            Some(written) if value.is_array() && !written.is_array() => json!([written]),
            Some(written) => written,
            None => value,
        };
        if !value.is_null() {
            self.0.push(InForce {
                key: path.to_string(),
                value: fit(value),
                origin: here.origin,
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
            _ => self.add(document.here(path), path, value.clone()),
        }
    }
}

/// Takes out of a value what can be secret: what looks like it, and what a command is given.
fn fit(value: Value) -> Value {
    match value {
        Value::String(text) => concealed(&text, "").into(),
        Value::Array(items) => items.into_iter().map(fit).collect(),
        Value::Object(table) => {
            let is_reference = is_reference(&table);
            let fit = |(key, value)| match value {
                Value::Array(words) if is_reference && key == "command" => (key, program(words)),
                value => (key, fit(value)),
            };
            Value::Object(table.into_iter().map(fit).collect())
        }
        other => other,
    }
}

fn program(words: Vec<Value>) -> Value {
    let more = (words.len() > 1).then(|| json!("…"));
    let program = words.into_iter().take(1).map(fit);
    program.chain(more).collect()
}

fn is_reference(table: &Map<String, Value>) -> bool {
    let is = |key: &str| matches!(key, "env" | "file" | "command" | "timeout");
    !table.is_empty() && table.keys().all(|key| is(key))
}

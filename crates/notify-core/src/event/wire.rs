//! The event's stored and transmitted form, apart from the domain type.
//!
//! | written by | read by | what happens |
//! |---|---|---|
//! | an older version | this one | what it did not say is empty |
//! | this version | this one | the same value; a key that nothing reads is refused |
//! | a newer version | this one | what this version does not know is kept, and given back with the newer number |
//!
//! What it does not know is kept up to [`MAX_OUTPUTS`](super::MAX_OUTPUTS) bytes.
//!
//! A newer version may add keys. One that changes what a key of this version means must give it another name.

use std::collections::BTreeMap;

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::event::{Failure, TaskEnded, bounds};
use crate::execution::Execution;
use crate::load;
use crate::name::WorkflowName;
use crate::notification::Notification;
use crate::phase::TerminalPhase;
use crate::problem::{Code, Path, Problem, Problems};
use crate::registry::Registry;
use crate::time::Timestamp;

/// The version that this crate writes.
pub const VERSION: u32 = 1;

/// The event as JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowEnded {
    known: Known,
    newer: Newer,
}

/// What this version knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    version: u32,
    workflow: WorkflowName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workflow_version: Option<String>,
    execution: Execution,
    phase: TerminalPhase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    outputs: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tasks: Vec<TaskEnded>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notifications: Option<Vec<Value>>,
}

impl Known {
    /// Cuts what is beyond a bound, but for the message, which was cut before it was copied.
    fn bound(&mut self) {
        let texts = [&mut self.workflow_version, &mut self.principal];
        let code = self.failure.as_mut().map(|failure| &mut failure.code);
        for text in texts.into_iter().chain(code) {
            *text = text.as_deref().map(bounds::text);
        }
        self.url = self.url.as_deref().and_then(bounds::url);
        self.labels = bounds::labels(&self.labels);
        self.outputs = bounds::outputs(&self.outputs);
        self.tasks = bounds::tasks(&self.tasks);
    }
}

/// The keys of [`Known`] and of the maps in it; what else a newer event has is [`Newer`].
const KEYS: [&str; 14] = [
    "version",
    "workflow",
    "workflow_version",
    "execution",
    "phase",
    "started_at",
    "ended_at",
    "failure",
    "principal",
    "url",
    "labels",
    "outputs",
    "tasks",
    "notifications",
];
const EXECUTION_KEYS: [&str; 4] = ["project", "domain", "name", "attempt"];
const FAILURE_KEYS: [&str; 3] = ["code", "message", "kind"];
const TASK_KEYS: [&str; 2] = ["name", "phase"];

/// What a newer version said beyond this one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Newer {
    version: Option<u32>,
    event: Map<String, Value>,
    execution: Map<String, Value>,
    failure: Map<String, Value>,
    tasks: Vec<Map<String, Value>>,
}

impl Newer {
    /// Takes out of a newer event what this version does not know.
    fn take(version: u32, event: &mut Map<String, Value>) -> Self {
        let mut newer = Self {
            version: Some(version),
            event: unknown(event, &KEYS),
            ..Self::default()
        };
        if let Some(Value::Object(execution)) = event.get_mut("execution") {
            newer.execution = unknown(execution, &EXECUTION_KEYS);
        }
        if let Some(Value::Object(failure)) = event.get_mut("failure") {
            newer.failure = unknown(failure, &FAILURE_KEYS);
        }
        if let Some(Value::Array(tasks)) = event.get_mut("tasks") {
            let mut of_task = |task: &mut Value| match task {
                Value::Object(task) => unknown(task, &TASK_KEYS),
                _ => Map::new(),
            };
            newer.tasks = tasks.iter_mut().map(&mut of_task).collect();
        }
        let parts = [&newer.event, &newer.execution, &newer.failure];
        let size: usize = parts
            .into_iter()
            .chain(&newer.tasks)
            .map(bounds::size)
            .sum();
        if size > bounds::MAX_OUTPUTS {
            // What nobody here can read is not worth more room than what somebody can.
            return Self {
                version: newer.version,
                ..Self::default()
            };
        }
        newer
    }

    /// Puts it back beside what this version wrote.
    fn put(&self, event: &mut Map<String, Value>) {
        event.extend(self.event.clone());
        if let Some(Value::Object(execution)) = event.get_mut("execution") {
            execution.extend(self.execution.clone());
        }
        if let Some(Value::Object(failure)) = event.get_mut("failure") {
            failure.extend(self.failure.clone());
        }
        if let Some(Value::Array(tasks)) = event.get_mut("tasks") {
            for (task, unknown) in tasks.iter_mut().zip(&self.tasks) {
                if let Value::Object(task) = task {
                    task.extend(unknown.clone());
                }
            }
        }
    }
}

/// Takes out what stands under no known key.
fn unknown(map: &mut Map<String, Value>, known: &[&str]) -> Map<String, Value> {
    let (known, unknown) = std::mem::take(map)
        .into_iter()
        .partition(|(key, _)| known.contains(&key.as_str()));
    *map = known;
    unknown
}

impl From<&super::WorkflowEnded> for WorkflowEnded {
    fn from(event: &super::WorkflowEnded) -> Self {
        let of_notifications =
            |all: &Vec<Notification>| all.iter().map(Notification::to_value).collect();
        // The message may be as long as it likes: it is cut before it is copied.
        let failure = event.failure.as_ref().map(|failure| Failure {
            code: failure.code.as_deref().map(bounds::text),
            message: bounds::tail(&failure.message, 0),
            kind: failure.kind,
        });
        Self {
            known: Known {
                version: event.newer.version.unwrap_or(VERSION),
                workflow: event.workflow.clone(),
                workflow_version: event.version.as_deref().map(bounds::text),
                execution: event.execution.clone(),
                phase: event.phase,
                started_at: event.started_at,
                ended_at: event.ended_at,
                failure,
                principal: event.principal.as_deref().map(bounds::text),
                url: event.url.as_deref().and_then(bounds::url),
                labels: bounds::labels(&event.labels),
                outputs: bounds::outputs(&event.outputs),
                tasks: bounds::tasks(&event.tasks),
                notifications: event.notifications.as_ref().map(of_notifications),
            },
            newer: event.newer.clone(),
        }
    }
}

impl WorkflowEnded {
    /// Reads the event from a plain value.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, but for the run's own notifications: those are read by
    /// [`load`](Self::load), which knows the kinds.
    pub fn read(value: Value) -> Result<Self, Problems> {
        let Value::Object(mut event) = value else {
            let message = format!("an event is a map, not {}", load::name_of(&value));
            return Err(Problem::new(Code::WRONG_VALUE, Path::root(), message).into());
        };
        // Cut first: what follows copies.
        let message = event
            .get_mut("failure")
            .and_then(|failure| failure.get_mut("message"));
        if let Some(Value::String(message)) = message {
            *message = bounds::message(std::mem::take(message));
        }
        let version = event.get("version").and_then(Value::as_u64);
        if version == Some(0) {
            let message = "the versions of an event begin with 1";
            let place = Path::root().then("version");
            return Err(Problem::new(Code::WRONG_VALUE, place, message).into());
        }
        let newer = match version.and_then(|version| u32::try_from(version).ok()) {
            Some(version) if version > VERSION => Newer::take(version, &mut event),
            _ => Newer::default(),
        };
        let mut known: Known = load::typed(&Value::Object(event))?;
        known.bound();
        Ok(Self { known, newer })
    }

    /// Gives the domain value; the registry reads the run's own notifications.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the notifications, with paths from the event's root.
    pub fn load(self, registry: &Registry) -> Result<super::WorkflowEnded, Problems> {
        let Known {
            version: _,
            workflow,
            workflow_version,
            execution,
            phase,
            started_at,
            ended_at,
            failure,
            principal,
            url,
            labels,
            outputs,
            tasks,
            notifications,
        } = self.known;
        let mut problems = Problems::none();
        let place = Path::root().then("notifications");
        let mut load = |(index, value): (usize, &Value)| {
            let loaded = registry.load_declared(value);
            problems.absorb(&place.then(index), loaded)
        };
        let notifications = notifications.map(|values| {
            let loaded = values.iter().enumerate().filter_map(&mut load);
            loaded.flatten().collect()
        });
        problems.or_value(super::WorkflowEnded {
            workflow,
            version: workflow_version,
            execution,
            phase,
            started_at,
            ended_at,
            failure,
            principal,
            url,
            labels,
            outputs,
            tasks,
            notifications,
            newer: self.newer,
        })
    }
}

impl Serialize for WorkflowEnded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.newer.version.is_none() {
            return self.known.serialize(serializer);
        }
        let mut value = serde_json::to_value(&self.known).map_err(S::Error::custom)?;
        if let Value::Object(event) = &mut value {
            self.newer.put(event);
        }
        value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for WorkflowEnded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn minimal() -> Value {
        json!({
            "version": 1,
            "workflow": "etl",
            "execution": {"project": "p", "domain": "d", "name": "n"},
            "phase": "failed",
        })
    }

    fn with(changes: Value) -> Value {
        let mut value = minimal();
        if let (Value::Object(event), Value::Object(changes)) = (&mut value, changes) {
            event.extend(changes);
        }
        value
    }

    #[test]
    fn every_key_of_this_version_is_in_the_lists() {
        let full = Known {
            workflow_version: Some("v".to_owned()),
            started_at: Some(Timestamp::from_micros(0)),
            ended_at: Some(Timestamp::from_micros(0)),
            failure: Some(Failure::new("m").code("c").kind(crate::FailureKind::System)),
            principal: Some("p".to_owned()),
            url: Some("u".to_owned()),
            labels: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            outputs: BTreeMap::from([("k".to_owned(), json!(1))]),
            tasks: vec![TaskEnded::new("t", TerminalPhase::Failed)],
            notifications: Some(Vec::new()),
            ..WorkflowEnded::read(minimal()).unwrap().known
        };
        let value = serde_json::to_value(&full).unwrap();
        let keys =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        let sorted = |keys: &[&str]| {
            let mut keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            keys.sort();
            keys
        };
        let seen = |value: &Value| {
            let mut keys = keys(value);
            keys.sort();
            keys
        };
        assert_eq!(seen(&value), sorted(&KEYS));
        assert_eq!(seen(&value["execution"]), sorted(&EXECUTION_KEYS));
        assert_eq!(seen(&value["failure"]), sorted(&FAILURE_KEYS));
        assert_eq!(seen(&value["tasks"][0]), sorted(&TASK_KEYS));
    }

    #[test]
    fn all_problems_of_an_event_are_reported_with_their_places() {
        let value = json!({
            "version": 1,
            "workflow": " etl",
            "execution": {"project": "p", "domain": "", "name": "n"},
            "phase": "running",
            "urll": "https://example.com",
        });
        let problems = WorkflowEnded::read(value).unwrap_err();
        let mut places: Vec<String> = problems.iter().map(|one| one.path.to_string()).collect();
        places.sort();
        assert_eq!(
            places,
            ["execution.domain", "phase", "urll", "workflow"],
            "{problems}"
        );
        assert!(problems.to_string().contains("`timed_out`"), "{problems}");
    }

    #[test]
    fn versions_begin_with_one_and_are_never_too_new() {
        for (version, good) in [(0, false), (1, true), (2, true), (4_294_967_295_u64, true)] {
            let read = WorkflowEnded::read(with(json!({"version": version})));
            assert_eq!(read.is_ok(), good, "{version}");
        }
        for version in [json!(-1), json!("1"), json!(null), json!(4_294_967_296_u64)] {
            assert!(WorkflowEnded::read(with(json!({"version": version}))).is_err());
        }
    }

    #[test]
    fn an_end_before_its_start_is_kept_as_it_is() {
        let value = with(json!({
            "started_at": "2026-11-20T02:00:00Z",
            "ended_at": "2026-11-20T01:00:00Z",
        }));
        let event = WorkflowEnded::read(value.clone()).unwrap();
        assert_eq!(
            serde_json::to_value(&event).unwrap(),
            value_with_attempt(value)
        );
    }

    fn value_with_attempt(mut value: Value) -> Value {
        value["execution"]["attempt"] = json!(1);
        value
    }
}

//! The section `[engine]`: how much at once, how often again, for how long.

use std::ops::RangeInclusive;
use std::time::Duration;

use notify_core::problem::nearest;
use notify_core::schema::{Schema, SchemaGenerator};
use notify_core::time::{Span, words};
use notify_core::{Code, Path, Problem, Problems};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::unknown_key;

/// How the engine works, where the file says so; `None` leaves it to the engine.
///
/// It is plain data: this crate does not know the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(description = "How the engine works.")]
pub struct EngineSettings {
    /// How many deliveries of each account are on the wire at once: 1 to 1000.
    pub in_flight: Option<usize>,
    /// How many of them are of one lane: 1 to 1000, and no more than `in_flight`.
    pub in_flight_per_lane: Option<usize>,
    /// More deliveries than this for one recipient go as one summary: 1 to 10000; 0 sends each by
    /// itself.
    pub collapse_after: Option<usize>,
    /// The wait after the first attempt that failed: 100 ms to 1 h.
    #[schemars(with = "Option<Span>")]
    pub first_wait: Option<Duration>,
    /// The longest wait between attempts: 1 s to 24 h, and no less than `first_wait`.
    #[schemars(with = "Option<Span>")]
    pub longest_wait: Option<Duration>,
    /// The age at which a delivery is given up: 1 min to 30 days.
    #[schemars(with = "Option<Span>")]
    pub max_age: Option<Duration>,
    /// The wait after a throttled attempt where the vendor names none: 1 s to 1 h.
    #[schemars(with = "Option<Span>")]
    pub throttled_wait: Option<Duration>,
    /// The longest that a vendor's `Retry-After` is obeyed: 1 s to 24 h.
    #[schemars(with = "Option<Span>")]
    pub longest_retry_after: Option<Duration>,
}

/// A key, the values it takes, and where its value goes.
enum Key {
    Count(
        RangeInclusive<usize>,
        fn(&mut EngineSettings) -> &mut Option<usize>,
    ),
    Time(
        RangeInclusive<Duration>,
        fn(&mut EngineSettings) -> &mut Option<Duration>,
    ),
}

const KEYS: [(&str, Key); 8] = [
    ("in_flight", Key::Count(1..=1_000, |it| &mut it.in_flight)),
    (
        "in_flight_per_lane",
        Key::Count(1..=1_000, |it| &mut it.in_flight_per_lane),
    ),
    (
        "collapse_after",
        Key::Count(0..=10_000, |it| &mut it.collapse_after),
    ),
    (
        "first_wait",
        Key::Time(Duration::from_millis(100)..=HOUR, |it| &mut it.first_wait),
    ),
    (
        "longest_wait",
        Key::Time(SECOND..=DAY, |it| &mut it.longest_wait),
    ),
    (
        "max_age",
        Key::Time(
            Duration::from_mins(1)..=Duration::from_hours(30 * 24),
            |it| &mut it.max_age,
        ),
    ),
    (
        "throttled_wait",
        Key::Time(SECOND..=HOUR, |it| &mut it.throttled_wait),
    ),
    (
        "longest_retry_after",
        Key::Time(SECOND..=DAY, |it| &mut it.longest_retry_after),
    ),
];

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

impl EngineSettings {
    /// Gives every key with its value as it stands in files; `null` where there is none.
    pub fn values(&self) -> Map<String, Value> {
        let mut settings = self.clone();
        let value = |(name, key): (&str, Key)| {
            let value = match key {
                Key::Count(_, at) => json!(*at(&mut settings)),
                Key::Time(_, at) => json!(at(&mut settings).map(Span)),
            };
            (name.to_owned(), value)
        };
        KEYS.into_iter().map(value).collect()
    }
}

impl Serialize for EngineSettings {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values().serialize(serializer)
    }
}

/// Describes the section; the bounds of numbers are those of the table.
pub(crate) fn schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = EngineSettings::json_schema(generator);
    schema.remove("title");
    schema.insert("additionalProperties".to_owned(), json!(false));
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, value) in properties.into_iter().flatten() {
        let key = KEYS.into_iter().find(|(key, _)| key == name);
        if let (Some((_, Key::Count(range, _))), Value::Object(value)) = (key, value) {
            value.insert("minimum".to_owned(), json!(range.start()));
            value.insert("maximum".to_owned(), json!(range.end()));
            value.remove("format");
        }
    }
    schema
}

pub(super) fn load(table: &Value) -> Result<EngineSettings, Problems> {
    let root = Path::root();
    let Value::Object(table) = table else {
        return Err(Problem::new(Code::WRONG_VALUE, root, "`engine` is a table")
            .help("write `[engine]` and, in the next line, `in_flight = 64`")
            .into());
    };
    let (mut problems, mut settings) = (Problems::none(), EngineSettings::default());
    for (name, value) in table {
        let place = root.then(name.as_str());
        let Some((_, key)) = KEYS.into_iter().find(|(key, _)| key == name) else {
            problems.push(unknown_key(place, name, instead(name)));
            continue;
        };
        let read = match key {
            Key::Count(range, at) => {
                count(value, &range).map(|value| *at(&mut settings) = Some(value))
            }
            Key::Time(range, at) => {
                time(value, &range).map(|value| *at(&mut settings) = Some(value))
            }
        };
        if let Err((what, help)) = read {
            let problem = Problem::new(Code::WRONG_VALUE, place, format!("`{name}` is {what}"));
            problems.push(match help {
                Some(help) => problem.help(help),
                None => problem,
            });
        }
    }
    if problems.is_empty() {
        problems.extend(contradictions(&settings));
    }
    problems.or_value(settings)
}

fn instead(name: &str) -> String {
    let names = KEYS.map(|(name, _)| name);
    match nearest(name, names) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("the keys of `[engine]` are `{}`", names.join("`, `")),
    }
}

/// What a key takes, and how it is written.
type Wanted = (String, Option<&'static str>);

fn count(value: &Value, range: &RangeInclusive<usize>) -> Result<usize, Wanted> {
    let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
    count.filter(|count| range.contains(count)).ok_or_else(|| {
        let what = format!("a number from {} to {}", range.start(), range.end());
        (what, value.is_string().then_some("write it without quotes"))
    })
}

fn time(value: &Value, range: &RangeInclusive<Duration>) -> Result<Duration, Wanted> {
    let span = value.as_str().and_then(|text| text.parse::<Span>().ok());
    let time = span.map(|Span(time)| time);
    time.filter(|time| range.contains(time)).ok_or_else(|| {
        let (least, most) = (words(*range.start()), in_hours(*range.end()));
        let what = format!("a duration from {least} to {most}");
        let help = "write it in quotes and in hours at most: `\"1h 30m\"`, `\"48h\"`";
        (what, Some(help))
    })
}

/// Writes a bound as the file can hold it, which knows no days.
fn in_hours(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 3_600 && seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        _ => words(time),
    }
}

/// Finds values that are sound by themselves and not together.
fn contradictions(settings: &EngineSettings) -> Vec<Problem> {
    let root = Path::root();
    let mut found = Vec::new();
    if let (Some(all), Some(lane)) = (settings.in_flight, settings.in_flight_per_lane)
        && lane > all
    {
        let message = "one lane cannot have more than there are in all";
        let place = root.then("in_flight_per_lane");
        let help = format!("write at most {all}, or raise `in_flight`");
        found.push(Problem::new(Code::WRONG_VALUE, place, message).help(help));
    }
    if let (Some(first), Some(longest)) = (settings.first_wait, settings.longest_wait)
        && longest < first
    {
        let message = "the longest wait is shorter than the first";
        let place = root.then("longest_wait");
        let help = format!("write at least `{}`, or lower `first_wait`", words(first));
        found.push(Problem::new(Code::WRONG_VALUE, place, message).help(help));
    }
    found
}

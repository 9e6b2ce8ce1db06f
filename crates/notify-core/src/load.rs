//! From plain values to typed ones, with every problem and its place.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::{Code, Malformed, Path, Place, Problem, Problems, Segment, nearest};
use crate::text::shown;

/// Loads a typed value and reports everything that is wrong with it.
///
/// Serde stops at its first error, so each value at fault is taken out and the rest read again,
/// until nothing more is found.
pub(crate) fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, Problems> {
    let mut problems = Problems::none();
    let mut rest = value.clone();
    let mut removed = Removed::default();
    loop {
        let First { mut problem, known } = match attempt(&rest) {
            Ok(loaded) => return problems.or_value(loaded),
            Err(found) => *found,
        };
        let found_at = problem.path.clone();
        for mut other in unknown_beside(&problem, known.as_deref(), &rest) {
            take_out(&mut rest, &other.path);
            other.path = removed.original(&other.path);
            removed.add(&other.path);
            problems.push(other);
        }
        problem.path = removed.original(&found_at);
        let by_our_hand = match problem.code {
            Code::MISSING_KEY => {
                at(value, &problem.path).is_some_and(|map| map.get(missing_key(&problem)).is_some())
            }
            // A list of fixed length that lost an item, a tagged value that lost what it tags.
            Code::WRONG_VALUE => removed.robbed.contains(&problem.path),
            _ => false,
        };
        // Without its tag, a tagged value is nothing: it goes as a whole.
        let tag = problem.code == Code::WRONG_VALUE && problem.place == Place::Key;
        let at_fault = if tag { found_at.parent() } else { found_at };
        let mended = take_out(&mut rest, &at_fault);
        removed.add(&removed.original(&at_fault));
        if !by_our_hand {
            problems.push(problem);
        }
        if !mended || problems.iter().len() >= MOST {
            return Err(problems);
        }
    }
}

/// How many problems of one value are looked for: each costs another reading of the whole. It is
/// more than anybody is told of a file.
const MOST: usize = 128;

/// Adds the keys that are missing beside those that are told, and says of each what it is for.
///
/// Serde names one of them and stops; the schema names all that must be there.
pub(crate) fn complete(found: Problems, value: &Value, schema: impl Fn() -> Value) -> Problems {
    let schema = schema();
    let properties = schema.get("properties");
    let meaning = |key: &str| -> Option<String> {
        let text = properties?.get(key)?.get("description")?.as_str()?;
        let first = text.lines().next()?.trim_end_matches('.');
        Some(format!("`{key}` is {}", lowercase(first)))
    };
    let is_missing =
        |problem: &Problem| problem.code == Code::MISSING_KEY && problem.path.segments().is_empty();
    let mut all = Problems::none();
    let mut told = BTreeSet::new();
    for problem in found {
        let key = missing_key(&problem).to_owned();
        if !is_missing(&problem) || problem.help.is_some() {
            all.push(problem);
            continue;
        }
        all.push(match meaning(&key) {
            Some(help) => problem.help(help),
            None => problem,
        });
        told.insert(key);
    }
    let required = schema.get("required").and_then(Value::as_array);
    for key in required.into_iter().flatten().filter_map(Value::as_str) {
        if value.get(key).is_none() && !told.contains(key) {
            let message = format!("`{key}` is missing");
            let problem = Problem::new(Code::MISSING_KEY, Path::root(), message);
            all.push(match meaning(key) {
                Some(help) => problem.help(help),
                None => problem,
            });
        }
    }
    all
}

fn lowercase(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(char::to_lowercase);
    first.into_iter().flatten().chain(letters).collect()
}

/// What was taken out, by paths in the original.
#[derive(Default)]
struct Removed {
    /// The lists and maps that something was taken out of.
    robbed: BTreeSet<Path>,
    /// The list items, each as its list's path and its index.
    items: BTreeSet<(Path, usize)>,
}

impl Removed {
    fn add(&mut self, path: &Path) {
        self.robbed.insert(path.parent());
        if let Some(Segment::Index(index)) = path.segments().last() {
            self.items.insert((path.parent(), *index));
        }
    }

    /// Counts the items in again that are no longer before the path's own.
    fn original(&self, path: &Path) -> Path {
        let step = |walked: Path, segment: &Segment| match segment {
            Segment::Key(key) => walked.then(key.as_str()),
            Segment::Index(index) => {
                let of_list = self.items.iter().filter(|(list, _)| *list == walked);
                let index = of_list.fold(*index, |index, (_, gone)| {
                    index + usize::from(*gone <= index)
                });
                walked.then(index)
            }
        };
        path.segments().iter().fold(Path::root(), step)
    }
}

/// The first problem that serde finds.
struct First {
    problem: Problem,
    /// Where it is an unknown key, the keys that are known.
    known: Option<Vec<String>>,
}

fn attempt<T: DeserializeOwned>(value: &Value) -> Result<T, Box<First>> {
    serde_path_to_error::deserialize(value).map_err(|err| {
        let path = path_of(err.path());
        let text = err.into_inner().to_string();
        let known = text
            .starts_with("unknown field")
            .then(|| written_and_known(&text).1);
        let problem = problem(path, &text, value);
        Box::new(First { problem, known })
    })
}

fn path_of(path: &serde_path_to_error::Path) -> Path {
    use serde_path_to_error::Segment as Seen;
    path.iter()
        .fold(Path::root(), |path, segment| match segment {
            Seen::Seq { index } => path.then(*index),
            Seen::Map { key } => path.then(key.as_str()),
            // A tagged value stands under its tag: `when: {streak: 3}`.
            Seen::Enum { variant } => path.then(variant.as_str()),
            Seen::Unknown => path,
        })
}

/// Lists the other keys of a map that nothing reads, so that the map is not read once for each.
fn unknown_beside(problem: &Problem, known: Option<&[String]>, root: &Value) -> Vec<Problem> {
    let Some(known) = known else {
        return Vec::new();
    };
    let place = problem.path.parent();
    let keys = at(root, &place).and_then(Value::as_object);
    let others = keys
        .into_iter()
        .flatten()
        .map(|(key, _)| place.then(key.as_str()));
    let unknown = |path: Path| {
        let Some(Segment::Key(key)) = path.segments().last().cloned() else {
            return None;
        };
        let is_known = path == problem.path || known.contains(&key);
        (!is_known).then(|| unknown_key(path, &key, known.iter().map(String::as_str)))
    };
    others.filter_map(unknown).collect()
}

/// Reads what serde says of an unknown field: what was written, and the fields that are known.
///
/// What was written can hold anything, backticks too; what is known are names.
fn written_and_known(text: &str) -> (String, Vec<String>) {
    let (before, after) = text
        .rsplit_once("`, expected ")
        .or_else(|| text.rsplit_once("`, there are no "))
        .unwrap_or((text, ""));
    let written = before.split_once('`').map_or("", |(_, written)| written);
    let known = after.split('`').skip(1).step_by(2).map(str::to_owned);
    (written.to_owned(), known.collect())
}

/// Words a serde error as a problem of ours.
fn problem(path: Path, text: &str, root: &Value) -> Problem {
    if text.starts_with("unknown field") || text.starts_with("unknown variant") {
        let (written, known) = written_and_known(text);
        let field = text.starts_with("unknown field");
        // The path of an unknown field ends in the field, or at its map, depending on the format.
        let ends_in_field = path.segments().last() == Some(&Segment::Key(written.clone()));
        let path = if field && !ends_in_field {
            path.then(written.as_str())
        } else {
            path
        };
        return if field {
            unknown_key(path, &written, known.iter().map(String::as_str))
        } else {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let bare = at(root, &path).is_none_or(Value::is_string);
            let message = format!("unknown value `{}`", shown(&written));
            let help = choose(&written, &known);
            let problem = |path| {
                let problem = Problem::new(Code::WRONG_VALUE, path, message);
                problem.plainly("unknown value").help(help)
            };
            // `when: chnged` is wrong in its value, `when: {strek: 3}` in its key.
            if bare {
                problem(path)
            } else {
                problem(path.then(written.as_str())).at_key()
            }
        };
    }
    if text.starts_with("missing field") {
        let name = text.split('`').nth(1).unwrap_or_default();
        return Problem::new(Code::MISSING_KEY, path, format!("`{name}` is missing"));
    }
    // Serde quotes the value that it did not expect, and that may be a secret.
    if let Some((_, expected)) = text
        .strip_prefix("invalid ")
        .and_then(|rest| rest.split_once(", expected "))
    {
        let found = at(root, &path);
        if let ("map with a single key", Some(Value::Object(map))) = (expected, found) {
            let message = format!("one key stands here, not {}", map.len());
            return Problem::new(Code::WRONG_VALUE, path, message)
                .help("several conditions are a list under `all` or under `any`");
        }
        let expected = in_words(expected);
        let number = expected.starts_with("a whole number") && found.is_some_and(Value::is_number);
        let found_as = if number {
            "this one"
        } else {
            found.map_or("that", name_of)
        };
        let message = format!("expected {expected}, not {found_as}");
        let why = Malformed::new(message.clone()).plainly(message);
        let why = match found {
            Some(Value::String(_)) => why.sensitive(),
            _ => why,
        };
        return Problem::malformed(Code::WRONG_VALUE, path, why);
    }
    let why = Malformed::from_serde(text);
    // A type of somebody else's may word its errors as it likes.
    let why = match at(root, &path) {
        Some(found) if !why.sensitive && quotes(&why.message, found) => why.quoting(),
        _ => why,
    };
    let code = if why.sensitive {
        Code::INLINE_SECRET
    } else {
        Code::WRONG_VALUE
    };
    Problem::malformed(code, path, why)
}

/// Tells whether a message says a word that stands in the texts of a value.
fn quotes(message: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let words = |text: &str| -> BTreeSet<String> {
                let words = text.split(|letter: char| !letter.is_alphanumeric());
                let words = words.filter(|word| !word.is_empty());
                words.map(str::to_owned).collect()
            };
            // Escapes and cuts leave words: where a message quotes, one of them is the same.
            !words(message).is_disjoint(&words(text))
        }
        Value::Array(items) => items.iter().any(|item| quotes(message, item)),
        Value::Object(map) => map.values().any(|value| quotes(message, value)),
        _ => false,
    }
}

/// States that nothing reads this key.
pub(crate) fn unknown_key<'a>(
    path: Path,
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Problem {
    let known: Vec<&str> = known.into_iter().collect();
    let help = choose(written, &known);
    let message = format!("unknown key `{}`", shown(written));
    Problem::new(Code::UNKNOWN_KEY, path, message)
        .help(help)
        .at_key()
}

/// Says what could have been meant.
pub(crate) fn choose(written: &str, known: &[&str]) -> String {
    let list = known
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    match (nearest(written, known.iter().copied()), known) {
        (Some(name), _) => format!("did you mean `{name}`?"),
        (None, []) => "there is nothing to choose from here; remove it".to_owned(),
        (None, [_]) => format!("write {list}"),
        (None, _) => format!("write one of {list}"),
    }
}

fn missing_key(problem: &Problem) -> &str {
    problem.message.split('`').nth(1).unwrap_or_default()
}

/// Finds the value at a path.
fn at<'a>(root: &'a Value, path: &Path) -> Option<&'a Value> {
    path.segments()
        .iter()
        .try_fold(root, |value, segment| match segment {
            Segment::Key(key) => value.get(key),
            Segment::Index(index) => value.get(index),
        })
}

/// Takes the value at a path out of its parent; tells whether there was one.
fn take_out(root: &mut Value, path: &Path) -> bool {
    let Some((last, parents)) = path.segments().split_last() else {
        return false;
    };
    let parent = parents
        .iter()
        .try_fold(root, |value, segment| match segment {
            Segment::Key(key) => value.get_mut(key),
            Segment::Index(index) => value.get_mut(index),
        });
    match (parent, last) {
        (Some(Value::Object(map)), Segment::Key(key)) => map.remove(key).is_some(),
        (Some(Value::Array(items)), Segment::Index(index)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

/// A map whose keys are taken one by one; what is left over is unknown.
pub(crate) struct Keys<'a> {
    map: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Keys<'a> {
    /// Reads a value as a map.
    pub(crate) fn of(value: &'a Value, what: &str) -> Result<Self, Problem> {
        match value {
            Value::Object(map) => Ok(Self {
                map,
                known: Vec::new(),
            }),
            other => Err(Problem::new(
                Code::WRONG_VALUE,
                Path::root(),
                format!("{what} is a map, not {}", name_of(other)),
            )),
        }
    }

    /// Takes the value under a key, where there is one.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.map.get(key)
    }

    /// Walks the keys that nobody took.
    pub(crate) fn rest(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.map
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .filter(|(key, _)| !self.known.contains(key))
    }
}

/// Says what serde expects as its author would; what has words of its own keeps them.
fn in_words(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" | "u32" | "u64" | "usize" => "a whole number from 0 on",
        "a nonzero u32" => "a whole number from 1 on",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" => "a text",
        "a sequence" => "a list",
        other if other.starts_with("struct ") => "a map",
        other => other,
    }
}

/// Walks a list, or the one thing that stands in its place, each with its path.
pub(crate) fn items(value: &Value) -> Vec<(Path, &Value)> {
    let root = Path::root();
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => {
            let place = |(index, item)| (root.then(index), item);
            items.iter().enumerate().map(place).collect()
        }
        one => vec![(root, one)],
    }
}

/// Names a value's type as its author would.
pub(crate) fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::secret::SecretRef;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors of loading it are of interest")]
    struct Sample {
        retries: u32,
        token: SecretRef,
        #[serde(default)]
        name: Option<String>,
    }

    #[test]
    fn a_value_of_the_wrong_type_is_not_quoted() {
        let problems = typed::<Vec<u32>>(&json!([1, "hunter2"])).unwrap_err();
        assert_eq!(
            problems.to_string(),
            "[1]: expected a whole number from 0 on, not a text"
        );
    }

    #[test]
    fn an_unknown_condition_is_one_problem_at_its_key() {
        let problems = typed::<crate::Condition>(&json!({"strek": 3})).unwrap_err();
        let seen: Vec<_> = problems
            .iter()
            .map(|one| (one.path.to_string(), one.place))
            .collect();
        assert_eq!(seen, [("strek".to_owned(), Place::Key)], "{problems}");
    }

    #[test]
    fn problems_in_lists_and_in_nested_maps_do_not_hide_each_other() {
        let value =
            json!({"all": ["chnged", "changed", {"streak": 0}, {"labels": {"a": 1, "b": 2}}]});
        let problems = typed::<crate::Condition>(&value).unwrap_err();
        let seen: Vec<String> = problems.iter().map(|one| one.path.to_string()).collect();
        let expected = [
            "all[0]",
            "all[2].streak",
            "all[3].labels.a",
            "all[3].labels.b",
        ];
        assert_eq!(seen, expected, "{problems}");
        let problems = typed::<Vec<(u8, u8)>>(&json!([["a", 1], [1, 2], [3, "b"]])).unwrap_err();
        let seen: Vec<String> = problems.iter().map(|one| one.path.to_string()).collect();
        assert_eq!(seen, ["[0][0]", "[2][1]"], "{problems}");
    }

    #[test]
    fn all_problems_of_a_value_are_found_in_one_go() {
        let value = json!({"retrys": 3, "token": "hunter2", "name": 7, "colour": "red"});
        let problems = typed::<Sample>(&value).unwrap_err();
        let mut seen: Vec<(String, Code)> = problems
            .iter()
            .map(|problem| (problem.path.to_string(), problem.code))
            .collect();
        seen.sort();
        let expected = [
            (String::new(), Code::MISSING_KEY),
            ("colour".to_owned(), Code::UNKNOWN_KEY),
            ("name".to_owned(), Code::WRONG_VALUE),
            ("retrys".to_owned(), Code::UNKNOWN_KEY),
            ("token".to_owned(), Code::INLINE_SECRET),
        ];
        // The token is missing only because it was taken out; `retries` is missing by itself.
        assert_eq!(seen, expected, "{problems}");
        assert!(!problems.to_string().contains("hunter2"));
        let misspelt = problems
            .iter()
            .find(|problem| problem.path.to_string() == "retrys");
        assert_eq!(misspelt.unwrap().place, Place::Key);
        assert_eq!(
            misspelt.unwrap().help.as_deref(),
            Some("did you mean `retries`?")
        );
    }
}

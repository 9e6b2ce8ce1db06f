//! What is in force and where it came from, for people.

use std::time::Duration;

use workflow_notify::core::time::{Span, words};
use workflow_notify::files::{InForce, Loaded};

use crate::report::inert;
use crate::tuning;

/// How wide a key and a value may be for the others to stand in line with them.
const KEY: usize = 64;
const VALUE: usize = 40;

/// Lists what is in force, the engine's own defaults included.
pub(super) fn values(loaded: &Loaded) -> Vec<InForce> {
    let engine = tuning::settings(loaded.settings.engine());
    let mut values = loaded.effective(&tuning::as_written(&engine));
    for value in values.iter_mut().filter(|one| is_default_of_engine(one)) {
        // As people write it: `15m`, not `900s`.
        let span = value.value.as_str().and_then(|text| text.parse().ok());
        if let Some(Span(time)) = span {
            value.value = written(time).into();
        }
    }
    values
}

/// Writes a time in the largest unit that files know and that fits.
fn written(time: Duration) -> String {
    match time.as_secs() {
        hours if hours > 0 && hours % 3_600 == 0 => format!("{}h", hours / 3_600),
        minutes if minutes > 0 && minutes % 60 == 0 => format!("{}m", minutes / 60),
        _ => words(time),
    }
}

/// Tells whether a value is one that the engine has where nobody says anything.
pub(super) fn is_default_of_engine(value: &InForce) -> bool {
    value.origin.place.is_none() && value.key.starts_with("engine.")
}

/// Writes one line for each value, those of one section in line.
pub(super) fn lines(values: &[InForce]) -> Vec<String> {
    let mut lines = Vec::new();
    for section in values.chunk_by(|one, other| section(one) == section(other)) {
        let (mut keys, mut texts) = (0, 0);
        let rows: Vec<(&InForce, String)> = section
            .iter()
            .map(|value| (value, value.value.to_string()))
            .collect();
        for (value, text) in &rows {
            keys = keys.max(width(&value.key, KEY));
            texts = texts.max(width(text, VALUE));
        }
        for (value, text) in rows {
            let origin = if is_default_of_engine(value) {
                "default of the engine".to_owned()
            } else {
                value.origin.to_string()
            };
            let line = format!("{:<keys$} = {text:<texts$}  # {origin}", value.key);
            lines.push(inert(&line).into_owned());
        }
    }
    lines
}

/// Returns the name that a key begins with.
fn section(value: &InForce) -> &str {
    let end = value.key.find(['.', '[']);
    end.and_then(|end| value.key.get(..end))
        .unwrap_or(&value.key)
}

/// Returns how wide a text is, if it is no wider than that.
fn width(text: &str, most: usize) -> usize {
    Some(text.chars().count())
        .filter(|width| *width <= most)
        .unwrap_or(0)
}

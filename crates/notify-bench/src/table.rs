//! What was measured, as a table and as JSON.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::cost::median;
use crate::{Result, say};

/// One comparison.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The goal's number in the list of goals: `P1`.
    pub(crate) goal: &'static str,
    /// Under what: `at 16`.
    pub(crate) at: String,
    pub(crate) unit: Unit,
    pub(crate) ours: Vec<f64>,
    /// What ours is held against.
    pub(crate) other: &'static str,
    pub(crate) theirs: Vec<f64>,
    pub(crate) bound: Bound,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    PerSecond,
    Micros,
    Millis,
}

/// What the ratio ours ÷ theirs is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// Only for comparison.
    None,
}

impl Row {
    fn ratio(&self) -> f64 {
        median(&self.ours) / median(&self.theirs)
    }

    fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => self.ratio() >= bound,
            Bound::AtMost(bound) => self.ratio() <= bound,
            Bound::None => true,
        }
    }

    /// Prints the row.
    pub(crate) fn print(&self) {
        let bound = match self.bound {
            Bound::AtLeast(bound) => format!("  goal {bound:.2}"),
            Bound::AtMost(bound) => format!("  goal {bound:.2} at most"),
            Bound::None => String::new(),
        };
        let missed = if self.is_met() { "" } else { "  missed" };
        say(format_args!(
            "{} {:<8}  ours {:>11}  {} {:>11}  ratio {:.2}{bound}{missed}",
            self.goal,
            self.at,
            self.unit.show(median(&self.ours)),
            self.other,
            self.unit.show(median(&self.theirs)),
            self.ratio(),
        ));
    }

    fn to_json(&self) -> Value {
        let (bound, kind) = match self.bound {
            Bound::AtLeast(bound) => (Some(bound), Some("at least")),
            Bound::AtMost(bound) => (Some(bound), Some("at most")),
            Bound::None => (None, None),
        };
        json!({
            "goal": self.goal,
            "at": self.at,
            "unit": self.unit.name(),
            "ours": median(&self.ours),
            "other": self.other,
            "theirs": median(&self.theirs),
            "ratio": self.ratio(),
            "bound": bound,
            "bound_is": kind,
            "is_met": self.is_met(),
            "rounds": {"ours": self.ours, "theirs": self.theirs},
        })
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", grouped(value)),
            Self::Micros => format!("{value:.1} µs"),
            Self::Millis => format!("{value:.2} ms"),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "per second",
            Self::Micros => "microseconds",
            Self::Millis => "milliseconds",
        }
    }
}

/// Writes a whole number with its thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes the rows into a file, where one is asked for.
pub(crate) fn write(file: Option<&Path>, rows: &[Row]) -> Result<()> {
    let rows: Vec<Value> = rows.iter().map(Row::to_json).collect();
    write_json(file, &json!(rows))
}

/// Writes a value into a file, where one is asked for.
pub(crate) fn write_json(file: Option<&Path>, value: &Value) -> Result<()> {
    match file {
        Some(file) => Ok(fs::write(
            file,
            serde_json::to_string_pretty(value)? + "\n",
        )?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        let table = [
            (7.0, "7"),
            (999.6, "1,000"),
            (12_345.0, "12,345"),
            (1e6, "1,000,000"),
        ];
        for (value, text) in table {
            assert_eq!(grouped(value), text);
        }
    }
}

//! What a check found, for programs. The keys are public: `docs/reference/check-json.md` has them.

use miette::Diagnostic as _;
use serde::Serialize;
use workflow_notify::core::{Kind, Weight};
use workflow_notify::files::{Diagnostic, InForce};

use super::{Checked, effective};

/// The whole document.
#[derive(Serialize)]
struct Document<'a> {
    sound: bool,
    counts: Counts,
    diagnostics: Vec<Found<'a>>,
    missing_secrets: Vec<Missing>,
    effective: Option<Vec<InPlace<'a>>>,
}

#[derive(Serialize)]
struct Counts {
    errors: usize,
    warnings: usize,
    missing_secrets: usize,
}

/// One problem.
#[derive(Serialize)]
struct Found<'a> {
    code: String,
    severity: Severity,
    file: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    end: Option<End>,
    message: &'a str,
    help: Option<&'a str>,
    labels: Vec<Label>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Error,
    Warning,
}

/// The place behind the last character.
#[derive(Clone, Copy, Serialize)]
struct End {
    line: usize,
    column: usize,
}

/// A part of the file that the problem is about.
#[derive(Serialize)]
struct Label {
    line: usize,
    column: usize,
    end: End,
    text: Option<String>,
}

#[derive(Serialize)]
struct Missing {
    secret: String,
    message: String,
}

/// One value that is in force.
#[derive(Serialize)]
struct InPlace<'a> {
    key: &'a str,
    value: &'a serde_json::Value,
    origin: Origin,
    file: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    variables: &'a [String],
    account: Option<String>,
    declared_under: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Origin {
    /// It is written in a file.
    File,
    /// Nothing is written, and the engine has a value of its own.
    Engine,
    /// Nothing is written.
    Default,
}

pub(super) fn document(checked: &Checked) -> String {
    let (diagnostics, missing, values) = match checked {
        Checked::Sound {
            warnings,
            secrets,
            effective,
        } => (warnings, secrets.missing().collect(), effective.as_ref()),
        Checked::Wrong(found) => (found, Vec::new(), None),
    };
    let diagnostics: Vec<Found<'_>> = diagnostics.iter().map(found).collect();
    let count = |severity| {
        let of = diagnostics.iter().filter(|one| one.severity == severity);
        of.count()
    };
    let document = Document {
        sound: matches!(checked, Checked::Sound { .. }),
        counts: Counts {
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            missing_secrets: missing.len(),
        },
        diagnostics,
        missing_secrets: missing
            .into_iter()
            .map(|err| Missing {
                secret: err.reference.to_string(),
                message: err.to_string(),
            })
            .collect(),
        effective: values.map(|values| values.iter().map(value).collect()),
    };
    // Every key is a text, and every value has a form in JSON.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

fn found(diagnostic: &Diagnostic) -> Found<'_> {
    let position = diagnostic.position();
    let label = label(diagnostic);
    Found {
        code: diagnostic.code().to_string(),
        severity: match diagnostic.weight() {
            Weight::Warning => Severity::Warning,
            Weight::Refused => Severity::Error,
        },
        file: diagnostic.file(),
        line: position.map(|(line, _)| line),
        column: position.map(|(_, column)| column),
        end: label.as_ref().map(|label| label.end),
        message: diagnostic.message(),
        help: diagnostic.help(),
        labels: label.into_iter().collect(),
    }
}

/// Finds the lines and columns of the part of the file that a problem is about.
fn label(diagnostic: &Diagnostic) -> Option<Label> {
    let (line, column) = diagnostic.position()?;
    let (last, behind) = diagnostic.end()?;
    let said = diagnostic.labels().into_iter().flatten().next()?;
    Some(Label {
        line,
        column,
        end: End {
            line: last,
            column: behind,
        },
        text: said.label().map(str::to_owned),
    })
}

fn value(value: &InForce) -> InPlace<'_> {
    let place = value.origin.place.as_ref();
    InPlace {
        key: &value.key,
        value: &value.value,
        origin: match place {
            Some(_) => Origin::File,
            None if effective::is_default_of_engine(value) => Origin::Engine,
            None => Origin::Default,
        },
        file: place.map(|place| place.file.as_str()),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        variables: &value.origin.variables,
        account: value.origin.account.as_ref().map(ToString::to_string),
        declared_under: value.origin.declared_under.as_ref().map(Kind::as_str),
    }
}

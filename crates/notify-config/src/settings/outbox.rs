//! The section `[outbox]`.

use std::fmt;
use std::path::PathBuf;

use notify_core::{Code, Path, Problem, Problems};
use serde_json::{Value, json};

use super::unknown_key;

/// Where the outbox is when the settings do not say.
pub(super) const DEFAULT: &str = "notify.db";

/// What keeps the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outbox {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// The memory of the process: what was accepted is gone when it ends.
    Memory,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::Sqlite(DEFAULT.into())
    }
}

impl fmt::Display for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// Describes the section.
pub(crate) fn schema() -> Value {
    json!({
        "description": "What keeps the ledger.",
        "type": "object",
        "properties": {
            "url": {
                "description": "Where it is: `sqlite:PATH`, relative to the folder of this file, or `memory:`.",
                "type": "string",
                "pattern": r"^(?:memory:|sqlite:(?!//|:|file:)[^\x00]+)$",
                "default": Outbox::default().to_string(),
                "examples": ["sqlite:/var/lib/notify/notify.db", "memory:"],
            },
        },
        "additionalProperties": false,
    })
}

pub(super) fn load(table: &Value) -> Result<Outbox, Problems> {
    let root = Path::root();
    let Value::Object(table) = table else {
        return Err(Problem::new(Code::WRONG_VALUE, root, "`outbox` is a table")
            .help("write `[outbox]` and, in the next line, `url = \"sqlite:notify.db\"`")
            .into());
    };
    let mut problems = Problems::none();
    let mut outbox = Outbox::default();
    for (key, value) in table {
        let place = root.then(key.as_str());
        if key == "url" {
            outbox = problems.absorb(&place, url(value)).unwrap_or_default();
        } else {
            problems.push(unknown_key(
                place,
                key,
                "the only key of `[outbox]` is `url`".to_owned(),
            ));
        }
    }
    problems.or_value(outbox)
}

fn url(value: &Value) -> Result<Outbox, Problems> {
    let help = "write `url = \"sqlite:PATH\"`, where PATH is relative to the folder of this file, \
                or `url = \"memory:\"`";
    let wrong = |message: String| Problem::new(Code::WRONG_VALUE, Path::root(), message).help(help);
    let Some(url) = value.as_str() else {
        return Err(wrong("the outbox's URL is a text".to_owned()).into());
    };
    let path = match url.split_once(':') {
        Some(("sqlite", path)) => path,
        Some(("memory", "")) => return Ok(Outbox::Memory),
        Some(("memory", _)) => {
            return Err(wrong("an outbox in memory has no place".to_owned()).into());
        }
        Some(("postgres" | "postgresql", _)) => {
            let mut problem =
                wrong("no outbox in PostgreSQL is linked into this program".to_owned());
            // The URL of a database server holds its password.
            problem.sensitive = true;
            return Err(problem.into());
        }
        // What stands before a colon need not be a scheme: it may be the beginning of anything.
        Some(_) => {
            let mut problem = wrong("the outbox's URL is of no kind that there is".to_owned());
            problem.sensitive = true;
            return Err(problem.into());
        }
        None => {
            return Err(
                wrong("the outbox's URL does not say of which kind it is".to_owned()).into(),
            );
        }
    };
    // SQLite reads these as orders: a ledger in memory that nobody asked for keeps no promise.
    let order = path.starts_with(':') || path.starts_with("file:");
    if path.is_empty() || path.starts_with("//") || order || path.contains('\0') {
        return Err(wrong("the outbox's URL does not name a file".to_owned()).into());
    }
    Ok(Outbox::Sqlite(path.into()))
}

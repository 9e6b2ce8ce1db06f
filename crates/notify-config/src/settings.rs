//! `notify.toml`: the accounts and where the outbox is.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use notify_core::problem::nearest;
use notify_core::{Accounts, Code, Path, Problem, Problems, Registry};
use serde_json::Value;

use crate::diagnostic::Diagnostics;
use crate::document::Document;
use crate::secrets::ProcessSecrets;
use crate::source::{self, Source};

/// Where the outbox is when the settings do not say.
const DEFAULT_OUTBOX: &str = "notify.db";

/// What an installation's `notify.toml` says.
#[derive(Clone, Debug)]
pub struct Settings {
    folder: PathBuf,
    outbox: PathBuf,
    accounts: Accounts,
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read; else everything that is wrong with it.
    pub fn read(registry: &Registry, path: &FilePath) -> Result<Self, Diagnostics> {
        Self::load(registry, &source::read(path)?, path)
    }

    /// Takes a text; its name says in which folder relative paths begin.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn parse(registry: &Registry, name: &str, text: &str) -> Result<Self, Diagnostics> {
        Self::load(registry, &Source::new(name, text), FilePath::new(name))
    }

    fn load(registry: &Registry, source: &Source, path: &FilePath) -> Result<Self, Diagnostics> {
        let document = Document::toml(source)?;
        let mut settings = Self {
            folder: path.parent().map(FilePath::to_owned).unwrap_or_default(),
            outbox: DEFAULT_OUTBOX.into(),
            accounts: Accounts::default(),
        };
        let mut problems = Problems::none();
        let value = document.to_value();
        for (key, value) in value.as_object().into_iter().flatten() {
            let place = Path::root().then(key.as_str());
            match key.as_str() {
                "accounts" => {
                    let accounts = Accounts::load(registry, value);
                    settings.accounts = problems.absorb(&place, accounts).unwrap_or_default();
                }
                "outbox" => {
                    let outbox = problems.absorb(&place, outbox(value));
                    settings.outbox = outbox.unwrap_or_default();
                }
                _ => problems.push(unknown_section(registry, place, key)),
            }
        }
        Diagnostics::or_value(document.diagnostics(&problems), settings)
    }

    /// Returns the configured accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Returns the path of the SQLite file that holds the outbox.
    pub fn outbox_path(&self) -> PathBuf {
        self.folder.join(&self.outbox)
    }

    /// Returns the source of the secrets that the accounts refer to.
    pub fn secrets(&self) -> Arc<ProcessSecrets> {
        Arc::new(ProcessSecrets::new(&self.folder))
    }
}

const SECTIONS: [&str; 2] = ["accounts", "outbox"];

fn unknown_section(registry: &Registry, place: Path, key: &str) -> Problem {
    let help = match nearest(key, SECTIONS) {
        Some(name) => format!("did you mean `{name}`?"),
        None if registry.get(key).is_some() => {
            format!("an account of kind `{key}` is a section `[accounts.{key}.default]`")
        }
        None => "the sections are `[accounts.KIND.NAME]` and `[outbox]`".to_owned(),
    };
    unknown_key(place, key, help)
}

fn unknown_key(place: Path, key: &str, help: String) -> Problem {
    Problem::new(Code::UNKNOWN_KEY, place, format!("unknown key `{key}`"))
        .help(help)
        .at_key()
}

fn outbox(table: &Value) -> Result<PathBuf, Problems> {
    let root = Path::root();
    let Value::Object(table) = table else {
        return Err(Problem::new(Code::WRONG_VALUE, root, "`outbox` is a table")
            .help("write `[outbox]` and, in the next line, `url = \"sqlite:notify.db\"`")
            .into());
    };
    let mut problems = Problems::none();
    let mut path = PathBuf::from(DEFAULT_OUTBOX);
    for (key, value) in table {
        let place = root.then(key.as_str());
        if key == "url" {
            path = problems.absorb(&place, url(value)).unwrap_or_default();
        } else {
            problems.push(unknown_key(
                place,
                key,
                "the only key of `[outbox]` is `url`".to_owned(),
            ));
        }
    }
    problems.or_value(path)
}

fn url(value: &Value) -> Result<PathBuf, Problems> {
    let help = "write `url = \"sqlite:PATH\"`; PATH is relative to the folder of this file";
    let wrong = |message: String| Problem::new(Code::WRONG_VALUE, Path::root(), message).help(help);
    let Some(url) = value.as_str() else {
        return Err(wrong("the outbox's URL is a text".to_owned()).into());
    };
    let path = match url.split_once(':') {
        Some(("sqlite", path)) => path,
        Some((scheme, _)) => {
            let mut problem = wrong(format!("`{scheme}:` is no kind of outbox here"));
            // The URL of a database server holds its password.
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
    if path.is_empty() || path.starts_with("//") || order {
        return Err(wrong("the outbox's URL does not name a file".to_owned()).into());
    }
    Ok(path.into())
}

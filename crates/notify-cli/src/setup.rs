//! From files to what is in force.

use std::fmt;
use std::path::{Path, PathBuf};

use workflow_notify::SqliteOutbox;
use workflow_notify::core::{Config, Registry, Secrets, SystemClock};
use workflow_notify::engine::Engine;
use workflow_notify::files::{
    self, Definitions, Diagnostics, Installation, Loaded, Outbox, Reading, Watch,
};
use workflow_notify::outbox::{MemoryOutbox, Status};
use workflow_notify::prelude::Arc;

use crate::draw::draw;
use crate::report;
use crate::tuning;

/// Why a command did not begin. It has been said already.
#[derive(Debug)]
pub(crate) struct Refused;

impl Refused {
    /// Says an error and refuses.
    pub(crate) fn because(message: &str) -> Self {
        report::error(message);
        Self
    }
}

/// Collects the providers that are linked in.
pub(crate) fn registry() -> Result<Registry, Refused> {
    Registry::discover().map_err(|err| Refused::because(&err.to_string()))
}

/// The files that a command was given, and the providers that understand them.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) registry: Registry,
    installation: Installation,
}

impl Files {
    pub(crate) fn new(definitions: &[PathBuf], settings: &Path) -> Result<Self, Refused> {
        Ok(Self {
            registry: registry()?,
            installation: Installation::new(definitions, settings),
        })
    }

    /// Takes the templates of another `notify.toml` too.
    pub(crate) fn templates_of(mut self, settings: &Path) -> Self {
        self.installation = self.installation.templates_of(settings);
        self
    }

    /// Reads all of them anew.
    pub(crate) fn read(&self) -> Reading {
        self.installation.read(&self.registry)
    }
}

/// Everything a command needs to begin.
pub(crate) struct Setup {
    pub(crate) files: Files,
    pub(crate) loaded: Loaded,
    pub(crate) watch: Watch,
}

/// Reads definitions and settings, and says everything that is wrong with either.
pub(crate) fn load(definitions: &[PathBuf], settings: &Path) -> Result<Setup, Refused> {
    load_files(Files::new(definitions, settings)?, settings)
}

/// Reads files, and says everything that is wrong with any of them.
pub(crate) fn load_files(files: Files, settings: &Path) -> Result<Setup, Refused> {
    let Reading { loaded, watch } = files.read();
    let loaded = loaded.map_err(|found| refused(&found, settings))?;
    draw(&loaded.warnings());
    Ok(Setup {
        files,
        loaded,
        watch,
    })
}

/// Shows what is wrong, and the way on for who has nothing yet.
pub(crate) fn refused(found: &Diagnostics, settings: &Path) -> Refused {
    draw(found);
    hint_at_missing(settings);
    Refused
}

/// Says what the settings are for, where there are none.
pub(crate) fn hint_at_missing(settings: &Path) {
    if !settings.exists() {
        let file = settings.display();
        report::hint(&format!(
            "`{file}` says which accounts to send through; `--config` names another"
        ));
        report::hint("`notify run … --sandbox` needs none");
    }
}

/// Reads definitions alone.
pub(crate) fn definitions(registry: &Registry, paths: &[PathBuf]) -> Result<Definitions, Refused> {
    files::definitions(registry, paths).map_err(|found| {
        draw(&found);
        Refused
    })
}

/// Reads every secret, on a thread that may wait: a command takes its time.
pub(crate) async fn read_secrets(config: &Config) -> Result<Secrets, Refused> {
    let config = config.clone();
    tokio::task::spawn_blocking(move || config.resolve_secrets())
        .await
        .map_err(|err| Refused::because(&format!("the secrets cannot be read: {err}")))
}

/// Warns of secrets that are not there.
pub(crate) fn warn_of_missing(secrets: &Secrets) {
    for err in secrets.missing() {
        report::warning(format!("{err}; what needs it will be held"));
    }
}

/// What becomes of the outbox when the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays on record.
    Kept,
    /// It is gone.
    Lost,
}

impl Fate {
    pub(crate) fn of(setup: &Setup) -> Self {
        match setup.loaded.settings.outbox() {
            Outbox::Memory => Self::Lost,
            _ => Self::Kept,
        }
    }

    /// Says what is left, if anything is.
    pub(crate) fn of_rest(self, left: &Status) {
        let counts = report::left_over(left);
        match self {
            _ if left.is_idle() && left.held == 0 => {}
            Self::Kept => report::say(counts),
            Self::Lost => report::warning(format!("{counts}; it is in memory and lost now")),
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "stays in the outbox",
            Self::Lost => "is lost: the outbox is in memory",
        })
    }
}

impl Setup {
    pub(crate) fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Reads every secret, warns of those that are not there, and gives the others for masking.
    ///
    /// A missing secret does not keep the command from being run: what cannot be sent is held.
    pub(crate) async fn secrets(&self) -> Result<Secrets, Refused> {
        let secrets = read_secrets(self.config()).await?;
        warn_of_missing(&secrets);
        Ok(secrets)
    }

    /// Opens the outbox and starts delivering.
    pub(crate) fn engine(&self) -> Result<Engine, Refused> {
        let settings = tuning::settings(self.loaded.settings.engine());
        let builder = Engine::builder(self.files.registry.clone())
            .config(self.config().clone())
            .settings(settings);
        let builder = match Fate::of(self) {
            Fate::Kept => builder.outbox(self.ledger()?),
            Fate::Lost => builder.outbox(MemoryOutbox::new(Arc::new(SystemClock))),
        };
        let started = builder.start();
        started.map_err(|err| Refused::because(&report::chain(&err)))
    }

    /// Opens the ledger that several commands share.
    pub(crate) fn ledger(&self) -> Result<SqliteOutbox, Refused> {
        let path = match self.loaded.settings.outbox() {
            Outbox::Sqlite(path) => path,
            other => {
                report::error(&format!(
                    "the outbox is `{other}`, which begins empty and is gone when a command ends"
                ));
                report::hint(
                    "this command works on what other commands recorded or will deliver: write \
                     `url = \"sqlite:notify.db\"` under `[outbox]`",
                );
                return Err(Refused);
            }
        };
        SqliteOutbox::open(&path, Arc::new(SystemClock))
            .map_err(|err| Refused::because(&report::chain(&err)))
    }
}

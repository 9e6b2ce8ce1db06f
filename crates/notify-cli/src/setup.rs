//! From files to what is in force, and how problems with them are shown.

use std::io::Write;
use std::path::{Path, PathBuf};

use miette::{GraphicalReportHandler, GraphicalTheme, ThemeCharacters, ThemeStyles};
use workflow_notify::core::{Config, Registry, Secrets, SystemClock};
use workflow_notify::files::{self, Definitions, Diagnostic, Diagnostics, Settings};
use workflow_notify::prelude::Arc;
use workflow_notify::{SqliteOutbox, engine::Engine};

use crate::report;

/// Everything a command needs to begin.
pub(crate) struct Setup {
    pub(crate) registry: Registry,
    pub(crate) config: Config,
    pub(crate) settings: Settings,
}

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

/// Reads definitions and settings, and says everything that is wrong with either.
pub(crate) fn load(definitions: &[PathBuf], settings: &Path) -> Result<Setup, Refused> {
    let registry = registry()?;
    if !settings.exists() {
        // The definitions' problems are worth knowing all the same.
        files::definitions(&registry, definitions).map_err(|found| show(&found))?;
        return Err(missing(settings));
    }
    let (definitions, settings) = Diagnostics::both(
        files::definitions(&registry, definitions),
        Settings::read(&registry, settings),
    )
    .map_err(|found| show(&found))?;
    let config = files::config(&definitions, &settings, settings.secrets());
    let config = config.map_err(|found| show(&found))?;
    draw(&definitions.warnings());
    Ok(Setup {
        registry,
        config,
        settings,
    })
}

/// Reads definitions alone.
pub(crate) fn definitions(registry: &Registry, paths: &[PathBuf]) -> Result<Definitions, Refused> {
    files::definitions(registry, paths).map_err(|found| show(&found))
}

fn missing(settings: &Path) -> Refused {
    report::error(&format!("there is no `{}`", settings.display()));
    let help = "it says which accounts to send through; name another with `--config`, or try \
                `notify run … --sandbox`, which needs none";
    report::hint(help);
    Refused
}

/// Shows what is wrong.
pub(crate) fn show(diagnostics: &Diagnostics) -> Refused {
    draw(diagnostics);
    Refused
}

/// Draws problems as people read them: place, line, caret, help.
fn draw<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) {
    let theme = GraphicalTheme {
        characters: ThemeCharacters::unicode(),
        styles: ThemeStyles::ansi(),
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(80);
    let mut text = String::new();
    for diagnostic in diagnostics {
        // Writing into a string cannot fail.
        handler.render_report(&mut text, diagnostic).ok();
        text.push('\n');
    }
    // The stream takes the colours out where nobody would see them.
    anstream::stderr().write_all(text.as_bytes()).ok();
}

impl Setup {
    /// Reads every secret, warns of those that are not there, and gives the others for masking.
    ///
    /// A missing secret does not keep the command from being run: what cannot be sent is held.
    pub(crate) fn secrets(&self) -> Secrets {
        let secrets = self.config.resolve_secrets();
        for err in secrets.missing() {
            report::warning(format!("{err}; what needs it will be held"));
        }
        secrets
    }

    /// Opens the ledger and starts delivering.
    pub(crate) async fn engine(&self) -> Result<Engine, Refused> {
        let outbox = self.outbox()?;
        Engine::builder(self.registry.clone())
            .config(self.config.clone())
            .outbox(outbox)
            .start()
            .await
            .map_err(|err| Refused::because(&report::chain(&err)))
    }

    /// Opens the ledger.
    pub(crate) fn outbox(&self) -> Result<SqliteOutbox, Refused> {
        SqliteOutbox::open(&self.settings.outbox_path(), Arc::new(SystemClock))
            .map_err(|err| Refused::because(&report::chain(&err)))
    }
}

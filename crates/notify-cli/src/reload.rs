//! Reload: files that change while `notify deliver` works.
//!
//! What is read is a whole or nothing. Files are compared by content, so that a mounted secret
//! whose link was swapped is noticed; they are read on a thread that may wait.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::Notify;
use workflow_notify::engine::{Engine, EngineError, Settings};
use workflow_notify::files::{Diagnostic, Loaded, Outbox, Reading, Watch};

use crate::draw::draw;
use crate::report;
use crate::setup::{self, Files, Setup};
use crate::tuning;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long files stay the same before they are taken for whole: an editor may be writing.
const SETTLED: Duration = Duration::from_millis(200);

/// How often they are read anew while somebody goes on writing.
const ROUNDS: usize = 20;

/// The files that are in force, and what of them only a restart can change.
#[derive(Debug)]
pub(crate) struct Reload {
    files: Files,
    watch: Watch,
    outbox: Outbox,
    engine: Settings,
    /// The warnings that were shown already.
    warned: BTreeSet<String>,
}

/// The files after a change.
struct Changed {
    files: BTreeSet<PathBuf>,
    reading: Reading,
}

impl Reload {
    pub(crate) fn new(setup: Setup) -> Self {
        let settings = &setup.loaded.settings;
        Self {
            outbox: settings.outbox(),
            engine: tuning::settings(settings.engine()),
            warned: setup.loaded.warnings().iter().map(as_line).collect(),
            files: setup.files,
            watch: setup.watch,
        }
    }

    /// Puts every change into force, and everything anew whenever it is `asked`; returns when the
    /// outbox is gone for good.
    pub(crate) async fn run(mut self, engine: &Engine, asked: &Notify) -> EngineError {
        loop {
            // CANCEL-SAFE: a request that nobody waited for is kept.
            let asked = tokio::time::timeout(LOOK, asked.notified()).await.is_ok();
            // It works on what nobody can see any more, and a restart may help.
            match engine.status().await {
                Err(err) if is_final(&err) => return err,
                _ => {}
            }
            let Some(changed) = self.look(asked).await else {
                continue;
            };
            self.watch = changed.reading.watch;
            match changed.reading.loaded {
                Ok(loaded) => self.put_into_force(engine, loaded, &changed.files).await,
                Err(found) => {
                    draw(&found);
                    report::warning(
                        "not reloaded: what was in force stays, until the files change again",
                    );
                }
            }
        }
    }

    /// Reads everything anew if it is wanted or a file has changed.
    async fn look(&self, wanted: bool) -> Option<Changed> {
        let watch = self.watch.clone();
        let look = move || (watch.changes(), watch);
        let (changes, watch) = tokio::task::spawn_blocking(look).await.ok()?;
        if changes.is_empty() && !wanted {
            return None;
        }
        let mut files: BTreeSet<PathBuf> = changes.into_iter().collect();
        let mut reading = self.read().await?;
        for _ in 0..ROUNDS {
            tokio::time::timeout(SETTLED, std::future::pending::<()>())
                .await
                .ok();
            let seen = reading.watch.clone();
            let look = move || seen.changes();
            let changes = tokio::task::spawn_blocking(look).await.ok()?;
            if changes.is_empty() {
                break;
            }
            files.extend(changes);
            reading = self.read().await?;
        }
        // What was there for a moment only is no change.
        if reading.watch.fingerprint() == watch.fingerprint() && !wanted {
            return None;
        }
        Some(Changed { files, reading })
    }

    async fn read(&self) -> Option<Reading> {
        let files = self.files.clone();
        tokio::task::spawn_blocking(move || files.read()).await.ok()
    }

    async fn put_into_force(
        &mut self,
        engine: &Engine,
        loaded: Loaded,
        changed: &BTreeSet<PathBuf>,
    ) {
        let warnings = loaded.warnings();
        draw(
            warnings
                .iter()
                .filter(|one| !self.warned.contains(&as_line(one))),
        );
        self.warned = warnings.iter().map(as_line).collect();
        if let Err(err) = engine.reload(loaded.config.clone()) {
            report::error(&format!(
                "not reloaded, what was in force stays: {}",
                report::chain(&err)
            ));
            return;
        }
        let names: Vec<String> = changed
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        report::say(match names.as_slice() {
            [] => "reloaded: no file has changed, secrets are read anew".to_owned(),
            names => format!("reloaded: {} changed", names.join(", ")),
        });
        let settings = &loaded.settings;
        if settings.outbox() != self.outbox {
            needs_a_restart("[outbox]");
        }
        if tuning::settings(settings.engine()) != self.engine {
            needs_a_restart("[engine]");
        }
        if let Ok(secrets) = setup::read_secrets(&loaded.config).await {
            setup::warn_of_missing(&secrets);
        }
    }
}

/// Says a warning by itself, so that it can be known again.
fn as_line(warning: &Diagnostic) -> String {
    format!("{}: {warning}", warning.file())
}

fn is_final(err: &EngineError) -> bool {
    matches!(err, EngineError::Outbox(err) if err.is_final())
}

fn needs_a_restart(section: &str) {
    report::warning(format!(
        "`{section}` is not what it was; it stays as it was until a restart"
    ));
}

//! From files to the [`Config`] in force, with the problems of all files in one run.

use std::collections::hash_map::RandomState;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use notify_core::{Config, Path, Registry, SecretSource};

use crate::definitions::Definitions;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::settings::Settings;
use crate::variables::Variables;
use crate::watch::{Reader, Watch};

/// The files of an installation, to be read as often as they change.
#[derive(Clone, Debug)]
pub struct Installation {
    definitions: Vec<PathBuf>,
    settings: PathBuf,
    /// Another `notify.toml` whose templates are known too.
    templates_of: Option<PathBuf>,
    variables: Variables,
    key: RandomState,
}

/// What one reading of an installation came to.
///
/// Sound or not, it knows what was read, so that the next reading waits for a change.
#[derive(Debug)]
pub struct Reading {
    /// The whole of it, or everything that is wrong with it.
    pub loaded: Result<Loaded, Diagnostics>,
    /// What was read.
    pub watch: Watch,
}

/// Everything that is in force after a load.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the engine takes.
    pub config: Config,
    /// What `notify.toml` says.
    pub settings: Settings,
    /// The definitions as they were declared.
    pub definitions: Definitions,
}

impl Installation {
    /// Names the files: definitions by path or by pattern, and `notify.toml`.
    pub fn new(definitions: impl Into<Vec<PathBuf>>, settings: impl Into<PathBuf>) -> Self {
        Self {
            definitions: definitions.into(),
            settings: settings.into(),
            templates_of: None,
            variables: Variables::of_process(),
            key: RandomState::new(),
        }
    }

    /// Takes the templates of another `notify.toml` too, where there is one, and nothing else of it.
    #[must_use]
    pub fn templates_of(mut self, settings: impl Into<PathBuf>) -> Self {
        self.templates_of = Some(settings.into());
        self
    }

    /// Takes the values of variables from elsewhere than the process.
    #[must_use]
    pub fn variables(mut self, variables: Variables) -> Self {
        self.variables = variables;
        self
    }

    /// Reads everything anew. Nothing of an earlier reading is kept, so what comes out is whole.
    pub fn read(&self, registry: &Registry) -> Reading {
        let reader = Reader::new(self.key.clone());
        let loaded = self.load(registry, &reader);
        if let Ok(loaded) = &loaded {
            loaded.settings.look_at_secrets(&reader);
        }
        Reading {
            loaded,
            watch: reader.into_watch(&self.definitions),
        }
    }

    fn load(&self, registry: &Registry, reader: &Reader) -> Result<Loaded, Diagnostics> {
        let definitions = Definitions::read(registry, &self.definitions, &self.variables, reader);
        let settings = Settings::read_with(registry, &self.settings, &self.variables, reader);
        let mut found = definitions.found;
        found.extend(settings.found);
        let definitions = definitions.sound;
        // Without the accounts nothing can be said of what is sent through them.
        let Some(mut settings) = settings.settings else {
            return Err(Diagnostics::of(found));
        };
        if let Some(path) = self.templates_of.as_deref().filter(|path| path.exists()) {
            found.extend(settings.take_templates_of(registry, path, &self.variables, reader));
        }
        match fitted(&definitions, &settings, settings.secrets()) {
            Ok(config) => Diagnostics::or_value(
                found,
                Loaded {
                    config,
                    settings,
                    definitions,
                },
            ),
            Err(other) => {
                found.extend(other);
                Err(Diagnostics::of(found))
            }
        }
    }
}

impl Loaded {
    /// Gives what is used as it is, but hardly meant.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let mut warnings = self.definitions.warnings();
        warnings.extend(self.settings.warnings());
        warnings
    }
}

/// Reads definitions and settings, and checks one against the other.
///
/// Secrets come from the environment, from files and from commands, as the settings say.
///
/// # Errors
///
/// Everything that is wrong with any of the files.
pub fn load(
    registry: &Registry,
    definition_paths: &[PathBuf],
    settings_path: &FilePath,
) -> Result<(Config, Settings), Diagnostics> {
    let installation = Installation::new(definition_paths, settings_path);
    let loaded = installation.load(registry, &Reader::default())?;
    Ok((loaded.config, loaded.settings))
}

/// Checks definitions and rules against the accounts, and puts named templates into them.
///
/// # Errors
///
/// Everything that does not fit, at its place.
pub fn config(
    definitions: &Definitions,
    settings: &Settings,
    secrets: Arc<dyn SecretSource>,
) -> Result<Config, Diagnostics> {
    fitted(definitions, settings, secrets).map_err(Diagnostics::of)
}

fn fitted(
    definitions: &Definitions,
    settings: &Settings,
    secrets: Arc<dyn SecretSource>,
) -> Result<Config, Vec<Diagnostic>> {
    let (workflows, mut problems) = definitions.with_templates(settings.templates());
    // Apart from the definitions, so that the problems of both are told in one run.
    let rules = Config::new(
        Vec::new(),
        settings.accounts().clone(),
        Arc::clone(&secrets),
    )
    .and_then(|config| config.with_rules(settings.rules().to_vec()));
    let of_rules = settings.rules_as_declared(rules.err().unwrap_or_default());
    let config = Config::new(workflows, settings.accounts().clone(), secrets);
    let config = problems.absorb(&Path::root(), config);
    let config = config.map(|config| config.with_rules(settings.rules().to_vec()));
    match config {
        Some(Ok(config)) if problems.is_empty() => Ok(config),
        _ => {
            let mut found = definitions.located(problems);
            found.extend(settings.located(&of_rules));
            Err(found)
        }
    }
}

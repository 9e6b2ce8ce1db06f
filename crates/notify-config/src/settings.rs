//! `notify.toml`: accounts, outbox, rules, templates and how the engine works.

pub(crate) mod engine;
pub(crate) mod outbox;
pub(crate) mod rules;

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use notify_core::problem::{Segment, nearest};
use notify_core::{
    Account, AccountId, Accounts, Code, Path, Problem, Problems, Registry, Rule, SecretRef,
    Secrets, Weight,
};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Document, without};
use crate::schema;
use crate::secrets::ProcessSecrets;
use crate::source::Source;
use crate::templates::Templates;
use crate::variables::Variables;
use crate::watch::{self, Reader};

pub use self::engine::EngineSettings;
pub use self::outbox::Outbox;

/// What an installation's `notify.toml` says.
#[derive(Clone, Debug)]
pub struct Settings {
    folder: PathBuf,
    outbox: Outbox,
    accounts: Accounts,
    rules: Vec<Rule>,
    /// The index that each rule has in the file.
    rule_places: Vec<usize>,
    templates: Templates,
    engine: EngineSettings,
    variables: Variables,
    document: Arc<Document>,
}

/// What could be read, and everything that is wrong with the rest.
pub(crate) struct Partly {
    /// `None` where the file has no structure that could be read.
    pub(crate) settings: Option<Settings>,
    pub(crate) found: Vec<Diagnostic>,
}

impl Partly {
    fn nothing(found: Diagnostics) -> Self {
        Self {
            settings: None,
            found: found.into_iter().collect(),
        }
    }

    fn whole(self) -> Result<Settings, Diagnostics> {
        match self.settings {
            Some(settings) => Diagnostics::or_value(self.found, settings),
            None => Err(Diagnostics::of(self.found)),
        }
    }
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read; else everything that is wrong with it and with the templates that
    /// it names.
    pub fn read(registry: &Registry, path: &FilePath) -> Result<Self, Diagnostics> {
        Self::read_with(registry, path, &Variables::of_process(), &Reader::default()).whole()
    }

    /// Takes a text; its name says in which folder relative paths begin.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn parse(registry: &Registry, name: &str, text: &str) -> Result<Self, Diagnostics> {
        Self::parse_with(registry, name, text, &Variables::of_process())
    }

    /// Takes a text, and values for the variables that it names.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn parse_with(
        registry: &Registry,
        name: &str,
        text: &str,
        variables: &Variables,
    ) -> Result<Self, Diagnostics> {
        let source = Source::new(name, text);
        let path = FilePath::new(name);
        Self::load(registry, &source, path, variables, &Reader::default()).whole()
    }

    pub(crate) fn read_with(
        registry: &Registry,
        path: &FilePath,
        variables: &Variables,
        reader: &Reader,
    ) -> Partly {
        match reader.text(path) {
            Ok(source) => Self::load(registry, &source, path, variables, reader),
            Err(unreadable) if path.is_dir() => {
                let help = "name the file in it: `FOLDER/notify.toml`";
                Partly::nothing(unreadable.with_help(help).into())
            }
            Err(unreadable) => Partly::nothing(unreadable.into()),
        }
    }

    fn load(
        registry: &Registry,
        source: &Source,
        path: &FilePath,
        variables: &Variables,
        reader: &Reader,
    ) -> Partly {
        let (mut document, mut findings) =
            match Document::read_toml(source, &|| schema::keys(registry)) {
                Ok(read) => read,
                Err(found) => return Partly::nothing(found),
            };
        findings.extend(document.expand(variables));
        let document = Arc::new(document);
        let mut elsewhere = Vec::new();
        let mut settings = Self {
            folder: path.parent().map(FilePath::to_owned).unwrap_or_default(),
            outbox: Outbox::default(),
            accounts: Accounts::default(),
            rules: Vec::new(),
            rule_places: Vec::new(),
            templates: Templates::default(),
            engine: EngineSettings::default(),
            variables: variables.clone(),
            document: Arc::clone(&document),
        };
        let mut problems = Problems::none();
        let value = document.to_value();
        let section = |key: &str| value.get(key).map(|value| (Path::root().then(key), value));
        // Before the rules, which use them.
        if let Some((_, value)) = section("templates") {
            let folder = &settings.folder;
            (settings.templates, elsewhere) = Templates::load(
                &document,
                value,
                folder,
                reader,
                &mut problems,
                &mut findings,
            );
        }
        // Without a section too: a function of the program has an account all the same.
        let none = serde_json::json!({});
        let accounts = value.get("accounts").unwrap_or(&none);
        let (accounts, of_accounts) = Accounts::load_partly(registry, accounts);
        problems.absorb::<()>(&Path::root().then("accounts"), Err(of_accounts));
        settings.accounts = accounts;
        if let Some((place, value)) = section("outbox") {
            let outbox = problems.absorb(&place, outbox::load(value));
            settings.outbox = outbox.unwrap_or_default();
        }
        if let Some((place, value)) = section("engine") {
            let engine = problems.absorb(&place, engine::load(value));
            settings.engine = engine.unwrap_or_default();
        }
        if let Some((place, value)) = section("rules") {
            let read = rules::load(registry, value, &settings.templates);
            for (path, source) in read.sources {
                let path = place.join(&path);
                findings.extend(crate::templates::check(&document, &path, &source));
            }
            problems.absorb::<()>(&place, Err(read.problems));
            (settings.rule_places, settings.rules) = read.rules.into_iter().unzip();
        }
        let keys = value.as_object().into_iter().flatten().map(|(key, _)| key);
        let unknown = keys.filter(|key| !SECTIONS.contains(&key.as_str()));
        for key in unknown {
            let place = Path::root().then(key.as_str());
            problems.push(unknown_section(registry, place, key));
        }
        let mut found = document.report(&problems, findings);
        found.append(&mut elsewhere);
        Partly {
            settings: Some(settings),
            found,
        }
    }

    /// Adds the templates of another file; gives what is wrong with them.
    pub(crate) fn take_templates_of(
        &mut self,
        registry: &Registry,
        path: &FilePath,
        variables: &Variables,
        reader: &Reader,
    ) -> Vec<Diagnostic> {
        let read = reader.text(path).map_err(Diagnostics::from);
        let (mut document, mut findings) =
            match read.and_then(|text| Document::read_toml(&text, &|| schema::keys(registry))) {
                Ok(read) => read,
                Err(found) => return found.into_iter().collect(),
            };
        // Of the rest of the file nothing is used, so nothing is said of it.
        document.keep(&["templates"]);
        findings.clear();
        findings.extend(document.expand(variables));
        let value = document.to_value();
        let Some(table) = value.get("templates") else {
            return Vec::new();
        };
        let folder = path.parent().map(FilePath::to_owned).unwrap_or_default();
        let mut problems = Problems::none();
        let (templates, elsewhere) = Templates::load(
            &document,
            table,
            &folder,
            reader,
            &mut problems,
            &mut findings,
        );
        self.templates.add(templates);
        let mut found = document.report(&problems, findings);
        found.extend(elsewhere);
        found
    }

    /// Returns the configured accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Returns the notifications of the whole installation, in the order of the file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Returns the named templates.
    pub fn templates(&self) -> &Templates {
        &self.templates
    }

    /// Returns how the engine works, where the file says so.
    pub fn engine(&self) -> &EngineSettings {
        &self.engine
    }

    /// Says what keeps the ledger; a path is relative to the working directory, as the file's own.
    pub fn outbox(&self) -> Outbox {
        match &self.outbox {
            Outbox::Sqlite(path) => Outbox::Sqlite(self.folder.join(path)),
            Outbox::Memory => Outbox::Memory,
        }
    }

    /// Returns the path of the SQLite file that holds the outbox, or would.
    pub fn outbox_path(&self) -> PathBuf {
        match self.outbox() {
            Outbox::Sqlite(path) => path,
            Outbox::Memory => self.folder.join(outbox::DEFAULT),
        }
    }

    /// Returns the source of the secrets that the accounts refer to.
    pub fn secrets(&self) -> Arc<ProcessSecrets> {
        let secrets = ProcessSecrets::new(&self.folder)
            .variables(self.variables.clone())
            .shown(self.document.references_as_written());
        Arc::new(secrets)
    }

    /// Gives what is used as it is, but hardly meant: what accounts warn of, and files with secrets
    /// that others can read.
    ///
    /// It looks at the files each time.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let mut warnings = Problems::none();
        let of_accounts = self.accounts.warnings();
        warnings.absorb::<()>(&Path::root().then("accounts"), Err(of_accounts));
        for (id, account) in self.accounts.iter() {
            for (place, file) in self.secret_files(id, &**account) {
                let path = self.folder.join(&file);
                if watch::is_loose(&path) {
                    let message = format!("others than its owner can read `{file}`");
                    let help = format!(
                        "take the right away: `chmod go= {}`; where Kubernetes mounts it, set \
                         `defaultMode: 0400`",
                        for_a_shell(&path)
                    );
                    let warning = Problem::warning(Code::LOOSE_SECRET, place, message);
                    let warning = warning.plainly("others than its owner can read this file");
                    warnings.push(warning.help(help));
                }
            }
        }
        self.document.diagnostics(&warnings)
    }

    /// Lists the accounts whose secrets are there and cannot be used, as a token of another kind.
    pub fn warnings_of(&self, secrets: &Secrets) -> Vec<Diagnostic> {
        let mut warnings = Problems::none();
        for (id, account) in self.accounts.iter() {
            let is_there = |secret: &&SecretRef| secrets.get(secret).is_ok();
            if !account.secrets().iter().all(is_there) {
                continue;
            }
            if let Err(why) = account.connect(secrets) {
                let section = Path::root().then("accounts");
                let section = section.then(id.kind.as_str()).then(id.name.as_str());
                let mut warning = Problem::malformed(Code::WRONG_VALUE, section, why).at_key();
                warning.weight = Weight::Warning;
                // The file refers to secrets and holds none.
                warning.sensitive = false;
                warnings.push(warning);
            }
        }
        self.document.diagnostics(&warnings)
    }

    /// Lists where an account's section refers to files with secrets.
    fn secret_files(&self, id: &AccountId, account: &dyn Account) -> Vec<(Path, String)> {
        let section = Path::root().then("accounts");
        let section = section.then(id.kind.as_str()).then(id.name.as_str());
        let secrets = account.secrets();
        let is_secret = |file: &str| {
            let file = SecretRef::File(file.into());
            secrets.iter().any(|secret| **secret == file)
        };
        let mut found = self.document.references_to_files(&section);
        found.retain(|(_, file)| is_secret(file));
        found
    }

    /// Remembers what the files with secrets hold now.
    pub(crate) fn look_at_secrets(&self, reader: &Reader) {
        let accounts = self.accounts.iter();
        for secret in accounts.flat_map(|(_, account)| account.secrets()) {
            if let SecretRef::File(path) = secret {
                reader.look_at(&self.folder.join(path));
            }
        }
    }

    /// Gives problems of the file their places.
    pub(crate) fn located(&self, problems: &Problems) -> Vec<Diagnostic> {
        self.document.diagnostics(problems)
    }

    /// Gives the problems of rules, whose paths begin with the index in [`Settings::rules`], the
    /// paths that the file has.
    pub(crate) fn rules_as_declared(&self, found: Problems) -> Problems {
        let mut problems = Problems::none();
        for mut problem in found {
            if let Some(Segment::Index(index)) = problem.path.segments().first() {
                let index = self.rule_places.get(*index).copied().unwrap_or(*index);
                let place = Path::root().then("rules").then(index);
                problem.path = place.join(&without(&problem.path, 1));
            }
            problems.push(problem);
        }
        problems
    }

    pub(crate) fn document(&self) -> &Document {
        &self.document
    }
}

/// Writes a path as one word of a shell's line.
fn for_a_shell(path: &FilePath) -> String {
    let path = path.display().to_string();
    let path = if path.starts_with('-') {
        format!("./{path}")
    } else {
        path
    };
    let plain = |letter: char| letter.is_alphanumeric() || "/._-".contains(letter);
    if path.chars().all(plain) {
        return path;
    }
    format!("'{}'", path.replace('\'', "'\\''"))
}

const SECTIONS: [&str; 5] = ["accounts", "engine", "outbox", "rules", "templates"];

fn unknown_section(registry: &Registry, place: Path, key: &str) -> Problem {
    let help = match nearest(key, SECTIONS) {
        Some("rules") => "did you mean `[[rules]]`?".to_owned(),
        Some(name) => format!("did you mean `{name}`?"),
        None if registry.get(key).is_some() => {
            format!("an account of kind `{key}` is a section `[accounts.{key}.default]`")
        }
        None if matches!(key, "workflow" | "workflows" | "notifications") => {
            "definitions are in files of their own, in YAML or JSON; notifications of the whole \
             installation are `[[rules]]`"
                .to_owned()
        }
        None => "the sections are `[accounts.KIND.NAME]`, `[engine]`, `[outbox]`, `[[rules]]` and \
                 `[templates]`"
            .to_owned(),
    };
    unknown_key(place, key, help)
}

fn unknown_key(place: Path, key: &str, help: String) -> Problem {
    Problem::new(Code::UNKNOWN_KEY, place, format!("unknown key `{key}`"))
        .help(help)
        .at_key()
}

//! The configured accounts and how a notification finds the one it is sent through.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::load::{self, Keys};
use crate::name::{AccountName, Kind};
use crate::problem::{Code, Malformed, Path, Problem, Problems, Weight, nearest};
use crate::provider::Account;
use crate::registry::{ProviderDescriptor, Registry};

/// The name of an account with its kind: `slack.prod`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId {
    /// The kind that the account delivers.
    pub kind: Kind,
    /// The account's own name.
    pub name: AccountName,
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind, self.name)
    }
}

impl FromStr for AccountId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (kind, name) = text.split_once('.').ok_or_else(|| {
            Malformed::new("not an account").help("write it as `kind.name`: `slack.prod`")
        })?;
        Ok(Self {
            kind: Kind::new(kind)?,
            name: AccountName::new(name)?,
        })
    }
}

impl TryFrom<String> for AccountId {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.to_string()
    }
}

/// One account and whether it is switched on.
#[derive(Clone, Debug)]
struct Entry {
    /// `None` where its section is broken.
    account: Option<Arc<dyn Account>>,
    enabled: bool,
}

/// Every configured account.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    entries: BTreeMap<AccountId, Entry>,
    defaults: BTreeMap<Kind, AccountName>,
    /// The kinds of which it cannot be said which accounts there are.
    broken: BTreeSet<Kind>,
}

impl Accounts {
    /// Loads the table `accounts`: kind, then name, then what the provider wants.
    ///
    /// A kind of [`provider_fn`](crate::provider_fn) that the table does not name has the account
    /// `default` all the same.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, with paths from the table's root.
    pub fn load(registry: &Registry, table: &Value) -> Result<Self, Problems> {
        let (accounts, problems) = Self::load_partly(registry, table);
        problems.or_value(accounts)
    }

    /// Loads what is sound of the table, with everything that is wrong with the rest.
    ///
    /// An account whose section is broken is known all the same, and reaches everybody: of what is
    /// sent through it nothing can be said.
    pub fn load_partly(registry: &Registry, table: &Value) -> (Self, Problems) {
        let mut accounts = Self::default();
        let mut problems = Problems::none();
        let keys = match Keys::of(table, "`accounts`") {
            Ok(keys) => keys,
            Err(problem) => {
                accounts.broken = registry.kinds().map(Kind::from_static).collect();
                return (accounts, problem.into());
            }
        };
        for (kind, sections) in keys.rest() {
            let place = Path::root().then(kind);
            let Some(descriptor) = registry.get(kind) else {
                problems.push(registry.unknown_kind(place, kind));
                continue;
            };
            let found = accounts.load_kind(descriptor, sections);
            problems.absorb::<()>(&place, Err(found));
        }
        for descriptor in registry.iter().filter(|descriptor| descriptor.stands_alone) {
            let kind = descriptor.kind;
            if accounts.entries.keys().all(|id| id.kind.as_str() != kind) {
                let section = Value::Object(Map::from_iter([(
                    AccountName::default_name().to_string(),
                    Value::Object(Map::new()),
                )]));
                let found = accounts.load_kind(descriptor, &section);
                problems.absorb::<()>(&Path::root().then(kind), Err(found));
            }
        }
        (accounts, problems)
    }

    fn load_kind(&mut self, descriptor: &ProviderDescriptor, sections: &Value) -> Problems {
        let mut problems = Problems::none();
        let kind = Kind::from_static(descriptor.kind);
        let Value::Object(sections) = sections else {
            self.broken.insert(kind);
            return unnamed(descriptor).into();
        };
        let schema = descriptor.schema_of_account();
        let (unnamed_keys, sections): (Vec<_>, Vec<_>) = sections
            .iter()
            .partition(|(key, value)| is_key_of_account(&schema, key, value));
        if !unnamed_keys.is_empty() {
            self.broken.insert(kind.clone());
            problems.push(unnamed(descriptor));
        }
        for (name, section) in sections {
            let place = Path::root().then(name.as_str());
            let id = match AccountName::new(name.as_str()) {
                Ok(name) => AccountId {
                    kind: kind.clone(),
                    name,
                },
                Err(why) => {
                    problems.push(Problem::malformed(Code::WRONG_VALUE, place, why).at_key());
                    continue;
                }
            };
            let (is_default, found) = self.load_section(descriptor, &id, section, &schema);
            problems.absorb::<()>(&place, Err(found));
            match is_default {
                // Which one is meant where none is named is written in what cannot be read.
                None => {
                    self.broken.insert(kind.clone());
                }
                Some(false) => {}
                Some(true) => {
                    if let Some(other) = self.defaults.get(&kind) {
                        problems.push(
                            Problem::new(
                                Code::AMBIGUOUS_ACCOUNT,
                                place.then("default"),
                                format!("`{kind}.{other}` is the default already"),
                            )
                            .help("one account of a kind has `default = true`"),
                        );
                    } else {
                        self.defaults.insert(kind.clone(), id.name);
                    }
                }
            }
        }
        problems
    }

    /// Loads one section; gives whether it is the kind's default.
    fn load_section(
        &mut self,
        descriptor: &ProviderDescriptor,
        id: &AccountId,
        section: &Value,
        schema: &Value,
    ) -> (Option<bool>, Problems) {
        let mut problems = Problems::none();
        let Value::Object(map) = section else {
            let message = format!("an account is a table, not {}", load::name_of(section));
            // Whoever forgot the account's name may have written a token here.
            let why = Malformed::new(message)
                .help(format!("an account is a section `[accounts.{id}]`"))
                .sensitive();
            let problem = Problem::malformed(Code::WRONG_VALUE, Path::root(), why);
            return (None, problem.into());
        };
        let mut rest = map.clone();
        let mut flag = |key: &'static str, fallback: bool| match rest.remove(key) {
            Some(value) => problems.absorb(&Path::root().then(key), load::typed(&value)),
            None => Some(fallback),
        };
        let (is_default, enabled) = (flag("default", false), flag("enabled", true));
        let rest = Value::Object(rest);
        let account = descriptor
            .load_account(id.clone(), &rest)
            .map_err(|found| load::complete(found, &rest, || schema.clone()));
        let account = problems.absorb(&Path::root(), account);
        let entry = Entry {
            account: account.filter(|_| problems.is_empty()),
            enabled: enabled.unwrap_or(true),
        };
        self.entries.insert(id.clone(), entry);
        (is_default, problems)
    }

    /// Adds an account, for programs that build theirs in code.
    #[must_use]
    pub fn with(mut self, id: AccountId, account: Arc<dyn Account>) -> Self {
        let entry = Entry {
            account: Some(account),
            enabled: true,
        };
        self.entries.insert(id, entry);
        self
    }

    /// Returns an account that is configured and switched on.
    pub fn get(&self, id: &AccountId) -> Option<&Arc<dyn Account>> {
        self.entries
            .get(id)
            .filter(|entry| entry.enabled)
            .and_then(|entry| entry.account.as_ref())
    }

    /// Returns an account that is configured, switched on or off; `None` where its section is
    /// broken too.
    pub(crate) fn configured(&self, id: &AccountId) -> Option<&Arc<dyn Account>> {
        self.entries.get(id)?.account.as_ref()
    }

    /// Tells whether an account is configured but switched off.
    pub fn is_disabled(&self, id: &AccountId) -> bool {
        self.entries.get(id).is_some_and(|entry| !entry.enabled)
    }

    /// Walks the accounts that are switched on.
    pub fn iter(&self) -> impl Iterator<Item = (&AccountId, &Arc<dyn Account>)> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.enabled)
            .filter_map(|(id, entry)| Some((id, entry.account.as_ref()?)))
    }

    /// Lists what is allowed and unwise, with paths from the table's root: what accounts that are
    /// switched on say of themselves, and defaults that are switched off.
    pub fn warnings(&self) -> Problems {
        let mut warnings = Problems::none();
        for (id, entry) in &self.entries {
            let section = Path::root().then(id.kind.as_str()).then(id.name.as_str());
            let of_account = entry.account.iter().filter(|_| entry.enabled);
            let of_account = of_account.flat_map(|account| account.warnings());
            warnings.extend(of_account.map(|mut warning| {
                warning.weight = Weight::Warning;
                warning.under(&section)
            }));
            if !entry.enabled && self.defaults.get(&id.kind) == Some(&id.name) {
                let message = format!("`{id}` is the default account and switched off");
                warnings.push(
                    Problem::warning(Code::SWITCHED_OFF, section.then("enabled"), message)
                        .plainly("the default account is switched off")
                        .help(
                            "what names no account is recorded and not sent: make another account \
                             the default, or switch this one on",
                        ),
                );
            }
        }
        warnings
    }

    /// Finds the account that a notification is sent through: the one it names, the kind's
    /// default one, or the only one there is.
    ///
    /// # Errors
    ///
    /// When there is no such account, or several and none of them the default.
    pub fn resolve(&self, kind: &Kind, named: Option<&AccountName>) -> Result<AccountId, Problem> {
        let id = |name: &AccountName| AccountId {
            kind: kind.clone(),
            name: name.clone(),
        };
        let chosen = named.or_else(|| self.defaults.get(kind));
        if let Some(found) = chosen.map(id).filter(|id| self.entries.contains_key(id)) {
            return Ok(found);
        }
        if self.broken.contains(kind) {
            return Ok(id(chosen.unwrap_or(&AccountName::default_name())));
        }
        let names: Vec<&AccountName> = self
            .entries
            .keys()
            .filter(|id| id.kind == *kind)
            .map(|id| &id.name)
            .collect();
        let choice = chosen.or(match names.as_slice() {
            [only] => Some(*only),
            _ => None,
        });
        let list = || {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        let problem = |code, message: String| Problem::new(code, Path::root(), message);
        match choice {
            Some(name) if names.contains(&name) => Ok(id(name)),
            _ if names.is_empty() => Err(problem(
                Code::UNKNOWN_ACCOUNT,
                format!("no account of kind `{kind}` is configured"),
            )
            .help(format!(
                "add a section `[accounts.{kind}.default]` to `notify.toml`"
            ))),
            Some(name) => {
                let help = match nearest(name.as_str(), names.iter().map(|name| name.as_str())) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the accounts of kind `{kind}` are {}", list()),
                };
                let message = format!("no account `{kind}.{name}` is configured");
                Err(problem(Code::UNKNOWN_ACCOUNT, message)
                    .plainly("no such account is configured")
                    .help(help))
            }
            None => Err(problem(
                Code::AMBIGUOUS_ACCOUNT,
                format!("kind `{kind}` has several accounts and none is the default"),
            )
            .help(format!(
                "write `default = true` in one of {}, or name one with `account`",
                list()
            ))),
        }
    }
}

/// Says that the keys of an account stand where its name should be.
fn unnamed(descriptor: &ProviderDescriptor) -> Problem {
    let kind = descriptor.kind;
    Problem::new(Code::WRONG_VALUE, Path::root(), "an account needs a name")
        .help(format!(
            "begin its section with `[accounts.{kind}.default]`"
        ))
        .at_key()
}

/// Tells whether a key of a kind's table belongs into the section of an account.
fn is_key_of_account(schema: &Value, key: &str, value: &Value) -> bool {
    let of_all = matches!(key, "default" | "enabled");
    let of_kind = schema
        .get("properties")
        .and_then(|keys| keys.get(key))
        .is_some();
    match value {
        // A section may be named like a key; what refers to a secret is none.
        Value::Object(map) => {
            let is_reference = |key: &String| matches!(&**key, "env" | "file" | "command");
            of_kind && map.keys().any(is_reference)
        }
        _ => of_kind || of_all,
    }
}

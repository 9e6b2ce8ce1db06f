//! The configured accounts and how a notification finds the one it is sent through.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::load::{self, Keys};
use crate::name::{AccountName, Kind};
use crate::problem::{Code, Malformed, Path, Problem, Problems, nearest};
use crate::provider::Account;
use crate::registry::Registry;

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
    account: Arc<dyn Account>,
    enabled: bool,
}

/// Every configured account.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    entries: BTreeMap<AccountId, Entry>,
    defaults: BTreeMap<Kind, AccountName>,
}

impl Accounts {
    /// Loads the table `accounts`: kind, then name, then what the provider wants.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, with paths from the table's root.
    pub fn load(registry: &Registry, table: &Value) -> Result<Self, Problems> {
        let mut accounts = Self::default();
        let mut problems = Problems::none();
        for (kind, sections) in Keys::of(table, "`accounts`")?.rest() {
            let place = Path::root().then(kind);
            if registry.get(kind).is_none() {
                problems.push(registry.unknown_kind(place, kind));
                continue;
            }
            let loaded = accounts.load_kind(registry, kind, sections);
            problems.absorb(&place, loaded);
        }
        problems.or_value(accounts)
    }

    fn load_kind(
        &mut self,
        registry: &Registry,
        kind: &str,
        sections: &Value,
    ) -> Result<(), Problems> {
        let mut problems = Problems::none();
        for (name, section) in Keys::of(sections, "the table of a kind's accounts")?.rest() {
            let place = Path::root().then(name);
            let id = match AccountName::new(name).and_then(|name| Ok((Kind::new(kind)?, name))) {
                Ok((kind, name)) => AccountId { kind, name },
                Err(why) => {
                    problems.push(Problem::malformed(Code::WRONG_VALUE, place, why).at_key());
                    continue;
                }
            };
            let loaded = self.load_section(registry, &id, section);
            let Some(is_default) = problems.absorb(&place, loaded) else {
                continue;
            };
            if let Some(other) = self.defaults.get(&id.kind).filter(|_| is_default) {
                problems.push(
                    Problem::new(
                        Code::AMBIGUOUS_ACCOUNT,
                        place.then("default"),
                        format!("`{}.{other}` is the default already", id.kind),
                    )
                    .help("one account of a kind has `default = true`"),
                );
            } else if is_default {
                self.defaults.insert(id.kind, id.name);
            }
        }
        problems.or_value(())
    }

    /// Loads one section; gives whether it is the kind's default.
    fn load_section(
        &mut self,
        registry: &Registry,
        id: &AccountId,
        section: &Value,
    ) -> Result<bool, Problems> {
        let mut problems = Problems::none();
        let Value::Object(map) = section else {
            let message = format!("an account is a table, not {}", load::name_of(section));
            // Whoever forgot the account's name may have written a token here.
            let why = Malformed::new(message).sensitive();
            return Err(Problem::malformed(Code::WRONG_VALUE, Path::root(), why).into());
        };
        let mut rest = map.clone();
        let mut flag = |key: &'static str, fallback: bool| match rest.remove(key) {
            Some(value) => problems.absorb(&Path::root().then(key), load::typed(&value)),
            None => Some(fallback),
        };
        let (is_default, enabled) = (flag("default", false), flag("enabled", true));
        let account = registry
            .get(id.kind.as_str())
            .map(|descriptor| descriptor.load_account(id.clone(), &Value::Object(rest)));
        let account = account.and_then(|loaded| problems.absorb(&Path::root(), loaded));
        match (account, is_default, enabled) {
            (Some(account), Some(is_default), Some(enabled)) if problems.is_empty() => {
                self.entries.insert(id.clone(), Entry { account, enabled });
                Ok(is_default)
            }
            _ => Err(problems),
        }
    }

    /// Adds an account, for programs that build theirs in code.
    #[must_use]
    pub fn with(mut self, id: AccountId, account: Arc<dyn Account>) -> Self {
        let enabled = true;
        self.entries.insert(id, Entry { account, enabled });
        self
    }

    /// Returns an account that is configured and switched on.
    pub fn get(&self, id: &AccountId) -> Option<&Arc<dyn Account>> {
        self.entries
            .get(id)
            .filter(|entry| entry.enabled)
            .map(|entry| &entry.account)
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
            .map(|(id, entry)| (id, &entry.account))
    }

    /// Finds the account that a notification is sent through: the one it names, the kind's
    /// default one, or the only one there is.
    ///
    /// # Errors
    ///
    /// When there is no such account, or several and none of them the default.
    pub fn resolve(&self, kind: &Kind, named: Option<&AccountName>) -> Result<AccountId, Problem> {
        let names: Vec<&AccountName> = self
            .entries
            .keys()
            .filter(|id| id.kind == *kind)
            .map(|id| &id.name)
            .collect();
        let choice = named
            .or_else(|| self.defaults.get(kind))
            .or(match names.as_slice() {
                [only] => Some(*only),
                _ => None,
            });
        let list = || {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        let problem = |code, message: String| Problem::new(code, Path::root(), message);
        match choice {
            Some(name) if names.contains(&name) => Ok(AccountId {
                kind: kind.clone(),
                name: name.clone(),
            }),
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
                Err(problem(Code::UNKNOWN_ACCOUNT, message).help(help))
            }
            None => Err(problem(
                Code::AMBIGUOUS_ACCOUNT,
                format!("kind `{kind}` has several accounts and none is the default"),
            )
            .help(format!(
                "write `default = true` in one of {}, or name one with `account:`",
                list()
            ))),
        }
    }
}

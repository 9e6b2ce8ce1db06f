//! The kinds that this program can deliver.
//!
//! `inventory` only discovers what is linked; everything else works on an immutable [`Registry`].
//!
//! # Linking
//!
//! A provider's crate that is only listed in `Cargo.toml` is not linked into the program, and then
//! nothing of it is found. One line is enough, in the program or in any crate that the program uses:
//!
//! ```text
//! use notify_slack as _;
//! ```
//!
//! The crate `workflow-notify` holds this line for each provider that one of its features adds.
//!
//! # Static libraries
//!
//! A program that a C linker makes out of a Rust static library may leave the registrations out: what
//! nothing refers to by name is not taken from an archive. Whether it does depends on the linker and on
//! the optimization, so nobody should rely on it. Name the providers instead; each exports its
//! descriptor:
//!
//! ```text
//! let registry = Registry::of([notify_email::DESCRIPTOR, notify_slack::DESCRIPTOR])?;
//! ```
//!
//! The value is the same as that of [`Registry::discover`], and so is everything that is made of it.
//!
//! Two versions of this crate in one program are two registries: `cargo tree --duplicates` shows them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::account::AccountId;
use crate::email::Email;
use crate::load;
use crate::name::Kind;
use crate::notification::{DECLARED_UNDER, NotificationKind, Options, Recipient};
use crate::pagerduty::PagerDuty;
use crate::problem::{Code, Malformed, Path, Problem, Problems, nearest};
use crate::provider::{Account, Provider};
use crate::schema::{self, JsonSchema, Schema, SchemaGenerator};
use crate::slack::Slack;
use crate::text::shown;

/// What a provider crate tells about itself: its kind and how its three typed parts are loaded
/// and described.
#[derive(Clone)]
#[non_exhaustive]
pub struct ProviderDescriptor {
    /// The kind it delivers.
    pub kind: &'static str,
    /// One line on what it does.
    pub summary: &'static str,
    /// The crate that it comes from.
    pub crate_name: &'static str,
    /// Whether there is an account where the settings name none.
    pub(crate) stands_alone: bool,
    /// Which recipients belong to another kind.
    pub(crate) redirect: Option<Redirect>,
    load_account: LoadAccount,
    pub(crate) load_options: fn(&Value) -> Result<Arc<dyn Options>, Problems>,
    pub(crate) load_recipient: fn(&str) -> Result<Recipient, Malformed>,
    account_schema: fn(&mut SchemaGenerator) -> Schema,
    options_schema: fn(&mut SchemaGenerator) -> Schema,
    recipient_schema: fn(&mut SchemaGenerator) -> Schema,
}

/// Recipients that are declared under one kind and belong to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redirect {
    /// The kind that they belong to.
    pub(crate) kind: &'static str,
    /// Tells such a recipient from the kind's own.
    pub(crate) takes: fn(&str) -> bool,
}

type Loaded = Result<Arc<dyn Account>, Problems>;

/// How the section of an account becomes one.
#[derive(Clone)]
enum LoadAccount {
    /// By the provider alone.
    Typed(fn(AccountId, &Value) -> Loaded),
    /// With what the program gave to the descriptor.
    Shared(Arc<dyn Fn(&Value) -> Loaded + Send + Sync>),
}

impl ProviderDescriptor {
    /// Describes a provider; `crate_name` is `env!("CARGO_PKG_NAME")`.
    pub const fn of<P: Provider>(crate_name: &'static str) -> Self {
        Self {
            kind: P::Kind::KIND,
            summary: P::SUMMARY,
            crate_name,
            stands_alone: false,
            redirect: None,
            load_account: LoadAccount::Typed(|id, section| P::account(id, load::typed(section)?)),
            load_options: |options| {
                let options: <P::Kind as NotificationKind>::Options = load::typed(options)?;
                Ok(Arc::new(options))
            },
            load_recipient: |text| {
                let recipient: <P::Kind as NotificationKind>::Recipient = text.parse()?;
                Ok(Recipient::of(&recipient))
            },
            account_schema: P::Config::json_schema,
            options_schema: <P::Kind as NotificationKind>::Options::json_schema,
            recipient_schema: |generator| {
                generator.subschema_for::<<P::Kind as NotificationKind>::Recipient>()
            },
        }
    }

    /// Gives the recipients that `takes` picks out to another kind: a mail address that is declared
    /// under `pagerduty` is a recipient of `email`.
    ///
    /// What is declared for both is resolved at load: for these recipients there is a notification
    /// of the other kind, with the same phases, condition and template, through that kind's default
    /// account, and it [says](crate::Notification::declared_under) where it was declared. Account
    /// and options are those of the kind that they are written under, and do not apply to it; where
    /// all recipients belong to the other kind they would apply to nobody, and are refused.
    ///
    /// `takes` sees a text as it was written, and takes none that is a recipient of the kind itself.
    #[must_use]
    pub const fn redirects(mut self, kind: &'static str, takes: fn(&str) -> bool) -> Self {
        self.redirect = Some(Redirect { kind, takes });
        self
    }

    /// Describes a provider whose kind and account the program makes; no account needs a section.
    pub(crate) fn of_program<P: Provider>(
        kind: &'static str,
        crate_name: &'static str,
        account: impl Fn(P::Config) -> Result<Arc<dyn Account>, Problems> + Send + Sync + 'static,
    ) -> Self {
        let load = move |section: &Value| account(load::typed(section)?);
        Self {
            kind,
            stands_alone: true,
            load_account: LoadAccount::Shared(Arc::new(load)),
            ..Self::of::<P>(crate_name)
        }
    }

    /// Gives the options of a notification that says nothing.
    pub(crate) fn load_no_options(&self) -> Result<Arc<dyn Options>, Problems> {
        (self.load_options)(&Value::Object(Map::new()))
    }

    /// Tells whether the program makes it, as with [`provider_fn`](crate::provider_fn), and puts it
    /// into its registry by itself.
    pub fn is_of_program(&self) -> bool {
        matches!(self.load_account, LoadAccount::Shared(_))
    }

    /// Loads and validates the section of one account.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, with paths from the section's root.
    pub fn load_account(
        &self,
        id: AccountId,
        section: &Value,
    ) -> Result<Arc<dyn Account>, Problems> {
        match &self.load_account {
            LoadAccount::Typed(load) => load(id, section),
            LoadAccount::Shared(load) => load(section),
        }
    }
}

/// The three typed parts as an editor is told of them.
impl ProviderDescriptor {
    /// Describes the section of one account, without the keys that every account has.
    pub fn account_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.account_schema)(generator)
    }

    /// Describes what a notification can say beside phases and recipients.
    pub fn options_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.options_schema)(generator)
    }

    /// Describes a recipient in its text form.
    pub fn recipient_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.recipient_schema)(generator)
    }

    /// Gives the schema of an account's section as it stands.
    pub(crate) fn schema_of_account(&self) -> Value {
        self.account_schema(&mut schema::generator()).to_value()
    }

    /// Gives the schema of the options as it stands.
    pub(crate) fn schema_of_options(&self) -> Value {
        self.options_schema(&mut schema::generator()).to_value()
    }

    /// Returns a recipient that the kind shows as an example.
    pub fn example_of_recipient(&self) -> Option<String> {
        let mut generator = schema::generator();
        let mut schema = self.recipient_schema(&mut generator).to_value();
        let name = schema.get("$ref").and_then(Value::as_str);
        if let Some(name) = name.and_then(|name| name.strip_prefix("#/$defs/")) {
            schema = generator.definitions().get(name)?.clone();
        }
        let example = schema.get("examples")?.as_array()?.first()?;
        example.as_str().map(str::to_owned)
    }
}

impl fmt::Debug for ProviderDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind, self.crate_name)
    }
}

/// What `inventory` collects.
#[doc(hidden)]
#[derive(Debug)]
pub struct Registration(pub ProviderDescriptor);

inventory::collect!(Registration);

/// Makes a provider discoverable by every program that links its crate.
///
/// The crate must be linked: `use my_provider as _;` somewhere in the program is enough.
#[macro_export]
macro_rules! register_provider {
    ($descriptor:expr) => {
        $crate::__private::inventory::submit! {
            $crate::registry::Registration($descriptor)
        }
    };
}

/// Why there is no registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Nothing was found.
    #[error(
        "no provider is linked into this program: add `use notify_slack as _;` for each provider \
         crate, turn on the provider features of `workflow-notify`, or name the providers with \
         `Registry::of`, as a static library must"
    )]
    Empty,
    /// Two crates deliver one kind.
    #[error(
        "the kind `{kind}` is delivered by both `{first}` and `{second}`: link only one of them"
    )]
    Duplicate {
        /// The kind.
        kind: &'static str,
        /// The crate that came first by name.
        first: &'static str,
        /// The other crate.
        second: &'static str,
    },
    /// A provider gives its kind a name that files cannot hold.
    #[error("the crate `{crate_name}` names its kind `{kind}`, which cannot be one")]
    BadKind {
        /// The kind.
        kind: &'static str,
        /// The crate.
        crate_name: &'static str,
        /// What is wrong with the name.
        #[source]
        why: Malformed,
    },
    /// A provider names an option like a key that every notification has under its kind.
    #[error(
        "the crate `{crate_name}` has an option `{key}` of `{kind}`: `{key}` is every notification's"
    )]
    TakenOption {
        /// The kind.
        kind: &'static str,
        /// The crate.
        crate_name: &'static str,
        /// The key.
        key: &'static str,
    },
}

/// Keys of a notification that are no kind.
pub(crate) const RESERVED: [&str; 5] = ["phases", "when", "if_unknown", "on", DECLARED_UNDER];

/// Keys under every kind that are no option.
pub(crate) const COMMON: [&str; 3] = ["to", "account", "template"];

/// The kinds whose specs are in this crate and the crates that deliver them; the cargo feature of the
/// facade and of the program that adds one is named like the kind.
///
/// Only the help of an unknown kind reads it: a kind of anybody else needs no row.
const SHIPPED: [(&str, &str); 4] = [
    (Email::KIND, "notify-email"),
    (PagerDuty::KIND, "notify-pagerduty"),
    (Slack::KIND, "notify-slack"),
    ("webhook", "notify-webhook"),
];

/// Every kind that this program can deliver, sorted by name.
#[derive(Clone, Debug)]
pub struct Registry(Arc<BTreeMap<&'static str, ProviderDescriptor>>);

impl Registry {
    /// Collects the providers that are linked into this program. Called once, at the edge.
    ///
    /// A static library may discover nothing; it names its providers with [`Registry::of`].
    ///
    /// # Errors
    ///
    /// When there is none, when two deliver one kind, or when a kind or an option has a name that is
    /// taken.
    pub fn discover() -> Result<Self, RegistryError> {
        Self::of(
            inventory::iter::<Registration>
                .into_iter()
                .map(|found| found.0.clone()),
        )
    }

    /// Collects these providers: for tests, and for static libraries, which discover nothing.
    ///
    /// # Errors
    ///
    /// When there is none, when two deliver one kind, or when a kind or an option has a name that is
    /// taken.
    pub fn of(
        descriptors: impl IntoIterator<Item = ProviderDescriptor>,
    ) -> Result<Self, RegistryError> {
        let mut sorted: Vec<ProviderDescriptor> = descriptors.into_iter().collect();
        sorted.sort_by_key(|descriptor| (descriptor.kind, descriptor.crate_name));
        let mut by_kind = BTreeMap::new();
        for descriptor in sorted {
            let ProviderDescriptor {
                kind, crate_name, ..
            } = descriptor;
            let reserved = Malformed::new("the name is a key of every notification");
            let named = match Kind::new(kind) {
                Ok(_) if RESERVED.contains(&kind) => Err(reserved),
                other => other,
            };
            named.map_err(|why| RegistryError::BadKind {
                kind,
                crate_name,
                why,
            })?;
            let options = descriptor.schema_of_options();
            let options = options.get("properties");
            let is_option = |key: &&str| options.is_some_and(|options| options.get(*key).is_some());
            if let Some(key) = COMMON.into_iter().find(is_option) {
                return Err(RegistryError::TakenOption {
                    kind,
                    crate_name,
                    key,
                });
            }
            let earlier: Option<ProviderDescriptor> = by_kind.insert(kind, descriptor);
            if let Some(earlier) = earlier {
                return Err(RegistryError::Duplicate {
                    kind,
                    first: earlier.crate_name,
                    second: crate_name,
                });
            }
        }
        if by_kind.is_empty() {
            return Err(RegistryError::Empty);
        }
        Ok(Self(Arc::new(by_kind)))
    }

    /// Adds a provider that is not linked in: one of [`provider_fn`](crate::provider_fn).
    ///
    /// # Errors
    ///
    /// When another delivers its kind, or when the kind or an option cannot have that name.
    pub fn with(self, descriptor: ProviderDescriptor) -> Result<Self, RegistryError> {
        Self::of(self.iter().cloned().chain([descriptor]))
    }

    /// Walks the providers in the order of their kinds.
    pub fn iter(&self) -> impl Iterator<Item = &ProviderDescriptor> {
        self.0.values()
    }

    /// Walks the names of the kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Returns the provider of a kind.
    pub fn get(&self, kind: &str) -> Option<&ProviderDescriptor> {
        self.0.get(kind)
    }

    /// Says that no provider has this kind, what was probably meant, and what would add it.
    pub fn unknown_kind(&self, path: Path, kind: &str) -> Problem {
        let shipped = SHIPPED.iter().map(|(name, _)| *name);
        let meant = nearest(kind, self.kinds().chain(shipped));
        let absent = meant.and_then(|name| {
            let (_, crate_name) = SHIPPED.iter().find(|(shipped, _)| *shipped == name)?;
            self.get(name).is_none().then_some((name, *crate_name))
        });
        let list = self
            .kinds()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let guess = match meant {
            Some(name) if name != kind => format!("did you mean `{name}`? "),
            _ => String::new(),
        };
        let more = match absent {
            Some((name, crate_name)) => format!(
                "`{name}` comes with the crate `{crate_name}`, which the cargo feature `{name}` of \
                 `workflow-notify` and of `notify-cli` adds"
            ),
            None => "another comes with its provider's crate".to_owned(),
        };
        let message = format!("unknown kind `{}`", shown(kind));
        Problem::new(Code::UNKNOWN_KIND, path, message)
            .help(format!("{guess}the kinds linked in are {list}; {more}"))
            .at_key()
    }
}

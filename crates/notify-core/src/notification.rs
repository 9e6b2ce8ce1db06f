//! The declared spec: who is told, when and how.
//!
//! Rust code builds one from [`NotificationKind::on`]; files and stored records come in through
//! [`Registry::load_notification`](crate::Registry::load_notification). Both end in [`Notification`],
//! and both give the same value.

use std::any::Any;
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::condition::Condition;
use crate::name::{AccountName, Kind};
use crate::phase::Phases;
use crate::problem::Malformed;

/// A kind of notification: its name, the form of its recipients, its options.
///
/// Implemented by a unit type: [`Email`](crate::Email), [`Slack`](crate::Slack), or yours.
pub trait NotificationKind: 'static {
    /// The name in files, on the wire and in the ledger.
    const KIND: &'static str;
    /// What a notification of this kind can say beside phases and recipients.
    type Options: NotificationOptions;
    /// The form of its recipients; the text form must read back as the same value. Its schema
    /// is that of the text form and takes every text that is read.
    type Recipient: FromStr<Err = Malformed>
        + fmt::Display
        + JsonSchema
        + Clone
        + Eq
        + Debug
        + Send
        + Sync;

    /// Begins a notification for these phases.
    fn on(phases: impl Into<Phases>) -> Draft<Self>
    where
        Self: Sized,
    {
        Draft {
            phases: phases.into(),
            kind: PhantomData,
        }
    }
}

/// What is done with a delivery when nobody knows whether it arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfUnknown {
    /// It is sent again, with the vendor's idempotency aid where there is one: rather twice than
    /// not at all.
    #[default]
    Resend,
    /// It is held until somebody replays or drops it: rather not at all than twice.
    Hold,
}

/// The typed options of a kind: a struct whose wire form refuses unknown keys.
pub trait NotificationOptions:
    Serialize + DeserializeOwned + JsonSchema + Default + Debug + PartialEq + Send + Sync + 'static
{
    /// The version of the stored form; raise it when an old record no longer loads.
    const VERSION: u32 = 1;

    /// Lists recipients that stand in the options, each with its key: those of a copy.
    fn copies(&self) -> Vec<(&'static str, Recipient)> {
        Vec::new()
    }
}

/// Options whose kind is not known where they are held.
pub trait Options: Any + Debug + Send + Sync {
    /// Gives the stored form.
    fn to_value(&self) -> Value;
    /// Returns the version of the stored form.
    fn version(&self) -> u32;

    /// Lists recipients that stand in the options, each with its key.
    fn copies(&self) -> Vec<(&'static str, Recipient)>;
    /// Gives the options as [`Any`], for [`Notification::options`].
    fn as_any(&self) -> &dyn Any;
}

impl<T: NotificationOptions> Options for T {
    fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|_| json!({}))
    }

    fn version(&self) -> u32 {
        T::VERSION
    }

    fn copies(&self) -> Vec<(&'static str, Recipient)> {
        NotificationOptions::copies(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A notification that has phases and, so far, no recipient. It cannot be declared or sent.
pub struct Draft<K: NotificationKind> {
    phases: Phases,
    kind: PhantomData<K>,
}

impl<K: NotificationKind> Draft<K> {
    /// Adds the first recipient.
    pub fn to(self, first: impl Into<K::Recipient>) -> Spec<K> {
        Spec {
            phases: self.phases,
            when: None,
            if_unknown: IfUnknown::Resend,
            account: None,
            recipients: vec![first.into()],
            template: None,
            options: K::Options::default(),
        }
    }
}

/// A complete notification of a known kind.
#[derive(Debug)]
pub struct Spec<K: NotificationKind> {
    phases: Phases,
    when: Option<Condition>,
    if_unknown: IfUnknown,
    account: Option<AccountName>,
    recipients: Vec<K::Recipient>,
    template: Option<Arc<str>>,
    options: K::Options,
}

impl<K: NotificationKind> Spec<K> {
    /// Adds a recipient; one that is there already is not added again.
    ///
    /// # Errors
    ///
    /// When the recipient is a text that is not of the kind's form.
    pub fn and<R: TryInto<K::Recipient>>(mut self, recipient: R) -> Result<Self, R::Error> {
        let recipient = recipient.try_into()?;
        if !self.recipients.contains(&recipient) {
            self.recipients.push(recipient);
        }
        Ok(self)
    }

    /// Sends only where the condition holds.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.when = Some(condition);
        self
    }

    /// Says what is done when nobody knows whether a delivery arrived.
    #[must_use]
    pub fn if_unknown(mut self, choice: IfUnknown) -> Self {
        self.if_unknown = choice;
        self
    }

    /// Sends through this account instead of the kind's default one.
    #[must_use]
    pub fn account(mut self, account: AccountName) -> Self {
        self.account = Some(account);
        self
    }

    /// Says in the author's own words what happened: Markdown with fields of the event.
    ///
    /// It is checked when the engine starts.
    #[must_use]
    pub fn template(mut self, source: impl Into<Arc<str>>) -> Self {
        self.template = Some(source.into());
        self
    }

    /// Changes the options.
    #[must_use]
    pub fn options(mut self, change: impl FnOnce(&mut K::Options)) -> Self {
        change(&mut self.options);
        self
    }
}

impl<K: NotificationKind> From<Spec<K>> for Notification {
    fn from(spec: Spec<K>) -> Self {
        Self {
            phases: spec.phases,
            when: spec.when,
            if_unknown: spec.if_unknown,
            kind: Kind::from_static(K::KIND),
            declared_under: None,
            account: spec.account,
            to_default: false,
            recipients: spec.recipients.iter().map(Recipient::of).collect(),
            places: Vec::new(),
            template: spec.template,
            options: Arc::new(spec.options),
        }
    }
}

/// A recipient in its text form, checked by the kind it belongs to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipient(Arc<str>);

impl Recipient {
    /// Takes a typed recipient.
    pub fn of(recipient: &impl fmt::Display) -> Self {
        Self(recipient.to_string().into())
    }

    /// Gives the typed recipient back.
    ///
    /// # Errors
    ///
    /// When it was checked by another kind, or by an older version with other rules.
    pub fn typed<R: FromStr<Err = Malformed>>(&self) -> Result<R, Malformed> {
        self.0.parse()
    }

    /// Returns the text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The key under which the stored form names the kind that a notification was declared under.
pub const DECLARED_UNDER: &str = "declared_under";

/// A declared notification: phases, condition, kind, account, recipients, options.
///
/// There is no way to make one without a phase. One without a recipient can come of the partial
/// loaders alone ([`Registry::load_workflow_partly`](crate::Registry::load_workflow_partly)); a
/// [`Config`](crate::Config) gives it those of its account, or refuses it.
#[derive(Clone, Debug)]
pub struct Notification {
    pub(crate) phases: Phases,
    pub(crate) when: Option<Condition>,
    pub(crate) if_unknown: IfUnknown,
    pub(crate) kind: Kind,
    /// The kind that gave its recipients to this one.
    pub(crate) declared_under: Option<Kind>,
    pub(crate) account: Option<AccountName>,
    /// Whether it names nobody, so that its account says who is told.
    pub(crate) to_default: bool,
    pub(crate) recipients: Vec<Recipient>,
    /// Where each recipient was declared, before repeated ones were merged; empty where nothing was.
    pub(crate) places: Vec<usize>,
    pub(crate) template: Option<Arc<str>>,
    pub(crate) options: Arc<dyn Options>,
}

impl Notification {
    /// Returns the phases it is sent for.
    pub fn phases(&self) -> Phases {
        self.phases
    }

    /// Returns the condition, where there is one.
    pub fn when(&self) -> Option<&Condition> {
        self.when.as_ref()
    }

    /// Says what is done when nobody knows whether a delivery arrived.
    pub fn if_unknown(&self) -> IfUnknown {
        self.if_unknown
    }

    /// Returns the kind.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Returns the account it names; `None` means the kind's default one.
    pub fn account(&self) -> Option<&AccountName> {
        self.account.as_ref()
    }

    /// Returns the kind that it was declared under, where that one
    /// [gave its recipients](crate::ProviderDescriptor::redirects) to this one.
    pub fn declared_under(&self) -> Option<&Kind> {
        self.declared_under.as_ref()
    }

    /// Returns the recipients; there is at least one.
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// Tells whether it names nobody itself: its recipients are the
    /// [default ones](crate::Account::default_recipients) of its account.
    pub fn is_to_default(&self) -> bool {
        self.to_default
    }

    /// Tells those whom the account names, each once.
    pub(crate) fn to(&mut self, defaults: Vec<Recipient>) {
        for recipient in defaults {
            if !self.recipients.contains(&recipient) {
                self.recipients.push(recipient);
            }
        }
    }

    /// Lists recipients that stand in the options, each with its key: those of a copy.
    pub fn copies(&self) -> Vec<(&'static str, Recipient)> {
        self.options.copies()
    }

    /// Lists everybody who gets a delivery, once each: the recipients, then those of a copy.
    pub fn everybody(&self) -> Vec<Recipient> {
        let mut all = self.recipients.clone();
        for (_, copy) in self.copies() {
            if !all.contains(&copy) {
                all.push(copy);
            }
        }
        all
    }

    /// Returns the recipients with their places in the declaration, counted from zero.
    ///
    /// A repeated recipient is merged with the first of its kind, so places can have gaps.
    pub fn declared(&self) -> impl Iterator<Item = (usize, &Recipient)> {
        let place = |index| self.places.get(index).copied().unwrap_or(index);
        self.recipients
            .iter()
            .enumerate()
            .map(move |(index, recipient)| (place(index), recipient))
    }

    /// Returns the source of the message's template, where the author wrote one.
    pub fn template(&self) -> Option<&str> {
        self.template.as_deref()
    }

    /// Returns the options as their own type; `None` where the kind has another.
    pub fn options<T: NotificationOptions>(&self) -> Option<&T> {
        self.options.as_any().downcast_ref()
    }

    /// Returns the version of the options' stored form.
    pub fn options_version(&self) -> u32 {
        self.options.version()
    }

    /// Gives the long form as a value, which loads as the same notification.
    pub fn to_value(&self) -> Value {
        let mut body = match self.options.to_value() {
            Value::Object(options) => options,
            _ => Map::new(),
        };
        let recipients: Vec<&str> = self.recipients.iter().map(Recipient::as_str).collect();
        if !recipients.is_empty() {
            body.insert("to".to_owned(), json!(recipients));
        }
        if let Some(account) = &self.account {
            body.insert("account".to_owned(), json!(account));
        }
        if let Some(template) = &self.template {
            body.insert("template".to_owned(), json!(&**template));
        }
        let phases: Vec<_> = self.phases.iter().collect();
        let mut value = Map::new();
        value.insert("phases".to_owned(), json!(phases));
        if let Some(when) = &self.when {
            value.insert("when".to_owned(), json!(when));
        }
        if self.if_unknown != IfUnknown::default() {
            value.insert("if_unknown".to_owned(), json!(self.if_unknown));
        }
        if let Some(kind) = &self.declared_under {
            value.insert(DECLARED_UNDER.to_owned(), json!(kind));
        }
        value.insert(self.kind.to_string(), Value::Object(body));
        Value::Object(value)
    }
}

impl PartialEq for Notification {
    fn eq(&self, other: &Self) -> bool {
        self.to_value() == other.to_value()
    }
}

//! What the suite is told about a provider.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use notify_core::secret::SecretString;
use notify_core::{
    Payload, ProviderDescriptor, Registry, RegistryError, SecretError, SecretRef, SecretSource,
};
use serde_json::{Value, json};

use crate::fake::Request;
use crate::provider::wire::Wire;

/// Where the vendor's fake listens, for a section and for secrets that are addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(pub(crate) SocketAddr);

impl At {
    /// Returns an HTTP address with this path, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0)
    }

    /// Returns host and port.
    pub fn socket(&self) -> SocketAddr {
        self.0
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

type Section = Box<dyn Fn(&At) -> Value + Send + Sync>;
type SecretAt = Box<dyn Fn(&At) -> String + Send + Sync>;
type InRequest = Box<dyn Fn(&Request) -> Option<String> + Send + Sync>;
type Measure = Box<dyn Fn(&Payload) -> usize + Send + Sync>;
type Accepts = Box<dyn Fn(&Payload) -> bool + Send + Sync>;
type Alive = Box<dyn Fn(&Payload) -> bool + Send + Sync>;

/// One provider and all that the suite has to know of it.
///
/// Descriptor, account section and notification are needed; each further line brings the cases that
/// need it. A case that nothing is said about is reported as skipped, by name and with the reason.
///
/// No time passes while the suite runs: the provider's limits of time are timers of tokio, and the
/// suite turns tokio's clock.
///
/// ```
/// use notify_core::{Payload, ProviderDescriptor};
/// use notify_testkit::fake::Reply;
/// use notify_testkit::provider::{Fixture, Http};
/// use serde_json::{Value, json};
///
/// fn fixture(descriptor: ProviderDescriptor) -> Fixture {
///     // The vendor as its documentation has it.
///     let vendor = Http::delivered(Reply::json(200, &json!({"id": "m1"})))
///         .answer(Reply::json(401, &json!({"code": 40101})), "rejected auth")
///         .answer(Reply::new(413), "rejected payload")
///         .answer(Reply::new(429).header("retry-after", "17"), "not_delivered throttled 17s")
///         .answer(Reply::new(507), "not_delivered unavailable");
///     Fixture::new(descriptor)
///         // An account that sends to the fake, its secrets, and one with mistakes.
///         .account(|at| json!({"server": at.url("/"), "token": {"env": "TOKEN"}}))
///         .secret("TOKEN", "tk-hunter2-hunter2")
///         .wrong_account(json!({"server": 7, "colour": "red"}), &["server", "colour"])
///         // What stands under the kind, with every option.
///         .notification(json!({"to": ["alerts", "night-shift"], "priority": 4}))
///         .wire(vendor)
///         // Whom a request is for, and where the vendor recognizes a repeat.
///         .recipient(|request| request.json_text("/topic"))
///         .idempotency_aid(|request| request.json_text("/sequence_id"))
///         // What the vendor wants, what it bounds, and what it acts on.
///         .accepts("a message that is not empty", |payload| !text(payload).is_empty())
///         .limit("bytes of `message`", 4_096, |payload| text(payload).len())
///         .live("@everyone", |payload| text(payload).contains("@everyone"))
/// }
///
/// fn text(payload: &Payload) -> String {
///     let body: Value = serde_json::from_slice(&payload.body).unwrap_or_default();
///     body["message"].as_str().unwrap_or_default().to_owned()
/// }
/// ```
#[must_use]
pub struct Fixture {
    pub(crate) registry: Result<Registry, RegistryError>,
    pub(crate) kind: String,
    /// Whether a program that links the crate must find the kind by itself.
    pub(crate) linked: bool,
    section: Section,
    pub(crate) wrong: Option<(Value, Vec<String>)>,
    secrets: Vec<(String, SecretAt)>,
    notification: Value,
    pub(crate) older: Vec<Value>,
    pub(crate) wire: Option<Arc<dyn Wire>>,
    pub(crate) aid: Option<InRequest>,
    pub(crate) recipient: Option<InRequest>,
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) live: Vec<Live>,
}

/// Something of a payload that the vendor bounds.
pub(crate) struct Limit {
    pub(crate) what: String,
    pub(crate) most: usize,
    pub(crate) measure: Measure,
}

/// Something that the vendor wants of every payload.
pub(crate) struct Accepted {
    pub(crate) what: String,
    pub(crate) accepts: Accepts,
}

/// A text that would do something at the vendor if it got there as it is.
pub(crate) struct Live {
    pub(crate) text: String,
    pub(crate) alive: Alive,
}

impl Fixture {
    /// Begins with what the crate registers.
    pub fn new(descriptor: ProviderDescriptor) -> Self {
        let kind = descriptor.kind;
        let linked = !descriptor.is_of_program();
        Self {
            linked,
            ..Self::with(Registry::of([descriptor]), kind)
        }
    }

    /// Begins with a kind of a registry that was put together by hand.
    pub fn in_registry(registry: Registry, kind: &str) -> Self {
        Self::with(Ok(registry), kind)
    }

    fn with(registry: Result<Registry, RegistryError>, kind: &str) -> Self {
        Self {
            registry,
            kind: kind.to_owned(),
            linked: false,
            section: Box::new(|_| json!({})),
            wrong: None,
            secrets: Vec::new(),
            notification: Value::Null,
            older: Vec::new(),
            wire: None,
            aid: None,
            recipient: None,
            accepted: Vec::new(),
            limits: Vec::new(),
            live: Vec::new(),
        }
    }

    /// Gives a good section `[accounts.KIND.NAME]` that sends to the fake.
    pub fn account(mut self, section: impl Fn(&At) -> Value + Send + Sync + 'static) -> Self {
        self.section = Box::new(section);
        self
    }

    /// Gives a section with at least two mistakes, and their places: `["timeout", "services.a b"]`;
    /// what concerns the section as a whole, such as a missing key, is at `""`.
    pub fn wrong_account(mut self, section: Value, places: &[&str]) -> Self {
        let places = places.iter().map(|&place| place.to_owned()).collect();
        self.wrong = Some((section, places));
        self
    }

    /// Gives the secret behind `{ env = NAME }`; at least 8 characters that occur nowhere else.
    pub fn secret(self, name: &str, value: &str) -> Self {
        let value = value.to_owned();
        self.secret_at(name, move |_| value.clone())
    }

    /// Gives a secret that holds the fake's address, as a webhook's URL does.
    pub fn secret_at(
        mut self,
        name: &str,
        value: impl Fn(&At) -> String + Send + Sync + 'static,
    ) -> Self {
        self.secrets.push((name.to_owned(), Box::new(value)));
        self
    }

    /// Gives what stands under the kind in a notification, in any of its forms:
    /// `json!(["#alerts"])`, `json!({"to": ["#alerts", "#ops"], "priority": 5})`.
    pub fn notification(mut self, body: Value) -> Self {
        self.notification = body;
        self
    }

    /// Gives a body as an older version of the options had it; it must still load.
    pub fn older_notification(mut self, body: Value) -> Self {
        self.older.push(body);
        self
    }

    /// Says what the vendor is like: [`Http`](crate::provider::Http),
    /// [`Smtp`](crate::provider::Smtp), or a [`Wire`] of one's own.
    pub fn wire(mut self, wire: impl Wire + 'static) -> Self {
        self.wire = Some(Arc::new(wire));
        self
    }

    /// Says what in a request tells whom it is for: the recipient, or what the account has for it,
    /// such as a token of its own. The notification names two recipients then.
    pub fn recipient(
        mut self,
        recipient: impl Fn(&Request) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.recipient = Some(Box::new(recipient));
        self
    }

    /// Says where a request carries the vendor's idempotency aid.
    pub fn idempotency_aid(
        mut self,
        aid: impl Fn(&Request) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.aid = Some(Box::new(aid));
        self
    }

    /// States what the vendor wants of every payload, whatever the message: `.accepts("a message that
    /// is not empty", |payload| …)`.
    pub fn accepts(
        mut self,
        what: &str,
        accepts: impl Fn(&Payload) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (what, accepts) = (what.to_owned(), Box::new(accepts));
        self.accepted.push(Accepted { what, accepts });
        self
    }

    /// States a limit of the vendor's, and how much of it a payload takes, in the vendor's unit.
    pub fn limit(
        mut self,
        what: &str,
        most: usize,
        measure: impl Fn(&Payload) -> usize + Send + Sync + 'static,
    ) -> Self {
        let (what, measure) = (what.to_owned(), Box::new(measure));
        self.limits.push(Limit {
            what,
            most,
            measure,
        });
        self
    }

    /// Names a text that the vendor would act on, and how to see in a payload that it would:
    /// `.live("<!channel>", |payload| …)`.
    pub fn live(
        mut self,
        text: &str,
        alive: impl Fn(&Payload) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (text, alive) = (text.to_owned(), Box::new(alive));
        self.live.push(Live { text, alive });
        self
    }

    pub(crate) fn section(&self, at: At) -> Value {
        (self.section)(&at)
    }

    pub(crate) fn declared(&self, body: &Value) -> Value {
        let mut notification = json!({"phases": ["failed"]});
        notification[self.kind.as_str()] = body.clone();
        notification
    }

    pub(crate) fn body(&self) -> &Value {
        &self.notification
    }

    pub(crate) fn secrets(&self, at: At) -> Vault {
        let value = |(name, value): &(String, SecretAt)| (name.clone(), value(&at));
        Vault(self.secrets.iter().map(value).collect())
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fixture({})", self.kind)
    }
}

/// The fixture's secrets, by the names of their variables.
#[derive(Clone)]
pub(crate) struct Vault(pub(crate) Vec<(String, String)>);

impl Vault {
    /// Finds what of a text nobody may repeat: a secret, or a telling part of an address.
    pub(crate) fn leak(&self, text: &str) -> Option<String> {
        // Shorter parts of an address are words such as `services`, which tell nothing.
        const TELLING: usize = 9;
        let parts = |value: &String| -> Vec<String> {
            let path = value.split_once("://").and_then(|(_, rest)| {
                let (_, path) = rest.split_once('/')?;
                Some(path.split(['/', '?', '&', '=']))
            });
            let parts = path.into_iter().flatten().filter(|it| it.len() >= TELLING);
            parts
                .map(str::to_owned)
                .chain([value.trim().to_owned()])
                .collect()
        };
        let all = self.0.iter().flat_map(|(_, value)| parts(value));
        let found = all.into_iter().find(|part| text.contains(part.as_str()));
        found.filter(|part| !part.is_empty())
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.0.iter().map(|(name, _)| name).collect();
        write!(f, "Vault({names:?})")
    }
}

impl SecretSource for Vault {
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let wanted = match reference {
            SecretRef::Env(name) => name.clone(),
            SecretRef::File(path) => path.display().to_string(),
            other => other.to_string(),
        };
        let found = self.0.iter().find(|(name, _)| *name == wanted);
        let found = found.map(|(_, value)| value.clone().into());
        found.ok_or_else(|| SecretError {
            reference: reference.clone(),
            why: "the fixture has no such secret".to_owned(),
        })
    }
}

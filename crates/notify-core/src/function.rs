//! A provider that is one function of the program: for a hook of an embedder's own.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::AccountId;
use crate::content::Message;
use crate::fit::{fit, shorten};
use crate::name::FreeName;
use crate::notification::{Notification, NotificationKind, NotificationOptions, Recipient};
use crate::outcome::{Outcome, Reason};
use crate::problem::{Code, Malformed, Path, Problem, Problems};
use crate::provider::{
    Account, Capabilities, Delivery, DeliveryContext, DeliveryId, Payload, Prepared, Provider,
    Target, Transport,
};
use crate::registry::ProviderDescriptor;
use crate::secret::{SecretRef, Secrets};
use crate::time::Timeout;

/// Makes a provider of a function: kind, message and recipient in, outcome out.
///
/// ```
/// use notify_core::{Accounts, Outcome, Problems, Receipt, Registry, provider_fn};
/// use serde_json::json;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let desk = provider_fn("desk", |message, recipient| async move {
///     println!("{recipient}: {}\n{}", message.headline, message.text);
///     Outcome::Delivered(Receipt::new(message.id.to_string()))
/// });
/// let registry = Registry::of([desk])?; // or `Registry::discover()?.with(desk)?`
///
/// let told = registry.load_notification(&json!({"phases": "failed", "desk": ["night shift"]}))?;
/// let accounts = Accounts::load(&registry, &json!({}))?;
/// let account = accounts.resolve(told.kind(), None).map_err(Problems::from)?;
/// assert_eq!(account.to_string(), "desk.default");
/// # Ok(())
/// # }
/// ```
///
/// A kind of this sort is like any other: it is declared in files and in templates, stands in the
/// outbox, and is retried as its [`Outcome`] says. A function that panics has made an attempt
/// with unknown outcome, and so has one that is not done by the deadline: it is dropped where it
/// waits. A function must not retry, and should pass [`id`](PlainMessage::id) on to whoever can
/// tell a repeat by it.
///
/// - **Recipients** are free names: see [`FreeName`]. There are no **options**.
/// - The **account** needs no section in `notify.toml`. It is `default`, and it may have one:
///   `timeout` is how long one call may take, ten seconds where nothing is said, and
///   `enabled = false` switches it off.
/// - Each recipient is a **lane** of its own.
///
/// In code, a unit type stands for the kind:
///
/// ```
/// use notify_core::function::NoOptions;
/// use notify_core::{FreeName, Notification, NotificationKind, phases};
///
/// struct Desk;
///
/// impl NotificationKind for Desk {
///     const KIND: &'static str = "desk";
///     type Options = NoOptions;
///     type Recipient = FreeName;
/// }
///
/// # fn main() -> Result<(), notify_core::Malformed> {
/// let told: Notification = Desk::on(phases![Failed]).to(FreeName::new("night shift")?).into();
/// # Ok(())
/// # }
/// ```
pub fn provider_fn<F, R>(kind: &'static str, deliver: F) -> ProviderDescriptor
where
    F: Fn(PlainMessage, String) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    let function = Function(Arc::new(move |message, recipient| {
        Box::pin(deliver(message, recipient))
    }));
    ProviderDescriptor::of_program::<FunctionProvider>(kind, "provider_fn", move |config| {
        Ok(Arc::new(FunctionAccount {
            function: function.clone(),
            timeout: config.timeout,
        }))
    })
}

/// A message in plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlainMessage {
    /// The delivery's identity: the same on every attempt.
    pub id: DeliveryId,
    /// One line that says it all, at most 1 KiB.
    pub headline: String,
    /// Everything else, at most 16 KiB with the headline.
    pub text: String,
}

/// The options of a kind that has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NoOptions {}

impl NotificationOptions for NoOptions {}

/// The most of a headline, in bytes.
const MAX_HEADLINE: usize = 1024;

/// The most that a function is given, in bytes.
const MAX_MESSAGE: usize = 16 * 1024;

type Deliver =
    dyn Fn(PlainMessage, String) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync;

#[derive(Clone)]
struct Function(Arc<Deliver>);

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function")
    }
}

/// The parts that all functions have in common; kind and account are the descriptor's.
struct FunctionProvider;

impl NotificationKind for FunctionProvider {
    const KIND: &'static str = "";
    type Options = NoOptions;
    type Recipient = FreeName;
}

impl Provider for FunctionProvider {
    type Kind = Self;
    type Config = Config;
    const SUMMARY: &'static str = "a call of the program itself";

    fn account(_: AccountId, _: Config) -> Result<Arc<dyn Account>, Problems> {
        let message = "there is no function";
        Err(Problem::new(Code::WRONG_VALUE, Path::root(), message).into())
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The longest that one call may take: `1s` to `60s`.
    #[serde(default)]
    timeout: Timeout,
}

#[derive(Debug)]
struct FunctionAccount {
    function: Function,
    timeout: Timeout,
}

impl Account for FunctionAccount {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        Ok(Target::lane(to.as_str()))
    }

    fn payload(&self, _: &Delivery<'_>, message: &Message) -> Payload {
        let words = |message: &Message| Words {
            headline: shorten(&message.headline, MAX_HEADLINE, str::len).into_owned(),
            text: message.plain_text(),
        };
        let size = |message: &Message| {
            let Words { headline, text } = words(message);
            headline.len() + text.len()
        };
        Payload::json(&words(&fit(message, MAX_MESSAGE, size)))
    }

    fn deadline(&self) -> Duration {
        self.timeout.request()
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        Vec::new()
    }

    fn connect(&self, _: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        Ok(Arc::new(self.function.clone()))
    }
}

/// What a payload holds.
#[derive(Serialize, Deserialize)]
struct Words {
    headline: String,
    text: String,
}

#[async_trait]
impl Transport for Function {
    async fn deliver(&self, _: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for prepared in batch {
            let outcome = match serde_json::from_slice(&prepared.payload.body) {
                Ok(Words { headline, text }) => {
                    let id = prepared.id;
                    let message = PlainMessage { id, headline, text };
                    (self.0)(message, prepared.recipient.as_str().to_owned()).await
                }
                Err(err) => Outcome::rejected(Reason::Payload, err.to_string()),
            };
            outcomes.push(outcome);
        }
        outcomes
    }
}

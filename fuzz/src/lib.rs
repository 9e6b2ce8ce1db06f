//! What the targets share: providers of the kinds of core that load everything and send nothing.

use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use notify_config::Diagnostic;
use notify_core::{
    Account, AccountId, Capabilities, Delivery, Email, Malformed, Message, Notification,
    NotificationKind, PagerDuty, Payload, Problem, Problems, Provider, ProviderDescriptor,
    Recipient, Registry, SecretRef, Secrets, Slack, Target, Transport,
};

/// The kinds of core.
pub static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let descriptors = [
        ProviderDescriptor::of::<Idle<Email>>("fuzz"),
        ProviderDescriptor::of::<Idle<Slack>>("fuzz"),
        ProviderDescriptor::of::<Idle<PagerDuty>>("fuzz"),
    ];
    Registry::of(descriptors).expect("three kinds, each once")
});

struct Idle<K>(PhantomData<K>);

impl<K: NotificationKind> Provider for Idle<K> {
    type Kind = K;
    type Config = SecretRef;
    const SUMMARY: &'static str = "";

    fn account(_: AccountId, secret: SecretRef) -> Result<Arc<dyn Account>, Problems> {
        Ok(Arc::new(IdleAccount(secret)))
    }
}

#[derive(Debug)]
struct IdleAccount(SecretRef);

impl Account for IdleAccount {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    fn target(&self, _: &Notification, _: &Recipient) -> Result<Target, Problem> {
        Ok(Target::lane(""))
    }

    fn payload(&self, _: &Delivery<'_>, _: &Message) -> Payload {
        Payload::json(&())
    }

    fn deadline(&self) -> Duration {
        Duration::ZERO
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        vec![&self.0]
    }

    fn connect(&self, _: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        Err(Malformed::new("nothing to connect to"))
    }
}

/// Asserts that each problem says something, at a place that there is.
pub fn check_places<'a>(text: &str, found: impl IntoIterator<Item = &'a Diagnostic>) {
    for diagnostic in found {
        assert!(!diagnostic.message().is_empty());
        let Some(span) = diagnostic.span() else {
            continue;
        };
        assert!(text.get(span.clone()).is_some(), "{span:?}: {diagnostic}");
        let (line, column) = diagnostic.position().expect("a place has a line");
        assert!(line > 0 && column > 0);
    }
}

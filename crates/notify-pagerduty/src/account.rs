//! One PagerDuty account: its services, what is sent, what belongs together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use notify_core::problem::nearest;
use notify_core::secret::{ExposeSecret, SecretString};
use notify_core::{
    Account, Capabilities, Code, Continuity, Delivery, Limits, Malformed, Message, Notification,
    PagerDutyService, Path, Payload, Problem, Rate, Recipient, SecretRef, Secrets, Target,
    Transport,
};
use notify_http::{BaseUrl, HttpClient};

use crate::message;
use crate::transport::EventsTransport;

/// The length of every routing key.
const KEY_CHARS: usize = 32;

/// A validated account.
#[derive(Clone, Debug)]
pub(crate) struct PagerDutyAccount {
    pub(crate) services: BTreeMap<String, SecretRef>,
    pub(crate) base_url: BaseUrl,
    pub(crate) timeout: Duration,
}

impl Account for PagerDutyAccount {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none().closes()
    }

    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        let service: PagerDutyService = to
            .typed()
            .map_err(|why| Problem::malformed(Code::MALFORMED_RECIPIENT, Path::root(), why))?;
        let name = service.as_str();
        if self.services.contains_key(name) {
            // PagerDuty limits calls by routing key, and knows alerts by routing key and dedup key.
            return Ok(Target::lane(name).conversation(Continuity::Workflow));
        }
        let known: Vec<&str> = self.services.keys().map(String::as_str).collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the account's services are `{}`", known.join("`, `")),
        };
        let message = format!("the account has no service `{name}`");
        Err(
            Problem::new(Code::UNREACHABLE_RECIPIENT, Path::root(), message)
                .plainly("the account has no such service")
                .help(help),
        )
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        Payload::json(&message::body(delivery, message))
    }

    /// About 120 events a minute for each integration key, over a sliding minute: a burst of 60 and
    /// one a second stay below it.
    /// <https://developer.pagerduty.com/docs/events-api-v2-overview>
    fn limits(&self) -> Limits {
        Limits::none().lane(Rate::new(Duration::from_secs(1), 60))
    }

    fn deadline(&self) -> Duration {
        // A little more, so that the call's own timeout, which knows what was sent, comes first.
        self.timeout + Duration::from_secs(1)
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        self.services.values().collect()
    }

    fn connect(&self, secrets: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        // A key that is missing or malformed concerns its own service and no other.
        let key = |(service, reference): (&String, &SecretRef)| {
            let key = secrets.get(reference).and_then(|key| {
                check_key(service, key)?;
                Ok(key.clone())
            });
            (service.clone(), key)
        };
        let keys = self.services.iter().map(key).collect();
        let client = HttpClient::new(self.timeout, self.base_url.wire())?;
        let base_url = self.base_url.clone();
        Ok(Arc::new(EventsTransport::new(client, base_url, keys)))
    }
}

/// Checks the shape that PagerDuty checks first, so that a wrong secret is found before an event is lost.
fn check_key(service: &str, key: &SecretString) -> Result<(), Malformed> {
    let key = key.expose_secret();
    if key.len() == KEY_CHARS && key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(Malformed::new(format!(
        "the routing key of service `{service}` is not {KEY_CHARS} letters and digits"
    ))
    .help("copy the integration key of the service's “Events API v2” integration")
    .sensitive())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routing_key_has_32_letters_and_digits_and_is_never_repeated() {
        assert!(check_key("a", &"R0123456789abcdef0123456789ABCDE".into()).is_ok());
        for bad in [
            "",
            "hunter2",
            "hunter2hunter2hunter2hunter2hunter2",
            "hunter2-hunter2-hunter2-hunter2-",
            "hunter2hunter2hunter2hunter2hu é",
        ] {
            let refused = check_key("a", &bad.into()).unwrap_err();
            assert!(refused.sensitive, "{bad}");
            assert!(!format!("{refused:?}").contains("hunter2"), "{bad}");
        }
    }
}

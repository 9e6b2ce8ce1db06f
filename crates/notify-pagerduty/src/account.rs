//! One PagerDuty account: its services, what is sent, what belongs together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use notify_core::pagerduty::{Incident, PagerDutyOptions};
use notify_core::secret::{ExposeSecret, SecretString};
use notify_core::{
    Account, Capabilities, Cause, Code, Continuity, Delivery, Limits, Malformed, Message,
    Notification, Outcome, PagerDutyService, Path, Payload, Problem, Rate, Reason, Recipient,
    SecretRef, Secrets, Success, Target, Transport,
};
use notify_http::{BaseUrl, HttpClient, ProxyConfig, TlsConfig};

use crate::config::{Region, no_service};
use crate::message::{self, Look};
use crate::transport::EventsTransport;

/// The length of every routing key.
const KEY_CHARS: usize = 32;

/// A validated account.
#[derive(Clone, Debug)]
pub(crate) struct PagerDutyAccount {
    pub(crate) services: BTreeMap<String, SecretRef>,
    pub(crate) service: Option<PagerDutyService>,
    pub(crate) look: Look,
    /// `None` where the account has an address of its own.
    pub(crate) region: Option<Region>,
    pub(crate) base_url: BaseUrl,
    pub(crate) timeout: Duration,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) proxy: Option<ProxyConfig>,
}

impl Account for PagerDutyAccount {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none().closes()
    }

    fn target(&self, notification: &Notification, to: &Recipient) -> Result<Target, Problem> {
        let service: PagerDutyService = to
            .typed()
            .map_err(|why| Problem::malformed(Code::MALFORMED_RECIPIENT, Path::root(), why))?;
        if !self.services.contains_key(service.as_str()) {
            return Err(no_service(Path::root(), &service, &self.services));
        }
        let options = notification.options::<PagerDutyOptions>();
        let continuity = match options.map(|options| options.incident) {
            Some(Incident::Execution) => Continuity::Execution,
            _ => Continuity::Workflow,
        };
        let success = match options {
            Some(options) if options.change_events => Success::Apart,
            _ => Success::Closes,
        };
        // PagerDuty limits calls by routing key, and knows alerts by routing key and dedup key.
        Ok(Target::lane(service.as_str())
            .conversation(continuity)
            .success(success))
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        Payload::json(&message::body(&self.look, delivery, message))
    }

    fn warnings(&self) -> Vec<Problem> {
        let place = Path::root().then("tls");
        let warnings = self.tls.iter().flat_map(TlsConfig::warnings);
        warnings.map(|warning| warning.under(&place)).collect()
    }

    fn default_recipients(&self) -> Vec<Recipient> {
        self.service.iter().map(Recipient::of).collect()
    }

    fn explain(&self, outcome: &Outcome) -> Option<String> {
        explain(outcome, self.region)
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
        let tls = self.tls.iter().flat_map(TlsConfig::secrets);
        let proxy = self.proxy.as_ref().and_then(ProxyConfig::secret);
        self.services.values().chain(tls).chain(proxy).collect()
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
        let client = HttpClient::builder(self.timeout, self.base_url.wire())
            .tls(self.tls.as_ref(), secrets)?
            .proxy(self.proxy.as_ref(), secrets)?
            .build()?;
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

/// Says what to do about what PagerDuty is known to answer.
fn explain(outcome: &Outcome, region: Option<Region>) -> Option<String> {
    let text = match outcome {
        Outcome::Rejected {
            reason: Reason::Auth,
            ..
        } => {
            let region = match region {
                Some(region) => format!(
                    "; a key of an {} account works at that host only: `region = \"{}\"`",
                    region.other().name().to_uppercase(),
                    region.other().name()
                ),
                None => String::new(),
            };
            format!(
                "copy the integration key of the service's “Events API v2” integration \
                 (Services, the service, Integrations){region}"
            )
        }
        Outcome::Rejected { detail, .. } if detail.contains(message::NO_CHANGES) => {
            "add an integration “Events API v2” to the service itself and use its key; \
             a key that begins with `R` belongs to an event orchestration"
                .to_owned()
        }
        Outcome::Rejected {
            reason: Reason::Config,
            detail,
            ..
        } if detail.contains("proxy authorization required") => {
            "put the proxy's address with its name and password into an environment variable: \
             `proxy = { env = \"PROXY_URL\" }`"
                .to_owned()
        }
        Outcome::Rejected {
            reason: Reason::Config,
            detail,
            ..
        } if detail.starts_with("HTTP ") => {
            "another host than PagerDuty's answered: look at `base_url` and `proxy`".to_owned()
        }
        Outcome::NotDelivered {
            cause: Cause::Throttled,
            ..
        } => "PagerDuty takes about 120 events a minute for one integration key: \
              give busy workflows a service of their own"
            .to_owned(),
        _ => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pagerduty_is_known_for_is_explained_with_the_fix() {
        let auth = Outcome::rejected(Reason::Auth, "HTTP 400: Invalid routing key");
        let said = |outcome: &Outcome, region| explain(outcome, region).unwrap_or_default();
        let us = said(&auth, Some(Region::Us));
        assert!(us.ends_with("a key of an EU account works at that host only: `region = \"eu\"`"));
        assert!(said(&auth, Some(Region::Eu)).ends_with("`region = \"us\"`"));
        assert!(!said(&auth, None).contains("region"));
        let moved = Outcome::rejected(Reason::Config, "HTTP 302");
        assert!(said(&moved, None).contains("`base_url`"));
        let changes = Outcome::rejected(Reason::Policy, message::NO_CHANGES);
        assert!(said(&changes, None).contains("begins with `R`"));
        let busy = Outcome::throttled("HTTP 429", None, notify_core::Scope::Lane);
        assert!(said(&busy, None).contains("120 events a minute"));
        let payload = Outcome::rejected(Reason::Payload, "HTTP 400: too long");
        assert_eq!(explain(&payload, None), None);
    }

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

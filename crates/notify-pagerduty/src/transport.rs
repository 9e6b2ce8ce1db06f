//! One attempt: one event.

use std::collections::BTreeMap;

use async_trait::async_trait;
use notify_core::secret::{ExposeSecret, SecretString};
use notify_core::{
    DeliveryContext, Malformed, Outcome, Prepared, Reason, Recipient, Stage, Transport,
};
use notify_http::{BaseUrl, HttpClient, Post, Response};
use serde_json::{Map, Value};

use crate::client::answer;
use crate::message::NO_CHANGES;

/// The key of an alert that is never opened: the names of workflows have slashes around them.
///
/// The Events API has no call that tries a key. It does check the key of an event at once, and drops
/// the resolve of an alert that is not open.
/// <https://developer.pagerduty.com/docs/events-api-v2-overview>
const UNUSED: &str = "workflow-notify-check";

/// A connected account.
#[derive(Debug)]
pub(crate) struct EventsTransport {
    client: HttpClient,
    base_url: BaseUrl,
    keys: BTreeMap<String, Result<SecretString, Malformed>>,
}

impl EventsTransport {
    pub(crate) fn new(
        client: HttpClient,
        base_url: BaseUrl,
        keys: BTreeMap<String, Result<SecretString, Malformed>>,
    ) -> Self {
        Self {
            client,
            base_url,
            keys,
        }
    }

    async fn attempt(&self, cx: &DeliveryContext<'_>, prepared: &Prepared) -> Outcome {
        let event: Map<String, Value> = match serde_json::from_slice(&prepared.payload.body) {
            Ok(event) => event,
            Err(err) => return Outcome::rejected(Reason::Payload, err.to_string()),
        };
        let key = match self.key(prepared.recipient.as_str()) {
            Ok(key) => key,
            Err(outcome) => return outcome,
        };
        let (path, known) = match event.get("dedup_key").and_then(Value::as_str) {
            Some(key) => ("v2/enqueue", key.to_owned()),
            None if takes_no_changes(key) => {
                // Final: the incidents of the service do not wait for another key.
                return Outcome::rejected(Reason::Policy, NO_CHANGES);
            }
            // A change has no key.
            None => ("v2/change/enqueue", prepared.id.to_string()),
        };
        match self.send(cx, path, event, key).await {
            Ok(response) => answer(&response, &known),
            Err(outcome) => outcome,
        }
    }

    /// Finds the key of a service. What is missing or malformed concerns this service and no other.
    fn key(&self, service: &str) -> Result<&SecretString, Outcome> {
        match self.keys.get(service) {
            Some(Ok(key)) => Ok(key),
            Some(Err(why)) => Err(Outcome::rejected(Reason::Config, why.to_string()).in_lane()),
            // It was there when the delivery was recorded.
            None => {
                let detail = format!("the account has no service `{service}`");
                Err(Outcome::rejected(Reason::Config, detail).in_lane())
            }
        }
    }

    async fn send(
        &self,
        cx: &DeliveryContext<'_>,
        path: &str,
        mut event: Map<String, Value>,
        key: &SecretString,
    ) -> Result<Response, Outcome> {
        event.insert("routing_key".to_owned(), key.expose_secret().into());
        let body = Value::Object(event).to_string();
        let post = Post::json(self.base_url.join(path), body).hide(key);
        self.client.send(post, cx.clock).await
    }

    /// Tries the key of a service without telling anybody: see [`UNUSED`].
    async fn check_service(&self, cx: &DeliveryContext<'_>, service: &str) -> Stage {
        let name = format!("v2/enqueue for {service}");
        let key = match self.key(service) {
            Ok(key) => key,
            Err(outcome) => return Stage::failed(name, outcome),
        };
        let event = Map::from_iter([
            ("event_action".to_owned(), "resolve".into()),
            ("dedup_key".to_owned(), UNUSED.into()),
        ]);
        let outcome = match self.send(cx, "v2/enqueue", event, key).await {
            Ok(response) => answer(&response, UNUSED),
            Err(outcome) => outcome,
        };
        match outcome {
            Outcome::Delivered(_) => {
                let mut said = "HTTP 202 for the resolve of an alert that nobody opened, which is \
                                dropped: the Events API tells no more of a key"
                    .to_owned();
                if takes_no_changes(key) {
                    said.push_str("; one that begins with `R` takes no change events");
                }
                Stage::passed(name, said)
            }
            outcome => Stage::failed(name, outcome),
        }
    }
}

#[async_trait]
impl Transport for EventsTransport {
    async fn deliver(&self, cx: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for prepared in batch {
            outcomes.push(self.attempt(cx, prepared).await);
        }
        outcomes
    }

    async fn check(&self, cx: &DeliveryContext<'_>, to: &[Recipient]) -> Vec<Stage> {
        let mut stages = Vec::with_capacity(to.len());
        for service in to {
            let stage = self.check_service(cx, service.as_str()).await;
            let failed = stage.outcome.is_some();
            stages.push(stage);
            if failed {
                break;
            }
        }
        stages
    }
}

/// Tells whether a key is one of a ruleset or an event orchestration, which take alerts alone.
/// <https://developer.pagerduty.com/docs/send-change-event>
fn takes_no_changes(key: &SecretString) -> bool {
    key.expose_secret().starts_with('R')
}

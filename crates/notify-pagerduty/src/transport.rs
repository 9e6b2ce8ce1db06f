//! One attempt: one event.

use std::collections::BTreeMap;

use async_trait::async_trait;
use notify_core::secret::{ExposeSecret, SecretString};
use notify_core::{DeliveryContext, Malformed, Outcome, Prepared, Reason, Transport};
use notify_http::{BaseUrl, HttpClient, Post};
use serde_json::{Map, Value};

use crate::client::answer;

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
        let service = prepared.recipient.as_str();
        let Some(key) = self.keys.get(service) else {
            let detail = format!("the account has no service `{service}`");
            return Outcome::rejected(Reason::Destination, detail);
        };
        let key = match key {
            Ok(key) => key,
            Err(why) => return Outcome::rejected(Reason::Config, why.to_string()).in_lane(),
        };
        let mut event: Map<String, Value> = match serde_json::from_slice(&prepared.payload.body) {
            Ok(event) => event,
            Err(err) => return Outcome::rejected(Reason::Payload, err.to_string()),
        };
        let dedup_key = event.get("dedup_key").and_then(Value::as_str);
        let dedup_key = dedup_key.unwrap_or_default().to_owned();
        event.insert("routing_key".to_owned(), key.expose_secret().into());
        let body = Value::Object(event).to_string();
        let post = Post::json(self.base_url.join("v2/enqueue"), body).hide(key);
        match self.client.send(post, cx.clock).await {
            Ok(response) => answer(&response, &dedup_key),
            Err(outcome) => outcome,
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
}

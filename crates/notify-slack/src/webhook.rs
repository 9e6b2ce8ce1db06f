//! Through an incoming webhook: one post to its own channel.

use async_trait::async_trait;
use notify_core::{
    Cause, DeliveryContext, Outcome, Prepared, Reason, Receipt, Recipient, SlackRecipient, Stage,
    Transport,
};
use notify_http::{HttpClient, Post, SecretUrl};

use crate::answer::{Refusal, webhook_answer};
use crate::arguments;
use crate::codes::is_form_refused;
use crate::token::arguments_of;

/// A connected account with a webhook.
#[derive(Debug)]
pub(crate) struct WebhookTransport {
    client: HttpClient,
    url: SecretUrl,
}

impl WebhookTransport {
    pub(crate) fn new(client: HttpClient, url: SecretUrl) -> Self {
        Self { client, url }
    }

    async fn attempt(
        &self,
        cx: &DeliveryContext<'_>,
        prepared: &Prepared,
    ) -> Result<Receipt, Outcome> {
        let recipient = prepared.recipient.typed::<SlackRecipient>();
        if !matches!(recipient, Ok(SlackRecipient::Channel(_))) {
            // The account had a token when the delivery was recorded.
            let detail = "a webhook reaches its own channel and nobody else";
            return Err(Outcome::rejected(Reason::Config, detail).in_lane());
        }
        let body = prepared.payload.body.clone();
        let refusal = match self.post(cx, prepared, body).await {
            Ok(receipt) => return Ok(receipt),
            Err(refusal) => refusal,
        };
        let mut text = arguments_of(prepared)?;
        if !refusal.is(is_form_refused) || !arguments::has_form(&text) {
            return Err(refusal.outcome);
        }
        arguments::be_text(&mut text);
        let body = serde_json::to_vec(&text)
            .map_err(|err| Outcome::rejected(Reason::Payload, err.to_string()))?;
        let posted = self.post(cx, prepared, body.into()).await;
        let code = refusal.code.unwrap_or_default();
        posted
            .map(|receipt| receipt.fact("degraded", code))
            .map_err(|refusal| refusal.outcome)
    }

    async fn post(
        &self,
        cx: &DeliveryContext<'_>,
        prepared: &Prepared,
        body: bytes::Bytes,
    ) -> Result<Receipt, Refusal> {
        let post = Post::json_to_secret(&self.url, body);
        let response = self.client.send(post, cx.clock).await?;
        // Slack gives a webhook's messages no name.
        webhook_answer(&response, Receipt::new(prepared.id.to_string()))
    }
}

#[async_trait]
impl Transport for WebhookTransport {
    async fn deliver(&self, cx: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for prepared in batch {
            let result = self.attempt(cx, prepared).await;
            outcomes.push(result.map_or_else(|outcome| outcome, Outcome::Delivered));
        }
        outcomes
    }

    /// Posts a message without any content: Slack refuses it, and says so in other words where
    /// there is no such webhook.
    async fn check(&self, cx: &DeliveryContext<'_>, _: &[Recipient]) -> Vec<Stage> {
        let post = Post::json_to_secret(&self.url, "{}");
        let response = match self.client.send(post, cx.clock).await {
            Ok(response) => response,
            Err(outcome) => return vec![Stage::failed("connect", outcome)],
        };
        let connected = Stage::passed("connect", "the webhook's host answers");
        let refused = webhook_answer(&response, Receipt::new("check"));
        let webhook = match refused {
            Err(refusal) if refusal.is(is_empty_refused) => Stage::passed(
                "webhook",
                "it refuses a message without content, as it should",
            ),
            Err(refusal) => Stage::failed("webhook", refusal.outcome),
            Ok(_) => {
                let detail = "it takes a message without content, which Slack does not";
                Stage::failed("webhook", Outcome::not_delivered(Cause::Protocol, detail))
            }
        };
        vec![connected, webhook]
    }
}

/// Tells whether a refusal is about a message without content.
fn is_empty_refused(code: &str) -> bool {
    matches!(
        code,
        "no_text" | "invalid_payload" | "missing_text_or_fallback_or_attachments"
    )
}

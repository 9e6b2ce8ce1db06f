//! One attempt: the Web API's calls in their order, or one post to a webhook.

use async_trait::async_trait;
use notify_core::secret::SecretString;
use notify_core::{
    Cause, DeliveryContext, Outcome, Prepared, Reason, Receipt, SlackRecipient, Transport,
};
use notify_http::{BaseUrl, HttpClient, Post, SecretUrl};
use serde_json::{Map, Value, json};

use crate::client::{answer, webhook_answer};

/// `chat.postMessage` answers with the whole message, each character in up to six bytes and more.
const MAX_ANSWER: usize = 1024 * 1024;

/// A connected account with a token.
#[derive(Debug)]
pub(crate) struct TokenTransport {
    client: HttpClient,
    base_url: BaseUrl,
    token: SecretString,
}

impl TokenTransport {
    pub(crate) fn new(client: HttpClient, base_url: BaseUrl, token: SecretString) -> Self {
        Self {
            client,
            base_url,
            token,
        }
    }

    async fn attempt(
        &self,
        cx: &DeliveryContext<'_>,
        prepared: &Prepared,
    ) -> Result<Receipt, Outcome> {
        // Whatever cuts this short, no message was posted yet.
        let channel = self.channel(cx, prepared).await.map_err(not_posted)?;
        let mut body: Map<String, Value> = serde_json::from_slice(&prepared.payload.body)
            .map_err(|err| Outcome::rejected(Reason::Payload, err.to_string()))?;
        body.insert("channel".to_owned(), channel.into());
        let reply = self.call(cx, "chat.postMessage", &body.into()).await?;
        // A repeat that Slack recognised answers `is_duplicate` and is delivered all the same.
        let id = text(&reply, "/ts").unwrap_or_else(|| prepared.id.to_string());
        let receipt = Receipt::new(id);
        Ok(match text(&reply, "/channel") {
            Some(channel) => receipt.fact("channel", channel),
            None => receipt,
        })
    }

    /// Finds out what to name as `channel`.
    async fn channel(
        &self,
        cx: &DeliveryContext<'_>,
        prepared: &Prepared,
    ) -> Result<String, Outcome> {
        let recipient = prepared.recipient.typed::<SlackRecipient>();
        let user = match recipient {
            Ok(SlackRecipient::Channel(name)) => return Ok(name.as_str().to_owned()),
            Ok(SlackRecipient::ChannelId(id)) => return Ok(id.as_str().to_owned()),
            Ok(SlackRecipient::User(id)) => id.as_str().to_owned(),
            Ok(SlackRecipient::Mail(address)) => {
                // One of the methods that take no JSON.
                let method = "users.lookupByEmail";
                let fields = [("email", address.as_str())];
                let post = Post::form(self.base_url.join(method), &fields);
                let reply = self.send(cx, method, post).await?;
                required(&reply, method, "/user/id")?
            }
            Ok(_) => {
                let detail = "a form of recipient that this provider does not know";
                return Err(Outcome::rejected(Reason::Destination, detail));
            }
            Err(err) => return Err(Outcome::rejected(Reason::Destination, err.to_string())),
        };
        // A user's id would post as well, but only the conversation's id can be updated later.
        let method = "conversations.open";
        let reply = self.call(cx, method, &json!({"users": user})).await?;
        required(&reply, method, "/channel/id")
    }

    async fn call(
        &self,
        cx: &DeliveryContext<'_>,
        method: &str,
        arguments: &Value,
    ) -> Result<Value, Outcome> {
        let post = Post::json(self.base_url.join(method), arguments.to_string());
        self.send(cx, method, post).await
    }

    async fn send(
        &self,
        cx: &DeliveryContext<'_>,
        method: &str,
        post: Post<'_>,
    ) -> Result<Value, Outcome> {
        let post = post.bearer(&self.token).read_up_to(MAX_ANSWER);
        let response = self.client.send(post, cx.clock).await?;
        answer(method, &response)
    }
}

#[async_trait]
impl Transport for TokenTransport {
    async fn deliver(&self, cx: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for prepared in batch {
            let result = self.attempt(cx, prepared).await;
            outcomes.push(result.map_or_else(|outcome| outcome, Outcome::Delivered));
        }
        outcomes
    }
}

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
}

#[async_trait]
impl Transport for WebhookTransport {
    async fn deliver(&self, cx: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for prepared in batch {
            let post = Post::json_to_secret(&self.url, prepared.payload.body.clone());
            outcomes.push(match self.client.send(post, cx.clock).await {
                Ok(response) => webhook_answer(&response, Receipt::new(prepared.id.to_string())),
                Err(outcome) => outcome,
            });
        }
        outcomes
    }
}

/// Turns an outcome of a call that posts nothing into one that leaves no doubt.
fn not_posted(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unknown { cause, detail } => Outcome::not_delivered(cause, detail),
        other => other,
    }
}

fn text(reply: &Value, pointer: &str) -> Option<String> {
    reply.pointer(pointer)?.as_str().map(str::to_owned)
}

fn required(reply: &Value, method: &str, pointer: &str) -> Result<String, Outcome> {
    text(reply, pointer).ok_or_else(|| {
        let detail = format!("{method}: the answer has no `{pointer}`");
        Outcome::not_delivered(Cause::Protocol, detail)
    })
}

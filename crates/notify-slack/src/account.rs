//! One Slack account: what it reaches, where deliveries queue, what is sent.

use std::sync::Arc;
use std::time::Duration;

use notify_core::secret::{ExposeSecret, SecretString};
use notify_core::{
    Account, AccountId, Capabilities, Code, Delivery, Limits, Malformed, Message, Notification,
    Path, Payload, Problem, Rate, Recipient, SecretRef, Secrets, SlackRecipient, Target, Transport,
};
use notify_http::{BaseUrl, HttpClient, SecretUrl};
use serde_json::json;

use crate::message;
use crate::transport::{TokenTransport, WebhookTransport};

/// How the account reaches Slack.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Through the Web API, to whomever the token may write.
    Token { token: SecretRef, base_url: BaseUrl },
    /// Through an incoming webhook, to its own channel.
    Webhook { url: SecretRef },
}

/// A validated account.
#[derive(Clone, Debug)]
pub(crate) struct SlackAccount {
    id: AccountId,
    way: Way,
    timeout: Duration,
}

impl SlackAccount {
    pub(crate) fn new(id: AccountId, way: Way, timeout: Duration) -> Self {
        Self { id, way, timeout }
    }
}

impl Account for SlackAccount {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        let recipient: SlackRecipient = to
            .typed()
            .map_err(|why| Problem::malformed(Code::MALFORMED_RECIPIENT, Path::root(), why))?;
        match (&self.way, recipient) {
            // Slack admits about one message per second and channel, and a webhook is one channel.
            (Way::Token { .. }, _) => Ok(Target::lane(to.as_str())),
            (Way::Webhook { .. }, SlackRecipient::Channel(_)) => Ok(Target::lane("")),
            (Way::Webhook { .. }, _) => Err(Problem::new(
                Code::UNREACHABLE_RECIPIENT,
                Path::root(),
                format!("`{}` posts to the channel of its webhook only", self.id),
            )
            .help("write that channel as `\"#channel\"`, or use an account with a `token`")),
        }
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        let mut body = message::body(message);
        if let Way::Token { .. } = self.way {
            // Undocumented, and the only idempotency aid there is: `is_duplicate` in the answer.
            body.insert("client_msg_id".to_owned(), json!(delivery.id.uuid()));
            // Lets a person or a program find the message of a delivery; everyone can read it.
            let metadata = json!({
                "event_type": "workflow_ended",
                "event_payload": {"delivery": delivery.id},
            });
            body.insert("metadata".to_owned(), metadata);
        }
        Payload::json(&body)
    }

    /// One message a second for each channel, short bursts allowed; the same for a webhook.
    /// <https://docs.slack.dev/apis/web-api/rate-limits>
    fn limits(&self) -> Limits {
        Limits::none().lane(Rate::new(Duration::from_secs(1), 5))
    }

    fn deadline(&self) -> Duration {
        let calls = match self.way {
            // Look up, open, post.
            Way::Token { .. } => 3,
            Way::Webhook { .. } => 1,
        };
        // A little more, so that a call's own timeout, which knows what was sent, comes first.
        self.timeout * calls + Duration::from_secs(1)
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        match &self.way {
            Way::Token { token: secret, .. } | Way::Webhook { url: secret } => vec![secret],
        }
    }

    fn connect(&self, secrets: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        match &self.way {
            Way::Token { token, base_url } => {
                let token = secrets.get(token)?;
                check_token(token)?;
                let client = HttpClient::new(self.timeout, base_url.wire())?;
                let (base_url, token) = (base_url.clone(), token.clone());
                Ok(Arc::new(TokenTransport::new(client, base_url, token)))
            }
            Way::Webhook { url } => {
                let url = SecretUrl::new(secrets.get(url)?.expose_secret())?;
                let client = HttpClient::new(self.timeout, url.wire())?;
                Ok(Arc::new(WebhookTransport::new(client, url)))
            }
        }
    }
}

/// Tells a token that can post from the other kinds that Slack gives out, and from an accident.
fn check_token(token: &SecretString) -> Result<(), Malformed> {
    let token = token.expose_secret();
    let wrong = |why: &'static str| {
        Malformed::new(why)
            .help("copy the bot token, `xoxb-…`, from the app's page “OAuth & Permissions”")
            .sensitive()
    };
    if token.starts_with("xapp-") {
        return Err(wrong("this is an app-level token, which cannot post"));
    }
    if !["xoxb-", "xoxp-", "xoxe."]
        .iter()
        .any(|prefix| token.starts_with(prefix))
    {
        return Err(wrong("this is not a Slack token"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("the Slack token holds a space or a line break"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_that_can_post_are_taken_and_none_is_repeated() {
        for good in ["xoxb-1-a", "xoxp-1-a", "xoxe.xoxb-1-a"] {
            assert!(check_token(&good.into()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "hunter2",
            "xapp-hunter2",
            "xoxe-hunter2",
            "xoxb-hunter2\n",
            "Bearer xoxb-hunter2",
        ] {
            let refused = check_token(&bad.into()).unwrap_err();
            assert!(refused.sensitive, "{bad}");
            assert!(!format!("{refused:?}").contains("hunter2"), "{bad}");
        }
    }
}

//! One Slack account: what it reaches, where deliveries queue, what is sent.

use std::sync::Arc;
use std::time::Duration;

use notify_core::content::Mention;
use notify_core::secret::{ExposeSecret, SecretString};
use notify_core::slack::{SlackOptions, Thread};
use notify_core::{
    Account, AccountId, Action, Capabilities, Code, Continuity, Delivery, Limits, Malformed,
    Message, Notification, Outcome, Path, Payload, Problem, Rate, Recipient, SecretRef, Secrets,
    SlackRecipient, Success, Target, Transport,
};
use notify_http::{BaseUrl, HttpClient, ProxyConfig, SecretUrl, TlsConfig, Wire};

use crate::arguments;
use crate::config::two_icons;
use crate::conversation::{Place, place};
use crate::explain::explain;
use crate::look::Look;
use crate::message::{self, Manner, colour};
use crate::token::TokenTransport;
use crate::webhook::WebhookTransport;

/// How the account reaches Slack.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Through the Web API, to whomever the token may write.
    Token {
        token: SecretRef,
        base_url: BaseUrl,
        reconcile: bool,
    },
    /// Through an incoming webhook, to its own channel.
    Webhook { url: SecretRef },
}

/// A validated account.
#[derive(Clone, Debug)]
pub(crate) struct SlackAccount {
    pub(crate) id: AccountId,
    pub(crate) way: Way,
    pub(crate) look: Look,
    pub(crate) channel: Option<SlackRecipient>,
    pub(crate) proxy: Option<ProxyConfig>,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) timeout: Duration,
}

impl SlackAccount {
    fn client(&self, wire: Wire, secrets: &Secrets) -> Result<HttpClient, Malformed> {
        HttpClient::builder(self.timeout, wire)
            .tls(self.tls.as_ref(), secrets)?
            .proxy(self.proxy.as_ref(), secrets)?
            .build()
    }

    /// Finds what a notification says that Slack ignores at a webhook.
    fn beyond_a_webhook(&self, options: &SlackOptions) -> Result<(), Problem> {
        let said = [
            ("thread", options.thread.is_some()),
            ("broadcast", options.broadcast),
            ("update", options.update),
            ("username", options.username.is_some()),
            ("icon_emoji", options.icon_emoji.is_some()),
            ("icon_url", options.icon_url.is_some()),
        ];
        let said = said.into_iter().filter(|(_, is_said)| *is_said);
        let said: Vec<&str> = said.map(|(key, _)| key).collect();
        let Some(first) = said.first() else {
            return Ok(());
        };
        let message = format!(
            "Slack ignores `{}` here: `{}` posts through a webhook",
            said.join("`, `"),
            self.id
        );
        Err(
            Problem::new(Code::WRONG_VALUE, Path::root().then(*first), message)
                .help("remove it, or use an account with a `token`")
                .at_key(),
        )
    }
}

/// Finds what of a notification contradicts itself.
fn check_options(options: &SlackOptions) -> Result<(), Problem> {
    if options.broadcast && options.thread.is_none() {
        let place = Path::root().then("broadcast");
        let message = "`broadcast` shows replies in the channel, and there is no `thread`";
        return Err(Problem::new(Code::WRONG_VALUE, place, message)
            .help("add `thread: workflow`, or remove `broadcast`")
            .at_key());
    }
    if options.icon_emoji.is_some() && options.icon_url.is_some() {
        return Err(two_icons(Path::root().then("icon_url")));
    }
    Ok(())
}

/// Says which ends belong to one message or thread; `None` where each goes by itself.
fn continuity(options: &SlackOptions) -> Option<Continuity> {
    match (options.thread, options.update) {
        (Some(Thread::Execution), _) => Some(Continuity::Execution),
        (Some(Thread::Workflow), _) | (None, true) => Some(Continuity::Workflow),
        (None, false) => None,
    }
}

impl Account for SlackAccount {
    fn capabilities(&self) -> Capabilities {
        match self.way {
            Way::Token {
                reconcile: true, ..
            } => Capabilities::none().closes().reconciles(),
            Way::Token { .. } => Capabilities::none().closes(),
            Way::Webhook { .. } => Capabilities::none(),
        }
    }

    fn target(&self, notification: &Notification, to: &Recipient) -> Result<Target, Problem> {
        let recipient: SlackRecipient = to
            .typed()
            .map_err(|why| Problem::malformed(Code::MALFORMED_RECIPIENT, Path::root(), why))?;
        let options = notification.options::<SlackOptions>();
        match (&self.way, recipient) {
            (Way::Token { .. }, _) => {
                options.map_or(Ok(()), check_options)?;
                // Slack admits about one message per second and channel.
                let target = Target::lane(to.as_str());
                Ok(match options.and_then(continuity) {
                    Some(continuity) => target.conversation(continuity).success(Success::Ends),
                    None => target,
                })
            }
            (Way::Webhook { .. }, SlackRecipient::Channel(_)) => {
                options.map_or(Ok(()), |options| self.beyond_a_webhook(options))?;
                // A webhook is one channel.
                Ok(Target::lane(""))
            }
            (Way::Webhook { .. }, _) => Err(Problem::new(
                Code::UNREACHABLE_RECIPIENT,
                Path::root(),
                format!("`{}` posts to the channel of its webhook only", self.id),
            )
            .help("write that channel as `\"#channel\"`, or use an account with a `token`")),
        }
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        let none = SlackOptions::default();
        let options = delivery.notification.options().unwrap_or(&none);
        // What ends a conversation calls nobody: whoever was called hears that it is over.
        let mentions = match delivery.action {
            Action::Close => Vec::new(),
            _ => options.mention.iter().map(Mention::from).collect(),
        };
        // A success that the notification does not name ends what is open: the author's blocks speak
        // of something else.
        let is_named = delivery
            .notification
            .phases()
            .contains(delivery.event.phase);
        let manner = Manner {
            mentions,
            raw: options.blocks.as_ref().filter(|_| is_named),
            colour: colour(delivery.event.phase, message.severity),
        };
        let content = message::content(message, &manner);
        Payload::json(&match self.way {
            Way::Token { .. } => {
                let place = place(delivery, options);
                let look = self.look.of(options);
                let mut call = arguments::to_method(content, delivery, place, &look);
                if options.broadcast && matches!(place, Place::Reply(_)) {
                    call.insert("reply_broadcast".to_owned(), true.into());
                }
                call
            }
            Way::Webhook { .. } => arguments::to_webhook(content),
        })
    }

    /// One message a second for each channel, short bursts allowed; the same for a webhook.
    /// <https://docs.slack.dev/apis/web-api/rate-limits>
    fn limits(&self) -> Limits {
        Limits::none().lane(Rate::new(Duration::from_secs(1), 5))
    }

    fn warnings(&self) -> Vec<Problem> {
        let place = Path::root().then("tls");
        let tls = self.tls.iter().flat_map(TlsConfig::warnings);
        tls.map(|problem| problem.under(&place)).collect()
    }

    fn default_recipients(&self) -> Vec<Recipient> {
        self.channel.iter().map(Recipient::of).collect()
    }

    fn explain(&self, outcome: &Outcome) -> Option<String> {
        explain(outcome)
    }

    fn deadline(&self) -> Duration {
        let calls = match self.way {
            // Ask where the workspace is, look up, open, post; post by itself, post as text. Before
            // that, where an earlier attempt left a doubt: look up, open, search.
            Way::Token { reconcile, .. } => 6 + if reconcile { 3 } else { 0 },
            // Post; post as text.
            Way::Webhook { .. } => 2,
        };
        // A little more, so that a call's own timeout, which knows what was sent, comes first.
        self.timeout * calls + Duration::from_secs(1)
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        let (Way::Token { token: secret, .. } | Way::Webhook { url: secret }) = &self.way;
        let tls = self.tls.iter().flat_map(TlsConfig::secrets);
        let proxy = self.proxy.iter().filter_map(ProxyConfig::secret);
        [secret].into_iter().chain(tls).chain(proxy).collect()
    }

    fn connect(&self, secrets: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        match &self.way {
            Way::Token {
                token, base_url, ..
            } => {
                let token = secrets.get(token)?;
                check_token(token)?;
                let client = self.client(base_url.wire(), secrets)?;
                let (base_url, token) = (base_url.clone(), token.clone());
                let look = self.look.clone();
                Ok(Arc::new(TokenTransport::new(client, base_url, token, look)))
            }
            Way::Webhook { url } => {
                let url = secrets.get(url)?;
                let url = SecretUrl::new(url.expose_secret()).map_err(|why| not_a_webhook(&why))?;
                let client = self.client(url.wire(), secrets)?;
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

/// Says which address is wrong, and where the right one is.
fn not_a_webhook(why: &Malformed) -> Malformed {
    Malformed::new(format!(
        "`webhook_url` leads to no webhook: {}",
        why.message
    ))
    .help("copy the webhook's URL from “Incoming Webhooks” of the app")
    .sensitive()
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

    #[test]
    fn a_webhooks_address_that_is_none_is_named_and_not_repeated() {
        let why = SecretUrl::new("hunter2").unwrap_err();
        let refused = not_a_webhook(&why);
        assert!(refused.message.starts_with("`webhook_url`"), "{refused}");
        assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
    }
}

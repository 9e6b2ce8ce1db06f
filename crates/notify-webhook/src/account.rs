//! One webhook account: its endpoints, what each gets, what may be named beside them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use notify_core::problem::nearest;
use notify_core::{
    Account, Capabilities, Code, Delivery, Malformed, Message, Notification, Path, Payload,
    Problem, Recipient, SecretRef, Secrets, Target, Transport,
};
use notify_http::{OpenUrl, TlsConfig};

use crate::endpoint::{Body, Endpoint, Mode};
use crate::event;
use crate::message;
use crate::recipient::WebhookRecipient;
use crate::transport::WebhookTransport;

/// A validated account.
#[derive(Clone, Debug)]
pub(crate) struct WebhookAccount {
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
    pub(crate) allow_urls: bool,
    pub(crate) allow_private: bool,
    pub(crate) timeout: Duration,
}

impl WebhookAccount {
    /// Says why an endpoint is not one of the account's.
    fn refuse_endpoint(&self, name: &str) -> Option<Problem> {
        if self.endpoints.contains_key(name) {
            return None;
        }
        let known: Vec<&str> = self.endpoints.keys().map(String::as_str).collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "the account has no endpoints".to_owned(),
            None => format!("the account's endpoints are `{}`", known.join("`, `")),
        };
        let problem = unreachable(format!("the account has no endpoint `{name}`"));
        Some(
            problem
                .plainly("the account has no such endpoint")
                .help(help),
        )
    }

    /// Says why the account does not lead to an address.
    fn refuse_url(&self, url: &OpenUrl) -> Option<Problem> {
        if !self.allow_urls {
            let help = "write the name of an endpoint, or set `allow_url_recipients = true` in the account";
            return Some(unreachable("the account takes no addresses as recipients").help(help));
        }
        if self.allow_private {
            return None;
        }
        let why = url.check_public().err()?;
        let help = "make it an endpoint of the account, or set `allow_private = true` there";
        let problem = unreachable(why.to_string()).plainly("the address is not of the internet");
        Some(problem.help(help))
    }
}

fn unreachable(message: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(Code::UNREACHABLE_RECIPIENT, Path::root(), message)
}

impl Account for WebhookAccount {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        let recipient: WebhookRecipient = to
            .typed()
            .map_err(|why| Problem::malformed(Code::MALFORMED_RECIPIENT, Path::root(), why))?;
        let refused = match &recipient {
            WebhookRecipient::Endpoint(name) => self.refuse_endpoint(name.as_str()),
            WebhookRecipient::Url(url) => self.refuse_url(url),
        };
        match refused {
            Some(problem) => Err(problem),
            // Whoever throttles, is gone or wants other credentials is one receiver.
            None => Ok(Target::lane(recipient.to_string())),
        }
    }

    fn warnings(&self) -> Vec<Problem> {
        let endpoints = self.endpoints.iter();
        endpoints
            .flat_map(|(name, endpoint)| {
                let place = Path::root()
                    .then("endpoints")
                    .then(name.as_str())
                    .then("tls");
                let warnings = endpoint.tls.iter().flat_map(TlsConfig::warnings);
                warnings.map(move |warning| warning.under(&place))
            })
            .collect()
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        const PLAIN: Body = Body::Event(Mode::Structured);
        let endpoint = self.endpoints.get(delivery.recipient.as_str());
        let body = endpoint.map_or(&PLAIN, |endpoint| &endpoint.body);
        let json = Payload::json(&message::body(body, delivery, message));
        match body {
            // In the binary mode the transport takes the event apart.
            Body::Event(_) => Payload {
                content_type: event::STRUCTURED,
                ..json
            },
            Body::Own(_) => json,
        }
    }

    fn deadline(&self) -> Duration {
        // A little more, so that the call's own timeout, which knows what was sent, comes first.
        self.timeout + Duration::from_secs(1)
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        self.endpoints
            .values()
            .flat_map(Endpoint::secrets)
            .collect()
    }

    fn connect(&self, secrets: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        Ok(Arc::new(WebhookTransport::new(self, secrets)))
    }
}

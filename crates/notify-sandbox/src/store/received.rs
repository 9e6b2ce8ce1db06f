//! A message as it is shown, the services that accept messages, and how they can be told to fail.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

/// One message that a service accepted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Received {
    /// Counts up from 1 over all services.
    pub id: u64,
    /// Who accepted it.
    pub service: Service,
    /// When it was accepted first, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Slack channel or user, PagerDuty service, mail address.
    pub to: String,
    /// Header or first line, incident summary, subject.
    pub headline: String,
    /// The body as plain text.
    pub text: String,
    /// The HTML part of a mail.
    pub html: Option<String>,
    /// The HTTP request or the mail as it came, with the secret masked.
    pub raw: String,
    /// The JSON body of an HTTP request, with the secret masked.
    ///
    /// Of an edited Slack message, what it shows now; of one for a webhook, without what the
    /// vendor ignores.
    pub payload: Option<Value>,
    /// Further facts by name, such as the sender of a mail or the severity of an incident.
    pub details: Vec<(String, String)>,
    /// How many further copies carried the same idempotency aid.
    pub repeats: u32,
    /// Where the incident stands; only for PagerDuty alerts.
    pub state: Option<IncidentState>,
    /// The id of the message at the top of the thread; only for Slack replies.
    pub thread: Option<u64>,
    /// How often the sender changed the message; only for Slack.
    pub edits: u32,
}

impl Received {
    /// Whether this is a change event, which opens no incident.
    pub(crate) fn is_change(&self) -> bool {
        self.service == Service::PagerDuty && self.state.is_none()
    }
}

/// One of the services the sandbox plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Slack Web API and incoming webhook.
    Slack,
    /// PagerDuty Events API v2.
    PagerDuty,
    /// SMTP.
    Email,
}

impl Service {
    pub(crate) const ALL: [Self; 3] = [Self::Slack, Self::PagerDuty, Self::Email];

    fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::PagerDuty => "pagerduty",
            Self::Email => "email",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Service {
    type Err = UnknownService;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|service| service.as_str() == name)
            .ok_or(UnknownService)
    }
}

/// The text names none of the sandbox's services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownService;

impl fmt::Display for UnknownService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown service, known are `slack`, `pagerduty` and `email`")
    }
}

impl Error for UnknownService {}

/// How a service is to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// HTTP status, or for e-mail the SMTP reply code to `MAIL FROM`.
    ///
    /// From 400 to 599, and for e-mail with a middle digit of at most 5; anything else is
    /// answered as 500 (e-mail: 451).
    pub status: u16,
    /// The number of requests to fail; `None` fails until it is switched off.
    pub times: Option<u32>,
}

impl Failure {
    /// Whether `status` is a failure in the protocol of `service`.
    pub(crate) fn is_answerable(self, service: Service) -> bool {
        // RFC 5321 section 4.2 allows middle digits 0 to 5 only.
        (400..=599).contains(&self.status)
            && (service != Service::Email || self.status / 10 % 10 <= 5)
    }
}

/// Where a PagerDuty incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum IncidentState {
    /// Open, and nobody took it yet.
    Triggered,
    /// Open, and somebody took it.
    Acknowledged,
    /// Closed.
    Resolved,
    /// An acknowledge or resolve without an open incident: accepted and dropped, as the vendor does.
    Dropped,
}

impl fmt::Display for IncidentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::Dropped => "dropped",
        })
    }
}

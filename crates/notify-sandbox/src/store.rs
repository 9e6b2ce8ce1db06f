//! What the sandbox received, and which failures it was told to answer with.
//!
//! INVARIANT: memory is bounded; the oldest messages go first, by count and by size.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

const MAX_MESSAGES: usize = 1_000;
/// Text of all messages together; a thousand large mails would otherwise be gigabytes.
const MAX_TOTAL_BYTES: usize = 64 * 1024 * 1024;
const MAX_HEADLINE_CHARS: usize = 300;
const MAX_BODY_BYTES: usize = 256 * 1024;

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
    pub payload: Option<Value>,
    /// Further facts by name, such as the sender of a mail or the severity of an incident.
    pub details: Vec<(String, String)>,
    /// How many further copies carried the same idempotency aid.
    pub repeats: u32,
    /// Where the incident stands; only for PagerDuty alerts.
    pub state: Option<IncidentState>,
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

/// All messages and faults of one sandbox, shared by its services.
#[derive(Debug, Default)]
pub(crate) struct Store {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    last_id: u64,
    /// Counts every change that the inbox page would show.
    version: u64,
    slack: Option<Failure>,
    pagerduty: Option<Failure>,
    email: Option<Failure>,
}

/// A message with what the services need to recognise it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) message: Received,
    /// Equal for copies of one message.
    pub(crate) repeat_key: Option<String>,
    /// What later requests name the message by.
    pub(crate) handle: Option<String>,
    /// What the sender was answered, to answer a repeat alike.
    pub(crate) answer: Value,
}

/// What became of a message handed to [`Store::record`].
#[derive(Debug)]
pub(crate) enum Recorded {
    New,
    /// A copy; the answer that the first one got.
    Repeat(Value),
}

impl Entry {
    pub(crate) fn new(service: Service, to: &str, headline: &str, raw: String) -> Self {
        Self {
            message: Received {
                id: 0,
                service,
                at: unix_micros() / 1_000,
                to: cut_chars(to, MAX_HEADLINE_CHARS),
                headline: cut_chars(headline, MAX_HEADLINE_CHARS),
                text: String::new(),
                html: None,
                raw,
                payload: None,
                details: Vec::new(),
                repeats: 0,
                state: None,
            },
            repeat_key: None,
            handle: None,
            answer: Value::Null,
        }
    }

    fn cap(&mut self) {
        let Received {
            headline,
            text,
            html,
            raw,
            ..
        } = &mut self.message;
        *headline = cut_chars(headline, MAX_HEADLINE_CHARS);
        for body in [Some(text), html.as_mut(), Some(raw)].into_iter().flatten() {
            cap_bytes(body);
        }
    }

    fn size(&self) -> usize {
        let Received {
            text,
            html,
            raw,
            payload,
            details,
            ..
        } = &self.message;
        // A JSON value in memory takes several times the room of its text.
        let payload = payload
            .as_ref()
            .map_or(0, |payload| payload.to_string().len() * 4);
        let details: usize = details
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        text.len() + html.as_ref().map_or(0, String::len) + raw.len() + payload + details
    }
}

impl Store {
    /// Keeps a message, unless it is a copy of one that is still kept.
    pub(crate) fn record(&self, mut entry: Entry) -> Recorded {
        entry.cap();
        let mut state = self.lock();
        state.version += 1;
        if let Some(key) = &entry.repeat_key
            && let Some(known) = state
                .entries
                .iter_mut()
                .rev()
                .find(|known| known.repeat_key.as_ref() == Some(key))
        {
            known.message.repeats = known.message.repeats.saturating_add(1);
            return Recorded::Repeat(known.answer.clone());
        }
        state.last_id += 1;
        entry.message.id = state.last_id;
        state.bytes += entry.size();
        state.entries.push_back(entry);
        state.evict();
        Recorded::New
    }

    /// Changes the message known by `handle`; false if there is none.
    pub(crate) fn change(&self, handle: &str, change: impl FnOnce(&mut Entry)) -> bool {
        let mut state = self.lock();
        let Some(entry) = state
            .entries
            .iter_mut()
            .rev()
            .find(|entry| entry.handle.as_deref() == Some(handle))
        else {
            return false;
        };
        let before = entry.size();
        change(entry);
        entry.cap();
        let after = entry.size();
        state.bytes = state.bytes.saturating_sub(before) + after;
        state.version += 1;
        state.evict();
        true
    }

    /// The id of the message known by `handle`.
    pub(crate) fn find(&self, handle: &str) -> Option<u64> {
        let state = self.lock();
        let mut newest_first = state.entries.iter().rev();
        newest_first
            .find(|entry| entry.handle.as_deref() == Some(handle))
            .map(|entry| entry.message.id)
    }

    /// All messages, oldest first.
    pub(crate) fn messages(&self) -> Vec<Received> {
        self.lock()
            .entries
            .iter()
            .map(|entry| entry.message.clone())
            .collect()
    }

    /// The newest messages, newest first, and how many there are in all.
    pub(crate) fn latest(&self, count: usize) -> (Vec<Received>, usize) {
        let state = self.lock();
        let latest = state
            .entries
            .iter()
            .rev()
            .take(count)
            .map(|entry| entry.message.clone())
            .collect();
        (latest, state.entries.len())
    }

    /// A number that changes with everything the inbox page shows.
    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    pub(crate) fn fail(&self, service: Service, failure: Option<Failure>) {
        let failure = failure
            .filter(|failure| failure.times != Some(0))
            .map(|failure| {
                let fallback = if service == Service::Email { 451 } else { 500 };
                let status = if failure.is_answerable(service) {
                    failure.status
                } else {
                    fallback
                };
                Failure { status, ..failure }
            });
        let mut state = self.lock();
        *state.fault(service) = failure;
        state.version += 1;
    }

    pub(crate) fn failure(&self, service: Service) -> Option<Failure> {
        *self.lock().fault(service)
    }

    /// The status to fail this request with, counted down.
    pub(crate) fn take_failure(&self, service: Service) -> Option<u16> {
        let mut state = self.lock();
        let fault = state.fault(service);
        let Failure { status, times } = (*fault)?;
        if let Some(times) = times {
            let left = times.saturating_sub(1);
            *fault = (left > 0).then_some(Failure {
                status,
                times: Some(left),
            });
            state.version += 1;
        }
        Some(status)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No change here leaves half a state behind, so a panic elsewhere does no harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fault(&mut self, service: Service) -> &mut Option<Failure> {
        match service {
            Service::Slack => &mut self.slack,
            Service::PagerDuty => &mut self.pagerduty,
            Service::Email => &mut self.email,
        }
    }

    fn evict(&mut self) {
        while self.entries.len() > MAX_MESSAGES
            || (self.bytes > MAX_TOTAL_BYTES && self.entries.len() > 1)
        {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.size());
        }
    }
}

/// The wall clock; messages are shown with the time of day, nothing is decided by it.
#[expect(
    clippy::disallowed_methods,
    reason = "the sandbox plays services that have a clock of their own"
)]
pub(crate) fn unix_micros() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}

/// At most `limit` characters of a text, with an ellipsis where it was cut.
pub(crate) fn cut_chars(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars()
        .take(limit.saturating_sub(1))
        .chain(['…'])
        .collect()
}

fn cap_bytes(body: &mut String) {
    if body.len() > MAX_BODY_BYTES {
        let end = body.floor_char_boundary(MAX_BODY_BYTES);
        let omitted = body.len() - end;
        body.truncate(end);
        body.extend(["\n… ", &omitted.to_string(), " bytes not kept"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(raw: String) -> Entry {
        Entry::new(Service::Slack, "#general", "headline", raw)
    }

    #[test]
    fn only_the_latest_thousand_messages_are_kept() {
        let store = Store::default();
        for _ in 0..MAX_MESSAGES + 5 {
            store.record(entry(String::new()));
        }
        let messages = store.messages();
        assert_eq!(messages.len(), MAX_MESSAGES);
        assert_eq!(messages[0].id, 6);
    }

    #[test]
    fn large_messages_are_cut_and_bounded_together() {
        let store = Store::default();
        for _ in 0..300 {
            store.record(entry("ä".repeat(MAX_BODY_BYTES)));
        }
        let messages = store.messages();
        assert!(messages.len() < 260, "{} messages kept", messages.len());
        assert!(messages[0].raw.ends_with("bytes not kept"));
    }

    #[test]
    fn a_fault_is_answered_as_often_as_asked() {
        let store = Store::default();
        store.fail(
            Service::Slack,
            Some(Failure {
                status: 503,
                times: Some(2),
            }),
        );
        let statuses: Vec<_> = (0..3).map(|_| store.take_failure(Service::Slack)).collect();
        assert_eq!(statuses, [Some(503), Some(503), None]);
        assert_eq!(store.take_failure(Service::Email), None);
    }

    #[test]
    fn a_status_that_is_no_failure_becomes_one() {
        let store = Store::default();
        for (service, status, expected) in [
            (Service::Slack, 200, 500),
            (Service::Email, 200, 451),
            (Service::Email, 599, 451),
            (Service::PagerDuty, 599, 599),
        ] {
            store.fail(
                service,
                Some(Failure {
                    status,
                    times: None,
                }),
            );
            assert_eq!(store.take_failure(service), Some(expected));
        }
    }

    #[test]
    fn service_names_are_read_back() {
        for service in Service::ALL {
            assert_eq!(service.to_string().parse(), Ok(service));
        }
        assert_eq!("teams".parse::<Service>(), Err(UnknownService));
    }
}

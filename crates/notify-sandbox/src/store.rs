//! What the sandbox received, and which failures it was told to answer with.
//!
//! INVARIANT: memory is bounded; the oldest messages go first, by count and by size.

mod received;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

pub use self::received::{Failure, IncidentState, Received, Service, UnknownService};

const MAX_MESSAGES: usize = 1_000;
/// Text of all messages together; a thousand large mails would otherwise be gigabytes.
const MAX_TOTAL_BYTES: usize = 64 * 1024 * 1024;
const MAX_HEADLINE_CHARS: usize = 300;
const MAX_BODY_BYTES: usize = 256 * 1024;

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
    /// A Slack message as the vendor's methods give it back.
    pub(crate) post: Option<Post>,
    /// What the sender was answered, to answer a repeat alike.
    pub(crate) answer: Value,
}

/// Where a Slack message is, and what it looks like to who reads the channel.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) channel: String,
    pub(crate) ts: String,
    /// The `ts` of the message at the top of the thread, for a reply.
    pub(crate) root: Option<String>,
    /// A reply that the channel shows too.
    pub(crate) is_broadcast: bool,
    /// The message object of the vendor.
    pub(crate) message: Value,
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
                thread: None,
                edits: 0,
            },
            repeat_key: None,
            handle: None,
            post: None,
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
        // A JSON value in memory takes several times the room of its text.
        let json = |value: &Value| value.to_string().len() * 4;
        let Received {
            text,
            html,
            raw,
            payload,
            details,
            ..
        } = &self.message;
        let payload = payload.as_ref().map_or(0, json);
        let post = self.post.as_ref().map_or(0, |post| json(&post.message));
        let answer = json(&self.answer);
        let details: usize = details
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let html = html.as_ref().map_or(0, String::len);
        text.len() + html + raw.len() + payload + post + answer + details
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

    /// What `look` makes of the message known by `handle`.
    pub(crate) fn find<T>(&self, handle: &str, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let state = self.lock();
        let mut newest_first = state.entries.iter().rev();
        newest_first
            .find(|entry| entry.handle.as_deref() == Some(handle))
            .map(look)
    }

    /// The messages of a Slack channel, oldest first.
    pub(crate) fn posts(&self, channel: &str) -> Vec<Post> {
        let state = self.lock();
        let posts = state.entries.iter().filter_map(|entry| entry.post.as_ref());
        posts
            .filter(|post| post.channel == channel)
            .cloned()
            .collect()
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

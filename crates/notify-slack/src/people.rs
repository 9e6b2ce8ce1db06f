//! What was found out about recipients: remembered for a while, within bounds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify_core::Timestamp;

/// How long what Slack knows is remembered.
const KNOWN_FOR: Duration = Duration::from_hours(6);
/// How long it is remembered that Slack knows nothing.
pub(crate) const UNKNOWN_FOR: Duration = Duration::from_mins(10);
/// How much is remembered of each sort.
const MOST: usize = 1_000;

/// Names by which Slack knows recipients.
#[derive(Debug, Default)]
pub(crate) struct People {
    /// Ids of people by mail address; `None` where nobody has it.
    pub(crate) users: Memory,
    /// Ids of direct conversations by the id of the person.
    pub(crate) conversations: Memory,
    /// Ids of channels by name, as far as messages went there.
    pub(crate) channels: Memory,
}

/// A bounded memory of what stands for what.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<HashMap<Box<str>, Entry>>);

/// What Slack said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// There is one, of this name.
    As(Box<str>),
    /// There is none.
    Nobody,
}

#[derive(Clone, Debug)]
struct Entry {
    known: Known,
    until: Timestamp,
}

impl Memory {
    /// Returns what is known; `None` where nobody asked lately.
    pub(crate) fn get(&self, key: &str, now: Timestamp) -> Option<Known> {
        let entries = self.entries();
        let entry = entries.get(key).filter(|entry| now < entry.until)?;
        Some(entry.known.clone())
    }

    /// Returns the name that is known.
    pub(crate) fn name(&self, key: &str, now: Timestamp) -> Option<String> {
        match self.get(key, now)? {
            Known::As(name) => Some(name.into()),
            Known::Nobody => None,
        }
    }

    /// Remembers an answer: hours where there is one, minutes where there is none.
    pub(crate) fn put(&self, key: &str, name: Option<&str>, now: Timestamp) {
        let mut entries = self.entries();
        if entries.len() >= MOST && !entries.contains_key(key) {
            entries.retain(|_, entry| now < entry.until);
        }
        if entries.len() >= MOST && !entries.contains_key(key) {
            let first = entries.iter().min_by_key(|(_, entry)| entry.until);
            if let Some(first) = first.map(|(key, _)| key.clone()) {
                entries.remove(&first);
            }
        }
        let (known, span) = match name {
            Some(name) => (Known::As(name.into()), KNOWN_FOR),
            None => (Known::Nobody, UNKNOWN_FOR),
        };
        let until = now.after(span);
        entries.insert(key.into(), Entry { known, until });
    }

    /// Forgets what this stands for.
    pub(crate) fn forget(&self, name: &str) {
        let is_other = |entry: &Entry| !matches!(&entry.known, Known::As(own) if **own == *name);
        self.entries().retain(|_, entry| is_other(entry));
    }

    /// A memory is sound whatever panicked beside it.
    fn entries(&self) -> MutexGuard<'_, HashMap<Box<str>, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn what_is_known_lasts_hours_and_what_is_unknown_minutes() {
        let memory = Memory::default();
        memory.put("jane@example.com", Some("U1"), at(0));
        memory.put("john@example.com", None, at(0));
        assert_eq!(
            memory.get("jane@example.com", at(21_599)),
            Some(Known::As("U1".into()))
        );
        assert_eq!(memory.get("jane@example.com", at(21_600)), None);
        assert_eq!(memory.get("john@example.com", at(599)), Some(Known::Nobody));
        assert_eq!(memory.get("john@example.com", at(600)), None);
        assert_eq!(memory.get("nobody@example.com", at(0)), None);
        memory.forget("U1");
        assert_eq!(memory.get("jane@example.com", at(1)), None);
    }

    #[test]
    fn a_memory_is_bounded_and_keeps_the_latest() {
        let memory = Memory::default();
        for index in 0..3_000 {
            memory.put(&format!("{index}"), Some("U1"), at(index));
        }
        assert_eq!(memory.entries().len(), MOST);
        assert!(memory.get("2999", at(3_000)).is_some());
        assert!(memory.get("1999", at(3_000)).is_none());
        memory.put("late", Some("U1"), at(1_000_000));
        assert_eq!(memory.entries().len(), 1, "what is over goes first");
    }
}

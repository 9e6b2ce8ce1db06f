//! The ends of one workflow, and what they say about a new one.

use notify_core::{Past, TerminalPhase, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::record::EventId;

/// How many ends are remembered; a streak longer than that is counted no further.
const REMEMBERED: usize = 64;

/// One end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// Which event told of it; breaks ties.
    pub event: Uuid,
    /// How.
    pub phase: TerminalPhase,
}

impl End {
    /// States an end.
    pub fn new(at: Timestamp, event: EventId, phase: TerminalPhase) -> Self {
        let event = event.uuid();
        Self { at, event, phase }
    }

    fn order(&self) -> (Timestamp, Uuid) {
        (self.at, self.event)
    }
}

/// The latest ends of one workflow, in the order in which they happened, and the row's version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// How often the row was written.
    pub version: i64,
    ends: Vec<End>,
}

impl History {
    /// Takes what is stored.
    pub fn new(version: i64, ends: Vec<End>) -> Self {
        Self { version, ends }
    }

    /// Returns the ends, the earliest first.
    pub fn ends(&self) -> &[End] {
        &self.ends
    }

    /// Says what came before an end, which may arrive later than ends that came after it.
    pub fn past(&self, end: &End) -> Past {
        let before = self
            .ends
            .partition_point(|other| other.order() < end.order());
        let earlier = self.ends.get(..before).unwrap_or_default();
        let failing = earlier
            .iter()
            .rev()
            .take_while(|other| !other.phase.is_success());
        let row = failing.clone().count();
        let first = failing.last().map(|first| first.at);
        let streak = if end.phase.is_success() { 0 } else { row + 1 };
        Past {
            previous: earlier
                .last()
                .map_or(TerminalPhase::Succeeded, |last| last.phase),
            streak: u32::try_from(streak).unwrap_or(u32::MAX),
            since: first.or((!end.phase.is_success()).then_some(end.at)),
        }
    }

    /// Tells whether the workflow is known to have succeeded after an end.
    pub fn succeeded_after(&self, end: &End) -> bool {
        let later = |other: &&End| other.order() > end.order();
        let mut ends = self.ends.iter().rev().take_while(later);
        ends.any(|other| other.phase.is_success())
    }

    /// Gives the history with one more end in its place.
    #[must_use]
    pub fn with(mut self, end: End) -> Self {
        let place = self
            .ends
            .partition_point(|other| other.order() < end.order());
        self.ends.insert(place, end);
        let surplus = self.ends.len().saturating_sub(REMEMBERED);
        self.ends.drain(..surplus);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TerminalPhase::{Failed, Succeeded, TimedOut};

    fn end(second: i64, phase: TerminalPhase) -> End {
        let at = Timestamp::from_micros(second * 1_000_000);
        End::new(at, EventId::new(at, [0; 10]), phase)
    }

    #[test]
    fn no_history_counts_as_success() {
        let past = History::default().past(&end(1, Failed));
        assert_eq!((past.previous, past.streak), (Succeeded, 1));
        assert_eq!(past.since, Some(end(1, Failed).at));
    }

    #[test]
    fn ends_out_of_order_are_compared_with_their_neighbour() {
        let ends = [end(10, Failed), end(20, TimedOut), end(40, Succeeded)];
        let forwards = ends
            .iter()
            .fold(History::default(), |history, end| history.with(*end));
        let backwards = ends
            .iter()
            .rev()
            .fold(History::default(), |history, end| history.with(*end));
        assert_eq!(forwards.ends(), backwards.ends());

        let late = forwards.past(&end(30, Failed));
        assert_eq!((late.previous, late.streak), (TimedOut, 3));
        let recovery = forwards.past(&end(30, Succeeded));
        assert_eq!((recovery.previous, recovery.streak), (TimedOut, 0));
        assert_eq!(recovery.since, Some(end(10, Failed).at));
    }

    #[test]
    fn only_the_latest_ends_are_remembered() {
        let history = (0..200).fold(History::default(), |history, second| {
            history.with(end(second, Failed))
        });
        assert_eq!(history.ends().len(), REMEMBERED);
        assert_eq!(history.past(&end(200, Failed)).streak, 65);
    }
}

//! The clock, which somebody may set back.
//!
//! **Invariant.** When the clock is set back, everything that waits is taken back with it, once, by
//! whoever writes first; so nothing waits for the difference.

use std::time::Duration;

use notify_core::Timestamp;
use notify_outbox::OutboxError;
use rusqlite::named_params;

use crate::ledger::Ledger;
use crate::waiting::readable;

/// Clocks that differ by less are the same clock.
const TOLERANCE: Duration = Duration::from_secs(1);

/// How long a process that writes nothing else leaves the time unwritten: another one that begins
/// when the clock was set back notices by what is written.
const UNWRITTEN: Duration = Duration::from_mins(1);

/// The latest instant that was seen, how often the clock was set back before, and the latest end of
/// an event that did not say when it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    at: Timestamp,
    /// What of it is written down.
    written: Timestamp,
    turns: i64,
    stamped: Timestamp,
}

impl Seen {
    /// Begins with nothing seen.
    pub(crate) fn nothing() -> Self {
        let at = Timestamp::from_micros(i64::MIN);
        Self {
            at,
            written: at,
            turns: -1,
            stamped: at,
        }
    }

    /// Reads what all processes have seen.
    pub(crate) fn read(ledger: &Ledger<'_>) -> Result<Self, OutboxError> {
        let sql = "SELECT seen_at, turns, stamped_at FROM notify_clock";
        let seen = ledger.one("read the clock", sql, [], |columns| {
            let read = || {
                let at = columns.instant("seen_at")?;
                Ok(Self {
                    at,
                    written: at,
                    turns: columns.get("turns")?,
                    stamped: columns.instant("stamped_at")?,
                })
            };
            readable(read())
        })?;
        // A row that does not read, or is not there, is written anew with what is seen now.
        let seen = seen.and_then(Result::ok).unwrap_or_else(|| Self {
            at: ledger.now,
            turns: 0,
            ..Self::nothing()
        });
        ledger.stamped.set(seen.stamped);
        Ok(seen)
    }

    /// Adds what this process has seen without writing it down, unless another one has written
    /// since: then that one knows better, and what it has put into the file is of its time.
    pub(crate) fn with(self, own: Self) -> Self {
        if (self.turns, self.written) == (own.turns, own.written) {
            let at = self.at.max(own.at);
            Self { at, ..self }
        } else {
            self
        }
    }

    /// Adds an instant.
    pub(crate) fn seeing(self, now: Timestamp) -> Self {
        let at = self.at.max(now);
        Self { at, ..self }
    }

    /// Tells whether this process has written before.
    pub(crate) fn is_known(self) -> bool {
        self.turns >= 0
    }

    /// Tells by how much the clock was set back.
    pub(crate) fn set_back(self, now: Timestamp) -> Option<Duration> {
        let by = self.at.since(now);
        (by > TOLERANCE).then_some(by)
    }

    /// Gives what is known once the time is written, where it must be though nothing else is.
    pub(crate) fn stale(self) -> Option<Self> {
        let stale = self.is_known() && self.at.since(self.written) > UNWRITTEN;
        stale.then(|| self.written(self.at))
    }

    /// Writes down what has changed since this was read, but for the last moment that was seen, and
    /// gives what is written then. A process that has written nothing yet leaves nothing out.
    pub(crate) fn note(self, ledger: &Ledger<'_>, own: Self) -> Result<Timestamp, OutboxError> {
        let stamped = ledger.stamped.get();
        let begins = !own.is_known();
        let recent = ledger.now.since(self.written) <= TOLERANCE;
        if recent && !begins && stamped == self.stamped {
            return Ok(self.written);
        }
        let written = self.written.max(ledger.now);
        let sql =
            "INSERT INTO notify_clock (one, seen_at, turns, stamped_at) VALUES (1, ?1, ?2, ?3)
                   ON CONFLICT (one) DO UPDATE
                   SET seen_at = excluded.seen_at, turns = excluded.turns,
                       stamped_at = excluded.stamped_at";
        let values = [written.as_micros(), self.turns, stamped.as_micros()];
        ledger.change("note the time", sql, values)?;
        Ok(written)
    }

    /// Says what of it is written down.
    pub(crate) fn written(self, written: Timestamp) -> Self {
        Self { written, ..self }
    }
}

/// What is taken back: waits, gates, rates and leases; and what cannot have happened yet.
const SET_BACK: [&str; 6] = [
    "UPDATE notify_delivery SET not_before = not_before - :by
     WHERE settled_at IS NULL AND not_before > :now",
    "UPDATE notify_delivery SET lease_until = lease_until - :by
     WHERE state = 'leased' AND lease_until > :now",
    "UPDATE notify_lane
     SET gate_at = gate_at - CASE WHEN gate_at > :now THEN :by ELSE 0 END,
         next_at = next_at - CASE WHEN next_at > :now THEN :by ELSE 0 END,
         due_at  = due_at  - CASE WHEN due_at  > :now THEN :by ELSE 0 END
     WHERE :now < max(gate_at, next_at, coalesce(due_at, 0))",
    "UPDATE notify_gate SET gate_at = gate_at - :by WHERE gate_at > :now",
    "UPDATE notify_delivery SET created_at = :now + 0 * :by
     WHERE settled_at IS NULL AND created_at > :now",
    "UPDATE notify_event SET accepted_at = :now + 0 * :by WHERE accepted_at > :now",
];

/// Takes everything back by this much, and gives what is seen from now on.
pub(crate) fn set_back(ledger: &Ledger<'_>, seen: Seen, by: Duration) -> Result<Seen, OutboxError> {
    let doing = "follow the clock back";
    let now = ledger.now.as_micros();
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    for sql in SET_BACK {
        ledger.change(doing, sql, named_params! { ":by": by, ":now": now })?;
    }
    let seen = Seen {
        at: ledger.now,
        written: ledger.now,
        turns: seen.turns + 1,
        ..seen
    };
    let sql = "UPDATE notify_clock SET seen_at = ?1, turns = ?2";
    ledger.change(doing, sql, [now, seen.turns])?;
    Ok(seen)
}

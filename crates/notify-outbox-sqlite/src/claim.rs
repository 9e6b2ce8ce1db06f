//! Which deliveries may be put on the wire now.

use std::time::Duration;

use notify_core::Timestamp;
use notify_outbox::settle::SILENT_ATTEMPTS;
use notify_outbox::{Claim, Leased, OutboxError, Serve};

use crate::lease::{self, Bundle, Effort, Terms};
use crate::ledger::{Ledger, limit};
use crate::{lane, lost, summary, unserved};

/// Answers with nothing where there is nothing to lease and nothing to take back.
pub(crate) fn look(ledger: &Ledger<'_>, claim: &Claim) -> Result<Option<Vec<Leased>>, OutboxError> {
    if lost::is_any(ledger)? || unserved::is_any(ledger, claim)? {
        return Ok(None);
    }
    for serve in claim.serve.iter().filter(|serve| serve.room > 0) {
        let account = serve.account.to_string();
        if !due_lanes(ledger, &account, claim.most_per_lane, 1)?.is_empty() {
            return Ok(None);
        }
    }
    Ok(Some(Vec::new()))
}

/// Leases what is due.
pub(crate) fn claim(ledger: &Ledger<'_>, claim: &Claim) -> Result<Vec<Leased>, OutboxError> {
    lost::take_back(ledger)?;
    let mut leased = Vec::new();
    unserved::expire(ledger, claim)?;
    let mut bundle = Bundle::default();
    let mut effort = Effort::new();
    for serve in &claim.serve {
        let mut counter = Counter {
            serve,
            account: serve.account.to_string(),
            most_per_lane: claim.most_per_lane,
            max_age: claim.max_age,
            room: serve.room,
            bundle: &mut bundle,
            effort: &mut effort,
            leased: &mut leased,
        };
        counter.serve(ledger)?;
    }
    Ok(leased)
}

struct DueLane {
    seq: i64,
    next_at: Timestamp,
    silent: u32,
}

/// Lists lanes in which a claim finds something, the earliest due first.
fn due_lanes(
    ledger: &Ledger<'_>,
    account: &str,
    most_per_lane: usize,
    most: usize,
) -> Result<Vec<DueLane>, OutboxError> {
    ledger.list(
        "find due lanes",
        "SELECT seq, next_at, silent FROM notify_lane
         WHERE account = ?1 AND due_at <= ?2 AND (full IS NULL OR full < ?3)
         ORDER BY due_at, seq LIMIT ?4",
        (
            account,
            ledger.now.as_micros(),
            limit(most_per_lane),
            limit(most),
        ),
        |columns| {
            Ok(DueLane {
                seq: columns.at(0)?,
                // What does not read is written anew by this claim, or by the next answer.
                next_at: Timestamp::from_micros(columns.at(1).unwrap_or_default()),
                silent: columns.at(2).unwrap_or_default(),
            })
        },
    )
}

/// Serves one account.
struct Counter<'a> {
    serve: &'a Serve,
    account: String,
    most_per_lane: usize,
    max_age: Duration,
    room: usize,
    bundle: &'a mut Bundle,
    effort: &'a mut Effort,
    leased: &'a mut Vec<Leased>,
}

impl Counter<'_> {
    fn serve(&mut self, ledger: &Ledger<'_>) -> Result<(), OutboxError> {
        while self.room > 0 && !self.effort.is_over() {
            let lanes = due_lanes(ledger, &self.account, self.most_per_lane, self.room)?;
            if lanes.is_empty() {
                break;
            }
            for lane in lanes {
                if self.room > 0 && !self.effort.is_over() {
                    self.take(ledger, &lane)?;
                }
            }
        }
        Ok(())
    }

    /// Leases what one lane may have on the wire. After that the lane is due no more for this claim,
    /// or the claim has no room left.
    fn take(&mut self, ledger: &Ledger<'_>, lane: &DueLane) -> Result<(), OutboxError> {
        let quiet = lane.silent >= SILENT_ATTEMPTS;
        let most = self.most_per_lane.min(if quiet { 1 } else { usize::MAX });
        let on_the_wire = on_the_wire(ledger, lane.seq)?;
        // A lane that is full for one claim may have room for another that allows more.
        let full = |on_the_wire: usize| match on_the_wire {
            1.. if quiet => Some(i64::MAX),
            _ => (on_the_wire >= most).then(|| limit(self.most_per_lane)),
        };
        let allowed = self.serve.rate.map_or(usize::MAX, |rate| {
            usize::try_from(rate.allowed(lane.next_at, ledger.now)).unwrap_or(usize::MAX)
        });
        let room = most.saturating_sub(on_the_wire).min(allowed).min(self.room);
        if room == 0 {
            return lane::claimed(ledger, lane.seq, lane.next_at, full(on_the_wire));
        }
        let mut grouped = 0;
        let mut terms = Terms {
            until: ledger.now.after(self.serve.lease),
            max_age: self.max_age,
            before: None,
        };
        if let Some(most) = self.serve.collapse_after {
            let formed = summary::form(ledger, lane.seq, most, self.max_age)?;
            terms.before = formed.goes_on;
            grouped = formed.grouped;
        }
        let before = self.leased.len();
        let hands = (&mut *self.bundle, &mut *self.effort);
        lease::lease(ledger, lane.seq, terms, room, hands, self.leased)?;
        self.effort.spend(grouped);
        let taken = self.leased.len() - before;
        let sent = u32::try_from(taken).unwrap_or(u32::MAX);
        let next_at = match self.serve.rate {
            Some(rate) if sent > 0 => rate.next(lane.next_at, ledger.now, sent),
            _ => lane.next_at,
        };
        lane::claimed(ledger, lane.seq, next_at, full(on_the_wire + taken))?;
        self.room -= taken;
        Ok(())
    }
}

fn on_the_wire(ledger: &Ledger<'_>, lane: i64) -> Result<usize, OutboxError> {
    let sql = "SELECT count(*) FROM notify_delivery WHERE lane = ?1 AND state = 'leased'";
    let count = ledger.number("count leases", sql, [lane])?;
    Ok(usize::try_from(count).unwrap_or(0))
}

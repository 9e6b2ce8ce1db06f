//! What an attempt came to, and what has to wait for it.

use notify_core::{Action, Cause, DeliveryId, Outcome, Reason, Receipt, Scope, Timestamp};
use notify_outbox::{Decision, Next, Release, Settled, Settlement, settle};

use super::{Model, State, capped};
use crate::simulator::trace::Step;

impl Model {
    /// Takes in what was stored of an attempt.
    pub(crate) fn settled(
        &mut self,
        settlement: &Settlement,
        settled: Settled,
        now: Timestamp,
    ) -> Step {
        let (id, token) = (settlement.delivery, settlement.token);
        let Some(known) = self.deliveries.get(&id) else {
            self.violate("a delivery was settled that was never recorded");
            return Step::Stale { delivery: 0, token };
        };
        let number = known.number;
        let lease = match known.state {
            State::Leased { until_min, .. } if known.token == token => Some(until_min),
            _ => None,
        };
        match (settled, lease) {
            (Settled::StaleLease, Some(until)) if until > now => {
                self.violate(format!(
                    "delivery {number} was leased until {until}, and could not be settled"
                ));
            }
            (Settled::Done, None) => {
                self.violate(format!(
                    "law 3: delivery {number} was settled without a lease"
                ));
            }
            (Settled::Done, Some(_)) => self.apply(settlement, now),
            (Settled::StaleLease, _) => {}
        }
        if settled == Settled::StaleLease {
            return Step::Stale {
                delivery: number,
                token,
            };
        }
        let decision = &settlement.decision;
        let (next, after) = match &decision.next {
            Next::Delivered(_) => ("delivered", std::time::Duration::ZERO),
            Next::Pending { after } => ("pending", *after),
            Next::Rejected => ("rejected", std::time::Duration::ZERO),
            Next::Expired => ("expired", std::time::Duration::ZERO),
            Next::Held(_) => ("held", std::time::Duration::ZERO),
        };
        Step::Settled {
            delivery: number,
            token,
            outcome: settlement.outcome.name(),
            next,
            after,
        }
    }

    fn apply(&mut self, settlement: &Settlement, now: Timestamp) {
        let id = settlement.delivery;
        let (outcome, decision) = (&settlement.outcome, &settlement.decision);
        let number = self.number(id);
        if let Some(what) = wrong(outcome, decision) {
            self.violate(format!("delivery {number}: {what}"));
        }
        let throttled = matches!(
            outcome,
            Outcome::NotDelivered {
                cause: Cause::Throttled,
                ..
            }
        );
        self.count(id, !throttled);
        match outcome {
            Outcome::Unknown { .. } => self.unknown(id),
            Outcome::Delivered(receipt) => self.arrived(id, receipt),
            _ => {}
        }
        match &decision.next {
            Next::Delivered(_) => self.change(id, State::Delivered),
            Next::Rejected => self.change(id, State::Rejected),
            Next::Expired => self.change(id, State::Expired),
            Next::Pending { after } => self.due_at(id, now.after(*after)),
            Next::Held(release) => {
                let lane = self.deliveries[&id].lane;
                self.lanes[lane].may_be_held |= *release == Release::Account;
                self.change(id, State::Held(*release));
            }
        }
        self.gate(id, outcome, decision, now);
        if let Some(pause) = &decision.pause {
            self.pause(id, pause.scope);
        }
    }

    /// Notes that the ledger has a delivery as delivered.
    fn arrived(&mut self, id: DeliveryId, receipt: &Receipt) {
        let known = &self.deliveries[&id];
        let number = known.number;
        let taken = self
            .wires
            .get(&known.wire)
            .is_some_and(|wire| wire.takes > 0);
        let account = self.lanes[known.lane].account;
        let (closes, key) = (known.action == Action::Close, known.conversation.clone());
        if let Some(key) = key {
            let conversation = self.conversations.entry((account, key)).or_default();
            conversation.open &= !closes;
            conversation.receipt = (!closes).then(|| receipt.clone());
        }
        if !taken {
            self.violate(format!(
                "law 1: delivery {number} is on record as delivered, and the vendor has not got it"
            ));
        }
    }

    fn gate(&mut self, id: DeliveryId, outcome: &Outcome, decision: &Decision, now: Timestamp) {
        let known = self
            .deliveries
            .get_mut(&id)
            .expect("only known ones settle");
        let (lane, asked) = (known.lane, known.asked.take());
        let account = self.lanes[lane].account;
        let silent = matches!(
            outcome,
            Outcome::NotDelivered {
                cause: Cause::Connect | Cause::Timeout,
                ..
            } | Outcome::Unknown {
                cause: Cause::Connect | Cause::Timeout,
                ..
            }
        );
        let state = &mut self.lanes[lane];
        state.silent_min = if silent { state.silent_min + 1 } else { 0 };
        state.silent_max = if silent { state.silent_max + 1 } else { 0 };
        if let Some(wait) = settle::quiet(state.silent_min) {
            state.gate_min = state.gate_min.max(now.after(wait));
        }
        if let Some(wait) = settle::quiet(state.silent_max) {
            state.gate_max = state.gate_max.max(now.after(wait));
        }
        let asked = asked.map(|(after, scope)| (capped(after, self.longest_retry_after), scope));
        let decided = decision.wait.map(|wait| (wait.after, wait.scope));
        for (after, scope) in asked.into_iter().chain(decided) {
            let until = now.after(after);
            if scope == Scope::Account {
                let state = &mut self.accounts[account];
                state.gate_min = state.gate_min.max(until);
                state.gate_max = state.gate_max.max(until);
            } else {
                let state = &mut self.lanes[lane];
                state.gate_min = state.gate_min.max(until);
                state.gate_max = state.gate_max.max(until);
            }
        }
    }

    /// Holds everything that waits in the delivery's lane, or for its account.
    fn pause(&mut self, id: DeliveryId, scope: Scope) {
        let lane = self.deliveries[&id].lane;
        let account = self.lanes[lane].account;
        let lanes = match scope {
            Scope::Lane => {
                self.lanes[lane].paused = true;
                vec![lane]
            }
            Scope::Account => {
                self.accounts[account].paused = true;
                self.accounts[account].lanes.clone()
            }
        };
        for lane in &lanes {
            self.lanes[*lane].may_be_held = true;
        }
        let waits = self
            .deliveries
            .iter()
            .filter(|(_, known)| lanes.contains(&known.lane) && known.state == State::Pending);
        let pending: Vec<_> = waits.map(|(id, _)| *id).collect();
        for id in pending {
            self.change(id, State::Held(Release::Account));
        }
    }
}

/// Holds a decision against its outcome.
fn wrong(outcome: &Outcome, decision: &Decision) -> Option<String> {
    let fits = match (outcome, &decision.next) {
        (Outcome::Delivered(_), next) => matches!(next, Next::Delivered(_)),
        (Outcome::Rejected { reason, .. }, next) => match reason {
            Reason::Auth | Reason::Config => *next == Next::Held(Release::Account),
            _ => *next == Next::Rejected,
        },
        (Outcome::Unknown { .. }, next) => matches!(
            next,
            Next::Pending { .. } | Next::Expired | Next::Held(Release::Replay)
        ),
        (_, next) => matches!(next, Next::Pending { .. } | Next::Expired),
    };
    let delivered = matches!(decision.next, Next::Delivered(_));
    if !fits {
        return Some(format!(
            "law 3: {} made it {:?}",
            outcome.name(),
            decision.next
        ));
    }
    (!delivered && decision.reason.is_none()).then(|| "law 8: it has no reason".to_owned())
}

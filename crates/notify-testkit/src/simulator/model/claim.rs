//! Leases: nobody twice, nothing early, nothing in excess, and nothing forgotten.

use std::collections::BTreeMap;

use notify_core::{Action, IfUnknown, Timestamp};
use notify_outbox::{Claim, Leased, Release, settle};

use super::{Model, NEARLY, State, Wire, keeps};
use crate::simulator::trace::Step;

impl Model {
    /// Takes in what an engine was given.
    pub(crate) fn claimed(
        &mut self,
        engine: u32,
        claim: &Claim,
        leased: &[Leased],
        now: Timestamp,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        self.take_back(now, &mut steps);
        let (mut of_account, mut of_lane) = (BTreeMap::new(), BTreeMap::new());
        for one in leased {
            if let Some(lane) = self.lease(engine, claim, one, now, &mut steps) {
                *of_account.entry(self.lanes[lane].account).or_insert(0) += 1;
                *of_lane.entry(lane).or_insert(0) += 1;
            }
        }
        for (lane, count) in of_lane {
            self.in_bounds(lane, count, claim, now);
        }
        for serve in &claim.serve {
            let account = self.account_of(&serve.account);
            let given = of_account.get(&account).copied().unwrap_or(0);
            if given > serve.room {
                self.violate(format!(
                    "law 7: {given} deliveries were given for {} places",
                    serve.room
                ));
            } else if given < serve.room && claim.most_per_lane > 0 {
                self.nothing_forgotten(account, now);
            }
        }
        steps
    }

    /// Does what a store does with leases that expired.
    fn take_back(&mut self, now: Timestamp, steps: &mut Vec<Step>) {
        while let Some((until, id)) = self.leases.first().copied() {
            if until > now {
                break;
            }
            self.lost(id, now, steps);
        }
    }

    pub(super) fn lost(
        &mut self,
        id: notify_core::DeliveryId,
        now: Timestamp,
        steps: &mut Vec<Step>,
    ) {
        self.count(id, true);
        self.unknown(id);
        let known = &self.deliveries[&id];
        steps.push(Step::Lost {
            delivery: known.number,
        });
        if known.if_unknown == IfUnknown::Hold {
            self.change(id, State::Held(Release::Replay));
        } else {
            self.due_at(id, now);
        }
    }

    fn lease(
        &mut self,
        engine: u32,
        claim: &Claim,
        one: &Leased,
        now: Timestamp,
        steps: &mut Vec<Step>,
    ) -> Option<usize> {
        let Some(known) = self.deliveries.get(&one.id) else {
            self.violate("a delivery was leased that was never recorded");
            return None;
        };
        let number = known.number;
        if let State::Leased { until_min, .. } = known.state {
            if until_min > now {
                self.violate(format!(
                    "law 7: delivery {number} was leased while it was leased until {until_min}"
                ));
            }
            self.lost(one.id, now, steps);
        }
        let went_alone = self.lets_go(one);
        let known = &self.deliveries[&one.id];
        let (lane, state) = (known.lane, known.state);
        let account = self.lanes[lane].account;
        let mut wrong = Vec::new();
        wrong.extend(went_alone);
        let key = known.conversation.clone().map(|key| (account, key));
        let conversation = key.and_then(|key| self.conversations.get(&key));
        let earlier = conversation.and_then(|one| one.receipt.clone());
        if one.earlier != earlier {
            wrong.push(format!(
                "law 4: {:?} went before it, not {earlier:?}",
                one.earlier
            ));
        }
        match state {
            State::Pending | State::Leased { .. } => {}
            State::Delivered
            | State::Rejected
            | State::Skipped
            | State::Superseded
            | State::Expired => {
                wrong.push(format!("law 3: it was {state:?} already"));
            }
            State::Held(release) => wrong.push(format!("law 3: it was held ({release:?})")),
        }
        if one.token <= known.token {
            wrong.push(format!("its token {} does not grow", one.token));
        }
        if (one.attempts, one.tries) != (known.attempts, known.tries) {
            wrong.push(format!(
                "law 6: it has {} attempts and {} tries, not {} and {}",
                one.attempts, one.tries, known.attempts, known.tries
            ));
        }
        if one.unsure != known.unsure {
            wrong.push(format!("law 2: unsure is {}", one.unsure));
        }
        if known.not_before_min > now {
            let early = known.not_before_min.since(now);
            wrong.push(format!("law 6: it is not due for {early:?}"));
        }
        let gates = [self.lanes[lane].gate_min, self.accounts[account].gate_min];
        let gate = gates.into_iter().max().unwrap_or(now);
        if gate > now {
            let early = gate.since(now);
            wrong.push(format!("law 6: its lane or account rests for {early:?}"));
        }
        if one.event.past != self.events[&known.event].past {
            wrong.push("law 8: the frozen past has changed".to_owned());
        }
        if now.since(known.created) >= self.max_age {
            wrong.push("it is older than anything should be".to_owned());
        }
        if known.conversation != one.conversation || known.action != one.action {
            wrong.push("what it does to its conversation has changed".to_owned());
        }
        let Some(serve) = claim
            .serve
            .iter()
            .find(|serve| serve.account == one.account)
        else {
            self.violate(format!(
                "delivery {number} is of an account that is not served"
            ));
            return None;
        };
        let epoch = self.regroupings;
        match (&one.summary, &known.summary) {
            (Some(_), _) if serve.collapse_after.is_none() || one.conversation.is_some() => {
                wrong.push("it cannot stand for others".to_owned());
            }
            (now, Some((before, at))) if *at == epoch && now.as_ref() != Some(before) => {
                wrong.push("its summary has changed".to_owned());
            }
            _ => {}
        }
        if let Some(key) = &known.conversation {
            let other = self.leases.iter().find(|(_, other)| {
                let other = &self.deliveries[other];
                let valid =
                    matches!(other.state, State::Leased { until_min, .. } if until_min > now);
                valid
                    && other.conversation.as_ref() == Some(key)
                    && self.lanes[other.lane].account == account
            });
            if let Some((_, other)) = other {
                let other = self.number(*other);
                wrong.push(format!(
                    "law 4: delivery {other} of its conversation is leased"
                ));
            }
        }
        for what in wrong {
            self.violate(format!("delivery {number} was leased; {what}"));
        }

        let wire = one.wire_id();
        self.wires.entry(wire).or_insert_with(|| Wire {
            delivery: one.id,
            takes: 0,
            excused: false,
            taken_at_replay: None,
            body: None,
            running: std::collections::BTreeSet::new(),
            reconciled: None,
        });
        let known = self.deliveries.get_mut(&one.id).expect("looked up above");
        known.token = one.token;
        known.wire = wire;
        known.asked = None;
        known.summary = one.summary.clone().map(|summary| (summary, epoch));
        let until = now.after(serve.lease);
        let leased = State::Leased {
            engine,
            until_min: until,
            until_max: until,
        };
        self.change(one.id, leased);
        if one.summary.is_some() {
            self.lanes[lane].summed = true;
        }
        let lane_state = &mut self.lanes[lane];
        if let Some(rate) = serve.rate {
            lane_state.next_max = rate.next(lane_state.next_max, now, 1);
            lane_state.recent.push_back(now);
            let window = 2 * usize::try_from(rate.burst.get()).expect("small") + 8;
            if lane_state.recent.len() > window {
                lane_state.recent.pop_front();
            }
            if !keeps(rate, &lane_state.recent, now) {
                let name = lane_state.name.clone();
                self.violate(format!("law 6: lane {account}/{name} goes too fast"));
            }
        }
        steps.push(Step::Leased {
            delivery: number,
            token: one.token,
            engine,
            summary: one.summary.as_ref().map(|summary| summary.deliveries),
        });
        Some(lane)
    }

    /// Takes in that a close goes by itself, where it may; says what is wrong with that.
    fn lets_go(&mut self, one: &Leased) -> Option<String> {
        let known = self.deliveries.get_mut(&one.id)?;
        let goes = known.alone && known.action == Action::Close && one.action == Action::Send;
        if !goes {
            return None;
        }
        known.action = Action::Send;
        let key = known.conversation.take()?;
        let lane = &mut self.lanes[known.lane];
        lane.sends += 1;
        let conversation = self.conversations.get(&(lane.account, key))?;
        let left_open = conversation.open && !conversation.tampered;
        left_open.then(|| "law 4: it goes by itself, and leaves open what is".to_owned())
    }

    fn in_bounds(&mut self, lane: usize, count: usize, claim: &Claim, now: Timestamp) {
        let state = &self.lanes[lane];
        let valid = |id: &&notify_core::DeliveryId| matches!(self.deliveries[*id].state, State::Leased { until_min, .. } if until_min > now);
        let leased = state.leased.iter().filter(valid).count();
        let name = format!("{}/{}", state.account, state.name);
        let quiet = state.silent_min >= settle::SILENT_ATTEMPTS;
        if leased > claim.most_per_lane || leased > self.in_flight_per_lane {
            self.violate(format!("law 7: lane {name} has {leased} leases"));
        }
        if quiet && count > 1 {
            self.violate(format!("lane {name} never answers, and is given {count}"));
        }
    }

    /// There was room for more of this account, so nothing that could go may still wait.
    fn nothing_forgotten(&mut self, account: usize, now: Timestamp) {
        let state = &self.accounts[account];
        if state.paused || state.gate_max > now {
            return;
        }
        let rate = state.plan.rate;
        let mut forgotten = None;
        for index in &state.lanes {
            let lane = &mut self.lanes[*index];
            let free = lane.leased.is_empty()
                && !lane.summed
                && !lane.paused
                && lane.gate_max <= now
                && (rate.is_none() || lane.next_max <= now);
            if !free {
                continue;
            }
            while let Some((at, id)) = lane.due.first().copied() {
                if at > now {
                    break;
                }
                let known = &self.deliveries[&id];
                if now.since(known.created).saturating_add(NEARLY) < self.max_age {
                    forgotten = Some((known.number, at));
                    break;
                }
                // It expires; the exam finds out.
                lane.due.remove(&(at, id));
            }
        }
        if let Some((number, at)) = forgotten {
            self.violate(format!(
                "law 5: delivery {number} is due since {at}, there is room, and it was not given"
            ));
        }
    }

    /// Takes in that paused accounts work again.
    pub(crate) fn resumed(&mut self, accounts: &[notify_core::AccountId], now: Timestamp) {
        for id in accounts {
            let account = self.account_of(id);
            let was_paused = std::mem::take(&mut self.accounts[account].paused);
            let mut freed = was_paused;
            for index in self.accounts[account].lanes.clone() {
                let lane = &mut self.lanes[index];
                lane.paused = false;
                if was_paused || std::mem::take(&mut lane.may_be_held) {
                    lane.may_be_held = false;
                    lane.gate_min = lane.gate_min.min(now);
                    lane.silent_min = 0;
                    lane.silent_max = lane.silent_max.max(settle::SILENT_ATTEMPTS);
                    freed = true;
                }
            }
            if freed {
                let state = &mut self.accounts[account];
                state.gate_min = state.gate_min.min(now);
            }
            let held: Vec<_> = self
                .deliveries
                .iter()
                .filter(|(_, known)| {
                    self.lanes[known.lane].account == account
                        && known.state == State::Held(Release::Account)
                })
                .map(|(id, _)| *id)
                .collect();
            for id in held {
                // What was surely held leaves no doubt: its lane is tried with one delivery.
                let lane = self.deliveries[&id].lane;
                self.lanes[lane].silent_min = settle::SILENT_ATTEMPTS;
                self.lanes[lane].silent_max = settle::SILENT_ATTEMPTS;
                self.due_at(id, now);
            }
            // What became pending while its account was paused may have been held as well.
            for known in self.deliveries.values_mut() {
                if known.uncertain && self.lanes[known.lane].account == account {
                    known.not_before_min = known.not_before_min.min(now);
                }
            }
        }
    }
}

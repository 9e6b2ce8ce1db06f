//! What reaches a vendor.

use std::time::Duration;

use notify_core::{Action, DeliveryId, IfUnknown, Prepared, Scope, Timestamp};

use super::{Conversation, Model, State};

impl Model {
    /// Takes in that an attempt begins; gives the delivery's number and the token.
    pub(crate) fn begins(
        &mut self,
        engine: u32,
        account: usize,
        prepared: &Prepared,
        now: Timestamp,
    ) -> Option<(DeliveryId, u32, i64)> {
        let Some(wire) = self.wires.get_mut(&prepared.id) else {
            self.violate("something was sent that was never leased");
            return None;
        };
        let id = wire.delivery;
        let known = &self.deliveries[&id];
        let (number, token, lane) = (known.number, known.token, known.lane);
        let mut wrong = Vec::new();
        let body = prepared.payload.body.to_vec();
        if wire.body.get_or_insert_with(|| body.clone()) != &body {
            wrong.push("its payload is another than before".to_owned());
        }
        match known.state {
            State::Leased {
                engine: holder,
                until_min,
                ..
            } => {
                if holder != engine && until_min > now {
                    wrong.push(format!("law 7: engine {holder} holds the lease"));
                }
            }
            state => wrong.push(format!("law 7: it is {state:?}")),
        }
        if !wire.running.insert((engine, token)) {
            wrong.push("law 7: its attempt runs already".to_owned());
        }
        let reconciles = self.accounts[account].plan.reconciles;
        if known.unsure && reconciles && wire.reconciled != Some(token) {
            wrong.push("law 2: the vendor was not asked first".to_owned());
        }
        if self.lanes[lane].account != account {
            wrong.push("it went to another account".to_owned());
        }
        let on_wire = self.accounts[account].on_wire.entry(engine).or_insert(0);
        *on_wire += 1;
        if *on_wire > self.in_flight {
            wrong.push(format!("law 7: engine {engine} has {on_wire} in flight"));
        }
        for what in wrong {
            self.violate(format!("delivery {number} is sent; {what}"));
        }
        Some((id, number, token))
    }

    /// Takes in that an attempt ended, however it did.
    pub(crate) fn ends(&mut self, engine: u32, account: usize, wire: DeliveryId, token: i64) {
        if let Some(wire) = self.wires.get_mut(&wire) {
            wire.running.remove(&(engine, token));
        }
        if let Some(on_wire) = self.accounts[account].on_wire.get_mut(&engine) {
            *on_wire = on_wire.saturating_sub(1);
        }
    }

    /// Takes in that an engine asks what became of an earlier attempt; gives whether it arrived.
    pub(crate) fn reconciles(&mut self, wire: DeliveryId) -> Option<(u32, bool)> {
        let delivery = self.wires.get(&wire)?.delivery;
        let known = &self.deliveries[&delivery];
        let (number, token) = (known.number, known.token);
        let wire = self.wires.get_mut(&wire)?;
        wire.reconciled = Some(token);
        Some((number, wire.takes > 0))
    }

    /// Notes how long the vendor wants to be left alone.
    pub(crate) fn asks(&mut self, id: DeliveryId, token: i64, after: Duration, scope: Scope) {
        if let Some(known) = self.deliveries.get_mut(&id)
            && known.token == token
        {
            known.asked = Some((after, scope));
        }
    }

    /// Takes in that the vendor has got something.
    pub(crate) fn takes(&mut self, wire_id: DeliveryId, token: i64, now: Timestamp) -> u32 {
        let Some(wire) = self.wires.get_mut(&wire_id) else {
            return u32::MAX;
        };
        let id = wire.delivery;
        let known = &self.deliveries[&id];
        let number = known.number;
        let mut wrong = Vec::new();
        // An engine whose lease is over, because the clock jumped, knows nothing of what others did.
        let valid = known.token == token
            && matches!(known.state, State::Leased { until_min, .. } if until_min > now);
        if wire.takes > 0 && !wire.excused && valid {
            wrong.push(format!("law 2: it has it {} times already", wire.takes));
        }
        let taken_before = wire.taken_at_replay == Some(known.replays);
        if known.if_unknown == IfUnknown::Hold && taken_before && valid {
            wrong.push("law 2: it was to be held rather than sent twice".to_owned());
        }
        wire.taken_at_replay = Some(known.replays);
        wire.takes += 1;
        wire.excused = !valid;
        if let Some(key) = &known.conversation {
            let account = self.lanes[known.lane].account;
            // A lease that nobody has taken back in sight may have opened it.
            let may_be_open = known.action == Action::Close
                && self.deliveries.values().any(|other| {
                    other.action == Action::Open
                        && matches!(other.state, State::Leased { .. })
                        && other.conversation.as_ref() == Some(key)
                        && self.lanes[other.lane].account == account
                });
            let conversation = self
                .conversations
                .entry((account, key.clone()))
                .or_default();
            conversation.open |= may_be_open;
            wrong.extend(conversation.order(id, known.action, known.order, valid));
        }
        for what in wrong {
            self.violate(format!("the vendor takes delivery {number}; {what}"));
        }
        number
    }
}

impl Conversation {
    /// Holds what a vendor takes against what it took before.
    fn order(
        &mut self,
        id: DeliveryId,
        action: Action,
        order: super::Order,
        valid: bool,
    ) -> Option<String> {
        match action {
            Action::Open => {
                self.open = true;
                let late = self.closed_by.is_some_and(|closed| order < closed);
                (late && valid && !self.tampered)
                    .then(|| "law 4: a later end closed the conversation before".to_owned())
            }
            Action::Close => {
                let first = self.closes.insert(id);
                self.closed_by = self.closed_by.max(Some(order));
                (first && !self.open && valid && !self.tampered)
                    .then(|| "law 4: nothing is open".to_owned())
            }
            _ => None,
        }
    }
}

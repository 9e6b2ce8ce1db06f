//! All rows together, and how a row changes.
//!
//! **Invariant.** Every row is in the sets that its state puts it in: deliveries and events change
//! through [`Ledger::change`] and [`Ledger::move_event`] only, and no call looks at more than what
//! it concerns.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use notify_core::{AccountId, DeliveryId, Execution, Timestamp};

use crate::memory::rows::{
    Account, Conversation, Delivery, Ends, Event, Group, Lane, Seq, Table, Workflow, open,
};
use crate::outbox::OutboxError;
use crate::record::{DeliveryState, EventId, EventState, WorkflowKey};

/// The ledger.
pub(super) struct Ledger {
    /// The latest instant that the clock gave.
    pub(super) seen: Timestamp,
    /// The latest end that the ledger stamped.
    pub(super) stamped: Timestamp,
    /// How many deliveries of a lane the last claim let be leased at once.
    pub(super) most_per_lane: usize,
    pub(super) events: Table<Event>,
    pub(super) event_ids: HashMap<EventId, Seq>,
    pub(super) ends: HashMap<Execution, Ends>,
    pub(super) events_in: BTreeMap<EventState, BTreeSet<Seq>>,
    /// Events of which nothing will come any more, in the order in which they became so.
    pub(super) settled: BTreeMap<u64, Seq>,
    settlings: u64,
    pub(super) workflows: HashMap<WorkflowKey, Workflow>,
    pub(super) accounts: Table<Account>,
    pub(super) account_ids: HashMap<AccountId, Seq>,
    pub(super) lanes: Table<Lane>,
    /// Lanes that may be due at another instant than before.
    pub(super) touched: Vec<Seq>,
    pub(super) conversations: Table<Conversation>,
    pub(super) deliveries: Table<Delivery>,
    pub(super) delivery_ids: HashMap<DeliveryId, Seq>,
    /// The leased deliveries in the order in which their leases end.
    pub(super) leases: BTreeSet<(Timestamp, Seq)>,
    pub(super) pending: usize,
    pub(super) held: usize,
    /// The summaries that are not settled, by their leaders.
    pub(super) groups: HashMap<Seq, Group>,
}

impl Ledger {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            seen: now,
            stamped: open(),
            most_per_lane: usize::MAX,
            events: Table::new("event"),
            event_ids: HashMap::new(),
            ends: HashMap::new(),
            events_in: BTreeMap::new(),
            settled: BTreeMap::new(),
            settlings: 0,
            workflows: HashMap::new(),
            accounts: Table::new("account"),
            account_ids: HashMap::new(),
            lanes: Table::new("lane"),
            touched: Vec::new(),
            conversations: Table::new("conversation"),
            deliveries: Table::new("delivery"),
            delivery_ids: HashMap::new(),
            leases: BTreeSet::new(),
            pending: 0,
            held: 0,
            groups: HashMap::new(),
        }
    }

    /// Finds or makes an account.
    pub(super) fn account(&mut self, id: &AccountId) -> Seq {
        if let Some(known) = self.account_ids.get(id) {
            return *known;
        }
        let seq = self.accounts.insert(Account {
            id: id.clone(),
            paused: None,
            gate_at: open(),
            lanes: HashMap::new(),
            conversations: HashMap::new(),
            due: BTreeSet::new(),
            pending: BTreeSet::new(),
        });
        self.account_ids.insert(id.clone(), seq);
        seq
    }

    /// Stores a delivery.
    pub(super) fn insert(&mut self, delivery: Delivery) -> Result<Seq, OutboxError> {
        let (id, event) = (delivery.id, delivery.event);
        let seq = self.deliveries.insert(delivery);
        self.delivery_ids.insert(id, seq);
        self.events.get_mut(event)?.deliveries.push(seq);
        self.file(seq, true)?;
        Ok(seq)
    }

    /// Changes a delivery, which stays in its lane.
    pub(super) fn change(
        &mut self,
        seq: Seq,
        edit: impl FnOnce(&mut Delivery),
    ) -> Result<(), OutboxError> {
        self.file(seq, false)?;
        let delivery = self.deliveries.get_mut(seq)?;
        edit(delivery);
        let event = delivery.event;
        self.file(seq, true)?;
        self.review(event)
    }

    /// Puts a delivery into the sets that its state puts it in, or takes it out of them.
    fn file(&mut self, seq: Seq, into: bool) -> Result<(), OutboxError> {
        let delivery = self.deliveries.get(seq)?;
        if delivery.state.is_settled() {
            return Ok(());
        }
        let lane = self.lanes.get_mut(delivery.lane)?;
        let place = (delivery.not_before, seq);
        match delivery.state {
            DeliveryState::Leased => {
                put(&mut self.leases, (delivery.lease_until, seq), into);
                lane.leased = counted(lane.leased, into);
            }
            DeliveryState::Held => {
                put(&mut lane.held, place, into);
                self.held = counted(self.held, into);
            }
            _ => {
                let queue = if delivery.blocked {
                    &mut lane.blocked
                } else if delivery.is_single() {
                    &mut lane.single
                } else {
                    &mut lane.fixed
                };
                put(queue, place, into);
                self.pending = counted(self.pending, into);
                let of_account = &mut self.accounts.get_mut(delivery.account)?.pending;
                put(of_account, (delivery.created_at, seq), into);
            }
        }
        if !lane.touched {
            lane.touched = true;
            self.touched.push(delivery.lane);
        }
        if let Some(conversation) = delivery.conversation {
            let conversation = self.conversations.get_mut(conversation)?;
            put(&mut conversation.members, (delivery.order, seq), into);
        }
        let event = self.events.get_mut(delivery.event)?;
        event.unsettled = counted(event.unsettled, into);
        Ok(())
    }

    /// Puts an event into another state.
    pub(super) fn move_event(
        &mut self,
        seq: Seq,
        state: EventState,
        reason: Option<String>,
    ) -> Result<(), OutboxError> {
        let event = self.events.get_mut(seq)?;
        let before = std::mem::replace(&mut event.state, state);
        event.reason = reason;
        put(self.events_in.entry(before).or_default(), seq, false);
        put(self.events_in.entry(state).or_default(), seq, true);
        self.review(seq)
    }

    /// Notes whether something can still come of an event.
    pub(super) fn review(&mut self, seq: Seq) -> Result<(), OutboxError> {
        let event = self.events.get_mut(seq)?;
        match (event.is_settled(), event.settled) {
            (true, None) => {
                self.settlings += 1;
                event.settled = Some(self.settlings);
                self.settled.insert(self.settlings, seq);
            }
            (false, Some(place)) => {
                event.settled = None;
                self.settled.remove(&place);
            }
            _ => {}
        }
        Ok(())
    }
}

fn put<T: Ord>(set: &mut BTreeSet<T>, item: T, into: bool) {
    if into {
        set.insert(item);
    } else {
        set.remove(&item);
    }
}

/// Counts one more or one less.
const fn counted(count: usize, more: bool) -> usize {
    if more {
        count + 1
    } else {
        count.saturating_sub(1)
    }
}

/// Says how many there are, as records say it.
pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

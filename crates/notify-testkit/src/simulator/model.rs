//! The ledger as one who watches every call sees it, and the laws that are checked on the way.
//!
//! What a store does by itself (superseding, summing up, skipping a close) is not predicted: the
//! exam at the end reads it. Bounds are kept on the safe side where a clock was set back.

mod claim;
mod intake;
mod settle;
mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use notify_core::{
    AccountId, Action, DeliveryId, IfUnknown, Past, Rate, Receipt, Scope, TerminalPhase, Timestamp,
};
use notify_outbox::{EventId, EventState, NewEvent, Release, Summary, WorkflowKey};
use uuid::Uuid;

use super::scene::{AccountPlan, Scene};

/// How many violations of one run are kept.
const MOST_VIOLATIONS: usize = 4;

/// How near its greatest age a delivery is no longer counted on.
const NEARLY: Duration = Duration::from_secs(2);

/// When an end happened, with its event to break ties.
pub(crate) type Order = (Timestamp, EventId);

/// An end in the history of a workflow, with what orders it.
type Ended = ((Timestamp, Uuid), TerminalPhase);

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) violations: Vec<String>,
    seen: Timestamp,
    /// The latest end that the ledger stamped by itself.
    stamped: Timestamp,
    longest_retry_after: Duration,
    max_age: Duration,
    in_flight: usize,
    in_flight_per_lane: usize,
    pub(crate) accounts: Vec<AccountState>,
    account_index: BTreeMap<AccountId, usize>,
    pub(crate) lanes: Vec<Lane>,
    lane_index: BTreeMap<(usize, String), usize>,
    pub(crate) events: BTreeMap<EventId, Event>,
    keys: BTreeMap<(String, String, String, u32), Key>,
    histories: BTreeMap<WorkflowKey, Vec<Ended>>,
    pub(crate) deliveries: BTreeMap<DeliveryId, Known>,
    pub(crate) wires: BTreeMap<DeliveryId, Wire>,
    conversations: BTreeMap<(usize, String), Conversation>,
    leases: BTreeSet<(Timestamp, DeliveryId)>,
    /// How often somebody replayed or dropped something, which takes summaries apart.
    regroupings: u32,
}

#[derive(Debug)]
pub(crate) struct AccountState {
    pub(crate) plan: AccountPlan,
    paused: bool,
    gate_min: Timestamp,
    gate_max: Timestamp,
    lanes: Vec<usize>,
    /// What is on the wire, by engine.
    on_wire: BTreeMap<u32, usize>,
}

/// A queue of an account. What ends in `_min` has at least to be waited for, what ends in `_max`
/// at most.
#[derive(Debug)]
pub(crate) struct Lane {
    account: usize,
    pub(crate) name: String,
    gate_min: Timestamp,
    gate_max: Timestamp,
    next_max: Timestamp,
    recent: VecDeque<Timestamp>,
    silent_min: u32,
    silent_max: u32,
    /// It is paused by itself.
    paused: bool,
    /// Something may be held here until the account works again.
    may_be_held: bool,
    leased: BTreeSet<DeliveryId>,
    /// Deliveries outside conversations that wait, by when they are due at the latest.
    due: BTreeSet<(Timestamp, DeliveryId)>,
    /// How many deliveries outside conversations are not settled.
    sends: usize,
    /// So many that they may have been summed up: what is blocked then is not predicted.
    summed: bool,
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) number: u32,
    pub(crate) state: EventState,
    pub(crate) phase: TerminalPhase,
    pub(crate) ended_at: Timestamp,
    workflow: WorkflowKey,
    past: Option<Past>,
}

#[derive(Debug)]
struct Key {
    first: EventId,
    phase: TerminalPhase,
    conflicts: BTreeSet<TerminalPhase>,
}

/// One delivery.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) number: u32,
    pub(crate) event: EventId,
    pub(crate) lane: usize,
    pub(crate) action: Action,
    pub(crate) conversation: Option<String>,
    /// It may go by itself, where nothing is open.
    alone: bool,
    pub(crate) order: Order,
    pub(crate) if_unknown: IfUnknown,
    pub(crate) state: State,
    pub(crate) tries: u32,
    attempts: u32,
    token: i64,
    unsure: bool,
    created: Timestamp,
    not_before_min: Timestamp,
    not_before_max: Timestamp,
    /// Its account is paused, and the store may hold it or not.
    uncertain: bool,
    /// It was so old, before the clock was set back, that the store may have let it expire.
    may_be_over: bool,
    pub(crate) replays: u32,
    wire: DeliveryId,
    summary: Option<(Summary, u32)>,
    /// What the vendor asked for in the present attempt.
    asked: Option<(Duration, Scope)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Leased {
        engine: u32,
        until_min: Timestamp,
        until_max: Timestamp,
    },
    Held(Release),
    Delivered,
    Rejected,
    Expired,
    Skipped,
    Superseded,
}

/// What goes over the wire under one id: a delivery, or a summary in place of several.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) delivery: DeliveryId,
    pub(crate) takes: u32,
    /// It may be taken once more.
    excused: bool,
    taken_at_replay: Option<u32>,
    body: Option<Vec<u8>>,
    /// Attempts that run: engine and token.
    running: BTreeSet<(u32, i64)>,
    reconciled: Option<i64>,
}

#[derive(Debug, Default)]
struct Conversation {
    open: bool,
    /// What is handed on: the receipt of the last one that is on record as arrived, while it is open.
    receipt: Option<Receipt>,
    closed_by: Option<Order>,
    closes: BTreeSet<DeliveryId>,
    /// Somebody replayed or dropped something, which may set the order aside.
    tampered: bool,
}

impl Model {
    pub(crate) fn new(scene: &Scene, now: Timestamp) -> Self {
        let state = |plan: &AccountPlan| AccountState {
            plan: plan.clone(),
            paused: false,
            gate_min: now,
            gate_max: now,
            lanes: Vec::new(),
            on_wire: BTreeMap::new(),
        };
        let ids = scene.accounts.iter().map(|plan| plan.id.clone());
        Self {
            violations: Vec::new(),
            seen: now,
            stamped: Timestamp::from_micros(0),
            longest_retry_after: scene.settings.policy.longest_retry_after,
            max_age: scene.settings.policy.max_age,
            in_flight: scene.settings.in_flight,
            in_flight_per_lane: scene.settings.in_flight_per_lane,
            accounts: scene.accounts.iter().map(state).collect(),
            account_index: ids.zip(0..).collect(),
            lanes: Vec::new(),
            lane_index: BTreeMap::new(),
            events: BTreeMap::new(),
            keys: BTreeMap::new(),
            histories: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            wires: BTreeMap::new(),
            conversations: BTreeMap::new(),
            leases: BTreeSet::new(),
            regroupings: 0,
        }
    }

    pub(crate) fn violate(&mut self, what: impl Into<String>) {
        if self.violations.len() < MOST_VIOLATIONS {
            self.violations.push(what.into());
        }
    }

    /// Keeps up with the wall clock; called before each call of the ledger.
    pub(crate) fn at(&mut self, now: Timestamp) {
        if now.after(Duration::from_secs(1)) < self.seen {
            self.set_back(now);
            self.seen = now;
        }
        self.seen = self.seen.max(now);
    }

    /// What was to be waited for at least is known no more; what was at most stays.
    fn set_back(&mut self, now: Timestamp) {
        for account in &mut self.accounts {
            account.gate_min = account.gate_min.min(now);
        }
        for lane in &mut self.lanes {
            lane.gate_min = lane.gate_min.min(now);
            lane.recent.clear();
        }
        for (id, known) in &mut self.deliveries {
            if self.seen.since(known.created).saturating_add(NEARLY) >= self.max_age {
                known.may_be_over = true;
                let lane = &mut self.lanes[known.lane];
                lane.due.remove(&(known.not_before_max, *id));
            }
            known.not_before_min = known.not_before_min.min(now);
            known.created = known.created.min(now);
            if let State::Leased { until_min, .. } = &mut known.state {
                *until_min = (*until_min).min(now);
            }
        }
    }

    pub(crate) fn account_of(&self, id: &AccountId) -> usize {
        self.account_index[id]
    }

    pub(crate) fn account_of_lane(&self, lane: usize) -> usize {
        self.lanes[lane].account
    }

    fn lane(&mut self, account: usize, name: &str, now: Timestamp) -> usize {
        if let Some(lane) = self.lane_index.get(&(account, name.to_owned())) {
            return *lane;
        }
        let lane = self.lanes.len();
        self.lane_index.insert((account, name.to_owned()), lane);
        self.accounts[account].lanes.push(lane);
        self.lanes.push(Lane {
            account,
            name: name.to_owned(),
            gate_min: now,
            gate_max: now,
            next_max: now,
            recent: VecDeque::new(),
            silent_min: 0,
            silent_max: 0,
            paused: false,
            may_be_held: false,
            leased: BTreeSet::new(),
            due: BTreeSet::new(),
            sends: 0,
            summed: false,
        });
        lane
    }

    /// Moves a delivery into a state, and keeps the lists of its lane.
    fn change(&mut self, id: DeliveryId, to: State) {
        let known = self
            .deliveries
            .get_mut(&id)
            .expect("only known ones change");
        let lane = &mut self.lanes[known.lane];
        let plain = known.action == Action::Send && known.conversation.is_none();
        let open = |state: &State| {
            matches!(
                state,
                State::Pending | State::Leased { .. } | State::Held(_)
            )
        };
        if let State::Leased { until_max, .. } = known.state {
            self.leases.remove(&(until_max, id));
            lane.leased.remove(&id);
        }
        lane.due.remove(&(known.not_before_max, id));
        match (plain && open(&known.state), plain && open(&to)) {
            (true, false) => lane.sends -= 1,
            (false, true) => lane.sends += 1,
            _ => {}
        }
        known.state = to;
        match to {
            State::Leased { until_max, .. } => {
                self.leases.insert((until_max, id));
                lane.leased.insert(id);
            }
            State::Pending if plain && !known.uncertain && !known.may_be_over => {
                lane.due.insert((known.not_before_max, id));
            }
            _ => {}
        }
        let collapses = self.accounts[lane.account].plan.collapses;
        if collapses.is_some_and(|most| lane.sends > most) {
            lane.summed = true;
        }
    }

    /// Makes a delivery pending, due from then on.
    fn due_at(&mut self, id: DeliveryId, at: Timestamp) {
        let known = self
            .deliveries
            .get_mut(&id)
            .expect("only known ones change");
        let lane = &mut self.lanes[known.lane];
        lane.due.remove(&(known.not_before_max, id));
        known.uncertain = self.accounts[lane.account].paused || lane.paused;
        known.not_before_min = at;
        known.not_before_max = at;
        self.change(id, State::Pending);
    }

    /// An attempt came to nothing that anybody knows.
    fn unknown(&mut self, id: DeliveryId) {
        let known = self
            .deliveries
            .get_mut(&id)
            .expect("only known ones change");
        known.unsure = true;
        let wire = self.wires.get_mut(&known.wire).expect("it was leased");
        wire.excused = true;
        if known.action == Action::Open
            && let Some(key) = known.conversation.clone()
        {
            // The vendor may have it, and then it has to be closed there.
            let account = self.lanes[known.lane].account;
            self.conversations.entry((account, key)).or_default().open = true;
        }
    }

    fn count(&mut self, id: DeliveryId, counts: bool) {
        let known = self
            .deliveries
            .get_mut(&id)
            .expect("only known ones change");
        known.tries += 1;
        known.attempts += u32::from(counts);
    }

    pub(crate) fn number(&self, id: DeliveryId) -> u32 {
        self.deliveries
            .get(&id)
            .map_or(u32::MAX, |known| known.number)
    }

    /// Returns the conversation of a delivery, unless somebody set its order aside.
    pub(crate) fn untampered(&self, known: &Known) -> Option<(usize, String)> {
        let account = self.lanes[known.lane].account;
        let key = (account, known.conversation.clone()?);
        let tampered = self.conversations.get(&key).is_some_and(|one| one.tampered);
        (!tampered).then_some(key)
    }

    fn tampered(&mut self, id: DeliveryId) {
        let known = &self.deliveries[&id];
        let account = self.lanes[known.lane].account;
        let Some(key) = known.conversation.clone() else {
            return;
        };
        self.conversations
            .entry((account, key))
            .or_default()
            .tampered = true;
    }

    /// Takes in that somebody made deliveries due.
    pub(crate) fn replayed(&mut self, ids: &[DeliveryId], now: Timestamp) {
        self.regroupings += 1;
        for id in ids {
            let Some(known) = self.deliveries.get_mut(id) else {
                self.violate("a delivery was replayed that was never recorded");
                continue;
            };
            let number = known.number;
            if matches!(known.state, State::Leased { until_min, .. } if until_min <= now) {
                self.lost(*id, now, &mut Vec::new());
            }
            let known = self.deliveries.get_mut(id).expect("looked up above");
            if matches!(known.state, State::Delivered) {
                self.violate(format!("delivery {number} was delivered, and is replayed"));
                continue;
            }
            known.attempts = 0;
            known.created = now;
            known.replays += 1;
            known.may_be_over = false;
            known.summary = None;
            for wire in self.wires.values_mut().filter(|wire| wire.delivery == *id) {
                wire.excused = true;
            }
            self.tampered(*id);
            // A paused account's deliveries may be held at once or stand by.
            self.due_at(*id, now);
        }
    }

    /// Takes in that somebody gave deliveries up.
    pub(crate) fn dropped(&mut self, ids: &[DeliveryId], now: Timestamp) {
        self.regroupings += 1;
        for id in ids {
            if matches!(self.deliveries[id].state, State::Leased { until_min, .. } if until_min <= now)
            {
                self.lost(*id, now, &mut Vec::new());
            }
            if matches!(self.deliveries[id].state, State::Pending | State::Held(_)) {
                self.tampered(*id);
                self.change(*id, State::Skipped);
            } else {
                let number = self.number(*id);
                self.violate(format!("delivery {number} was dropped, and did not wait"));
            }
        }
    }

    /// Tells how many conflicts are on record.
    pub(crate) fn conflicts(&self) -> usize {
        self.keys.values().map(|key| key.conflicts.len()).sum()
    }

    /// Tells which deliveries somebody could replay or drop.
    pub(crate) fn ids(&self) -> Vec<DeliveryId> {
        self.deliveries.keys().copied().collect()
    }

    fn key_of(event: &NewEvent) -> (String, String, String, u32) {
        let execution = &event.execution;
        (
            execution.project().to_owned(),
            execution.domain().to_owned(),
            execution.name().to_owned(),
            execution.attempt_number(),
        )
    }
}

/// How long a lane is left alone by the vendor's wish.
fn capped(asked: Duration, longest: Duration) -> Duration {
    asked.min(longest)
}

/// Counts what a rate lets through in any window that ends now; gives whether it was kept.
fn keeps(rate: Rate, recent: &VecDeque<Timestamp>, now: Timestamp) -> bool {
    let every = rate.every.as_micros().max(1);
    recent.iter().rev().zip(1_u128..).all(|(at, count)| {
        let window = now.since(*at).as_micros();
        count <= u128::from(rate.burst.get()) + window / every
    })
}

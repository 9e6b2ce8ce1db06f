//! The exam: the world is mended and nothing is left to do, so everything has to be accounted for.

use std::collections::{BTreeMap, BTreeSet};

use notify_core::{Action, DeliveryId};
use notify_outbox::{
    DeliveryQuery, DeliveryRecord, DeliveryState, EventQuery, EventState, Outbox, Release,
};

use super::model::State;
use super::run::Run;
use super::watched::at_once;

/// Lists deliveries as the ledger has them.
fn listed(run: &Run, states: &[DeliveryState]) -> Vec<DeliveryRecord> {
    let query = DeliveryQuery::latest(usize::MAX).states(states);
    at_once(run.ledger.deliveries(query)).unwrap_or_else(|err| {
        run.violate(format!("the ledger does not list: {err:?}"));
        Vec::new()
    })
}

/// Counts deliveries that stand behind one of their conversation which somebody has to decide on.
pub(crate) fn blocked(run: &Run) -> u64 {
    let held = listed(run, &[DeliveryState::Held]);
    if held.is_empty() {
        return 0;
    }
    let state = run.world.state();
    let conversation = |id: &DeliveryId| {
        let known = state.model.deliveries.get(id)?;
        let account = state.model.account_of_lane(known.lane);
        Some((account, known.conversation.clone()?))
    };
    let behind: BTreeSet<_> = held
        .iter()
        .filter_map(|one| conversation(&one.id))
        .collect();
    // A summary that is held keeps its members, which are held with it.
    drop(held);
    let waits = |id: &DeliveryId| conversation(id).is_some_and(|one| behind.contains(&one));
    let pending = at_once(
        run.ledger
            .deliveries(DeliveryQuery::latest(usize::MAX).states(&[DeliveryState::Pending])),
    );
    let pending = pending.unwrap_or_default();
    let count = pending.iter().filter(|one| waits(&one.id)).count();
    u64::try_from(count).expect("few deliveries")
}

/// Somebody looks at what is held and decides: half of it is sent, half of it dropped.
pub(crate) async fn held_apart(run: &mut Run) {
    for _ in 0..20 {
        let held = listed(run, &[DeliveryState::Held]);
        if held.is_empty() {
            return;
        }
        for one in &held {
            let mut state = run.world.state();
            let known = state.model.deliveries.get(&one.id).map(|known| known.state);
            let reason = one.reason.clone().unwrap_or_default();
            let by_hand = matches!(known, Some(State::Held(Release::Replay)))
                || reason.starts_with("unknown");
            if !by_hand {
                let number = state.model.number(one.id);
                let what = format!("law 1: delivery {number} is held for good: {reason:?}");
                state.model.violate(what);
            }
        }
        let (sent, dropped): (Vec<_>, Vec<_>) = held
            .iter()
            .map(|one| one.id)
            .partition(|id| id.uuid().as_bytes()[0] % 2 == 0);
        let now = {
            let now = notify_core::Clock::now(&*run.world.clock);
            run.world.store_clock.set(now);
            now
        };
        let replayed = at_once(run.ledger.replay(sent));
        let gone = at_once(Outbox::drop(
            &*run.ledger,
            dropped,
            "nobody needs it".to_owned(),
        ));
        {
            let mut state = run.world.state();
            state.model.at(now);
            state.model.replayed(&replayed.unwrap_or_default(), now);
            state.model.dropped(&gone.unwrap_or_default(), now);
            state.moves += 1;
        }
        run.settle_down().await;
        if run.is_over() {
            return;
        }
    }
    run.violate("law 1: what is held is held again and again");
}

/// Accounts for every event and every delivery.
pub(crate) fn pass(run: &Run) {
    events(run);
    let records = listed(run, &[]);
    deliveries(run, &records);
    conversations(run, &records);
    summaries(run, &records);
    counts(run, &records);
}

fn events(run: &Run) {
    let query = EventQuery::latest(usize::MAX);
    let records = at_once(run.ledger.events(query)).unwrap_or_default();
    let by_id: BTreeMap<_, _> = records.iter().map(|record| (record.id, record)).collect();
    let mut state = run.world.state();
    let mut wrong = Vec::new();
    for (id, event) in &state.model.events {
        let number = event.number;
        match by_id.get(id) {
            None => wrong.push(format!("law 1: event {number} is lost")),
            Some(record) => {
                let expected = if event.state == EventState::Unmatched {
                    EventState::Unmatched
                } else {
                    EventState::Planned
                };
                if record.state != expected || event.state != expected {
                    wrong.push(format!(
                        "law 1: event {number} is {} in the end, and was last seen {}",
                        record.state, event.state
                    ));
                }
                if record.phase != event.phase || record.ended_at != event.ended_at {
                    wrong.push(format!(
                        "event {number} is on record as {} at {}, and was told as {} at {}",
                        record.phase, record.ended_at, event.phase, event.ended_at
                    ));
                }
                if record.state != EventState::Planned && record.reason.is_none() {
                    wrong.push(format!("law 8: event {number} has no reason"));
                }
            }
        }
    }
    for id in &run.promised {
        if !by_id.contains_key(id) {
            wrong.push(format!("law 1: {id} was promised, and is not on record"));
        }
    }
    let conflicts = records
        .iter()
        .filter(|record| record.state == EventState::Conflict)
        .count();
    let known = state.model.conflicts();
    if conflicts != known {
        wrong.push(format!(
            "law 1: {conflicts} conflicts are on record, not {known}"
        ));
    }
    if records.len() != state.model.events.len() + conflicts {
        wrong.push("law 1: there are events that nobody told of".to_owned());
    }
    for what in wrong {
        state.model.violate(what);
    }
}

fn deliveries(run: &Run, records: &[DeliveryRecord]) {
    let by_id: BTreeMap<_, _> = records.iter().map(|record| (record.id, record)).collect();
    let mut state = run.world.state();
    let model = &state.model;
    let mut taken: BTreeMap<DeliveryId, u32> = BTreeMap::new();
    for wire in model.wires.values() {
        *taken.entry(wire.delivery).or_default() += wire.takes;
    }
    let mut wrong = Vec::new();
    for (id, known) in &model.deliveries {
        let number = known.number;
        let Some(record) = by_id.get(id) else {
            wrong.push(format!("law 1: delivery {number} is lost"));
            continue;
        };
        let reason = record.reason.as_deref().unwrap_or_default();
        let summed = reason.starts_with("told in a summary");
        let was_taken = taken.get(id).is_some_and(|takes| *takes > 0);
        if !record.state.is_settled() {
            wrong.push(format!(
                "law 1: delivery {number} is {} in the end: {reason:?}",
                record.state
            ));
        }
        if record.state == DeliveryState::Delivered && !was_taken && !summed {
            wrong.push(format!("law 1: delivery {number} never reached the vendor"));
        }
        if record.state != DeliveryState::Delivered && reason.is_empty() {
            wrong.push(format!("law 8: delivery {number} has no reason"));
        }
        // A lease that a clock set back has ended at an instant that is not known here.
        let set_back = matches!(known.state, State::Leased { until_min, until_max, .. } if until_min != until_max);
        let agrees = match known.state {
            State::Delivered => record.state == DeliveryState::Delivered,
            State::Rejected => record.state == DeliveryState::Rejected,
            State::Expired => record.state == DeliveryState::Expired,
            State::Skipped => record.state == DeliveryState::Skipped,
            State::Superseded => record.state == DeliveryState::Superseded,
            // What the store did by itself.
            State::Pending | State::Held(_) => match record.state {
                DeliveryState::Expired => reason.starts_with("gave up after"),
                DeliveryState::Superseded | DeliveryState::Skipped => known.action != Action::Send,
                DeliveryState::Delivered | DeliveryState::Rejected => {
                    summed || by_summary(records, record)
                }
                _ => true,
            },
            State::Leased { .. } => set_back,
        };
        if !agrees {
            wrong.push(format!(
                "law 3: delivery {number} is {} ({reason:?}), and was last seen {:?}",
                record.state, known.state
            ));
        }
        if record.tries != known.tries && !set_back {
            wrong.push(format!(
                "delivery {number} has {} tries, not {}",
                record.tries, known.tries
            ));
        }
    }
    if records.len() != model.deliveries.len() {
        wrong.push("law 1: there are deliveries that nobody planned".to_owned());
    }
    for what in wrong {
        state.model.violate(what);
    }
}

/// What the vendor holds open was closed there, where a close was planned.
fn conversations(run: &Run, records: &[DeliveryRecord]) {
    let mut state = run.world.state();
    let model = &state.model;
    let taken: BTreeSet<DeliveryId> = model
        .wires
        .values()
        .filter_map(|wire| (wire.takes > 0).then_some(wire.delivery))
        .collect();
    // The latest end that was to open it, where it did: a run that failed later keeps open what is.
    let mut opened = BTreeMap::new();
    for (id, known) in &model.deliveries {
        if known.action == Action::Open
            && let Some(key) = model.untampered(known)
        {
            let this = (known.order, taken.contains(id));
            let latest = opened.entry(key).or_insert(this);
            *latest = this.max(*latest);
        }
    }
    let mut closes: BTreeMap<_, bool> = BTreeMap::new();
    for record in records {
        let known = model.deliveries.get(&record.id);
        let closing = known.filter(|known| known.action == Action::Close);
        if let Some(known) = closing
            && let Some(key) = model.untampered(known)
            && opened
                .get(&key)
                .is_some_and(|(latest, is_open)| *is_open && *latest < known.order)
        {
            let skipped = record.reason.as_deref() == Some("nothing open");
            *closes.entry(key).or_insert(true) &= skipped;
        }
    }
    let left = closes.into_iter().filter(|(_, skipped)| *skipped);
    let wrong: Vec<String> = left
        .map(|((account, key), _)| format!("law 4: {account}/{key} is left open at the vendor"))
        .collect();
    for what in wrong {
        state.model.violate(what);
    }
}

/// Tells whether a delivery shares its end with another to the same recipient: a summary's.
fn by_summary(records: &[DeliveryRecord], one: &DeliveryRecord) -> bool {
    records.iter().any(|other| {
        other.id != one.id
            && other.state == one.state
            && other.recipient == one.recipient
            && other.account == one.account
            && other.reason == one.reason
    })
}

/// What was told in a summary was told: the summary arrived, and counts right.
fn summaries(run: &Run, records: &[DeliveryRecord]) {
    let mut groups: BTreeMap<&str, u64> = BTreeMap::new();
    for record in records {
        let reason = record.reason.as_deref().unwrap_or_default();
        if record.state == DeliveryState::Delivered && reason.starts_with("told in a summary") {
            *groups.entry(reason).or_default() += 1;
        }
    }
    let mut state = run.world.state();
    for (reason, members) in groups {
        let named = reason
            .strip_prefix("told in a summary of ")
            .and_then(|rest| rest.split_once(" ("))
            .and_then(|(count, leader)| {
                let leader = leader.trim_end_matches(')').parse::<DeliveryId>().ok()?;
                Some((count.parse::<u64>().ok()?, leader))
            });
        let Some((count, leader)) = named else {
            state
                .model
                .violate(format!("a summary is not named: {reason:?}"));
            continue;
        };
        let arrived = state
            .model
            .wires
            .iter()
            .any(|(id, wire)| wire.delivery == leader && *id != leader && wire.takes > 0);
        if !arrived {
            state
                .model
                .violate(format!("law 3: nobody got what was {reason}"));
        }
        // The one that stands for the others may say so of itself or not.
        if members != count && members + 1 != count {
            state
                .model
                .violate(format!("law 3: {members} deliveries were {reason}"));
        }
    }
}

fn counts(run: &Run, records: &[DeliveryRecord]) {
    let status = run.status();
    let of = |state: DeliveryState| {
        let count = records
            .iter()
            .filter(|record| record.state == state)
            .count();
        u64::try_from(count).expect("few deliveries")
    };
    let query = EventQuery::latest(usize::MAX);
    let events = at_once(run.ledger.events(query)).unwrap_or_default();
    let events_of = |states: &[EventState]| {
        let count = events
            .iter()
            .filter(|event| states.contains(&event.state))
            .count();
        u64::try_from(count).expect("few events")
    };
    let counted = (
        status.pending,
        status.leased,
        status.held,
        status.accepted,
        status.unplannable,
        status.conflicts,
    );
    let listed = (
        of(DeliveryState::Pending),
        of(DeliveryState::Leased),
        of(DeliveryState::Held),
        events_of(&[EventState::Accepted]),
        events_of(&[EventState::Unmatched, EventState::Malformed]),
        events_of(&[EventState::Conflict]),
    );
    if counted != listed {
        run.violate(format!(
            "law 8: the status counts {counted:?}, the lists {listed:?}"
        ));
    }
}

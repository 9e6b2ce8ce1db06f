//! The storm guard: many deliveries for one recipient that are due together go as one.

use std::collections::{BTreeMap, BTreeSet};

use notify_core::TerminalPhase::{Aborted, Failed, TimedOut};
use notify_core::{DeliveryId, Rate};
use notify_outbox::DeliveryState::{
    self, Delivered, Expired, Held, Pending, Rejected, Skipped,
};
use notify_outbox::{Leased, Summary};

use crate::outbox::bench::{Bench, ids};
use crate::outbox::make::{
    Came, Claiming, ONE, Told, again, claim, delivered, doubtful, expired, refused, rejected, run,
    secs, to,
};

pub async fn a_storm_for_one_recipient_goes_as_one(bench: Bench) {
    let noon = bench.now();
    // They are told in another order than they happened.
    let ends = [(50, Failed), (10, TimedOut), (40, Failed), (30, Failed)];
    let mut told = Vec::new();
    for (ago, phase) in ends {
        let event = run(ago).of(ago).phase(phase).at(noon.before(secs(ago)));
        told.extend(bench.tell(event, [to("ops")]).await);
    }
    let leader = bench.claim_one(storm()).await;
    assert_eq!(leader.id, told[0], "the first to be due stands for all");
    let summary = leader.summary.clone().expect("it is a summary");
    assert_eq!(summary.deliveries, 4);
    assert_eq!(summary.phases, BTreeMap::from([(Failed, 3), (TimedOut, 1)]));
    let first: Vec<_> = summary
        .first
        .iter()
        .map(|(workflow, phase)| (workflow.as_str(), *phase))
        .collect();
    let in_order = [("50", Failed), ("40", Failed), ("30", Failed), ("10", TimedOut)];
    assert_eq!(first, in_order);
    let between = (noon.before(secs(50)), noon.before(secs(10)));
    assert_eq!(summary.between, between);
    assert!(bench.claim(storm()).await.is_empty(), "the others wait for it");
    let status = bench.status().await;
    assert_eq!((status.leased, status.pending), (1, 3));
}

pub async fn a_summary_names_the_first_and_counts_them_all(bench: Bench) {
    let noon = bench.now();
    let count = Summary::NAMED + 5;
    let events = (0_u64..).take(count).map(|ago| {
        let phase = if ago % 2 == 0 { Failed } else { Aborted };
        let event = run(ago).of(ago).phase(phase).at(noon.before(secs(ago)));
        (event, vec![to("ops")])
    });
    bench.tell_all(events.collect()).await;
    let summary = bench.claim_one(storm()).await.summary.unwrap();
    assert_eq!(summary.deliveries, count as u64);
    assert_eq!(summary.phases, BTreeMap::from([(Failed, 8), (Aborted, 7)]));
    let named: Vec<_> = summary.first.iter().map(|(name, _)| name.to_string()).collect();
    let expected = (0..count).rev().take(Summary::NAMED);
    assert_eq!(named, expected.map(|ago| ago.to_string()).collect::<Vec<_>>());
}

pub async fn few_deliveries_go_by_themselves(bench: Bench) {
    many(&bench, 3, to("ops")).await;
    let leased = bench.claim(storm()).await;
    assert_eq!(leased.len(), 3);
    assert!(leased.iter().all(|one| one.summary.is_none()));
}

pub async fn deliveries_go_by_themselves_where_no_summary_is_wanted(bench: Bench) {
    many(&bench, 20, to("ops")).await;
    let leased = bench.claim(claim()).await;
    assert_eq!(leased.len(), 20);
    assert!(leased.iter().all(|one| one.summary.is_none()));
}

pub async fn recipients_are_not_mixed(bench: Bench) {
    for recipient in ["a", "b"] {
        many(&bench, 3, to(recipient).lane("lane")).await;
    }
    let leased = bench.claim(storm()).await;
    assert_eq!(leased.len(), 6);
    assert!(leased.iter().all(|one| one.summary.is_none()));
    bench.pass(secs(1));

    many(&bench, 4, to("c").lane("other")).await;
    many(&bench, 2, to("d").lane("other")).await;
    let leased = bench.claim(storm()).await;
    assert_eq!(told_of(&leased), [("c", 4), ("d", 1), ("d", 1)]);
}

pub async fn every_recipient_in_a_storm_has_a_summary(bench: Bench) {
    many(&bench, 4, to("a").lane("lane")).await;
    many(&bench, 5, to("b").lane("lane")).await;
    let leased = bench.claim(storm()).await;
    assert_eq!(told_of(&leased), [("a", 4), ("b", 5)]);
}

pub async fn lanes_are_not_mixed(bench: Bench) {
    for lane in ["a", "b"] {
        many(&bench, 2, to("ops").lane(lane)).await;
    }
    assert_eq!(bench.claim(storm()).await.len(), 4);
    for lane in ["c", "d"] {
        many(&bench, 4, to("ops").lane(lane)).await;
    }
    let leased = bench.claim(storm()).await;
    assert_eq!(told_of(&leased), [("ops", 4), ("ops", 4)]);
}

pub async fn what_belongs_to_a_conversation_goes_by_itself(bench: Bench) {
    for number in 0..5 {
        let told = to("ops").lane("lane").opens(number);
        bench.tell(run(number), [told]).await;
    }
    many(&bench, 3, to("ops").lane("lane")).await;
    let leased = bench.claim(storm()).await;
    assert_eq!(leased.len(), 8);
    assert!(leased.iter().all(|one| one.summary.is_none()));
}

pub async fn what_is_not_due_is_no_part_of_a_summary(bench: Bench) {
    many(&bench, 2, to("ops")).await;
    for leased in bench.claim(claim()).await {
        bench.settle(&leased, again(secs(60))).await;
    }
    many(&bench, 3, to("ops")).await;
    assert_eq!(bench.claim(storm()).await.len(), 3);
    many(&bench, 4, to("ops")).await;
    assert_eq!(told_of(&bench.claim(storm()).await), [("ops", 4)]);
}

pub async fn a_storm_longer_than_what_is_looked_at_goes_as_one(bench: Bench) {
    many(&bench, 200, to("ops")).await;
    assert_eq!(told_of(&bench.claim(storm()).await), [("ops", 200)]);
}

pub async fn only_the_first_that_are_due_are_looked_at(bench: Bench) {
    // Five times the bound of one.
    for recipient in ["a", "b", "c", "d", "e"] {
        many(&bench, 1, to(recipient).lane("lane")).await;
    }
    many(&bench, 4, to("z").lane("lane")).await;
    let leased = bench.claim(claim().collapse_after(1)).await;
    assert_eq!(leased.len(), 9);
    assert!(leased.iter().all(|one| one.summary.is_none()));
}

pub async fn a_summary_takes_one_place(bench: Bench) {
    let storm = storm().rate(Rate::new(secs(10), 2));
    many(&bench, 10, to("a").lane("lane")).await;
    many(&bench, 2, to("b").lane("lane")).await;
    let narrow = storm.clone().room(1).most_per_lane(2);
    assert_eq!(told_of(&bench.claim(narrow.clone()).await), [("a", 10)]);
    assert_eq!(told_of(&bench.claim(narrow).await), [("b", 1)]);
    assert!(bench.claim(storm.clone()).await.is_empty());
    bench.pass(secs(10));
    assert_eq!(told_of(&bench.claim(storm).await), [("b", 1)]);
}

pub async fn a_summary_has_a_name_of_its_own_on_the_wire(mut bench: Bench) {
    many(&bench, 4, to("ops")).await;
    let first = bench.claim_one(storm()).await;
    assert_ne!(first.wire_id(), first.id);
    bench.settle(&first, again(secs(0))).await;
    bench.restart();
    let second = bench.claim_one(storm()).await;
    assert_eq!((second.id, second.wire_id()), (first.id, first.wire_id()));
}

pub async fn a_summary_says_the_same_on_every_attempt(mut bench: Bench) {
    many(&bench, 4, to("ops")).await;
    let first = bench.claim_one(storm()).await;
    bench.settle(&first, again(secs(10))).await;
    // What comes later goes by itself, or in a summary of its own.
    let [alone] = bench.tell(run("alone"), [to("ops")]).await;
    assert_eq!(ids(&bench.claim(storm()).await), [alone]);
    many(&bench, 5, to("ops")).await;
    bench.pass(secs(10));
    bench.restart();
    let both = bench.claim(storm()).await;
    assert_eq!(told_of(&both), [("ops", 5), ("ops", 4)]);
    assert_eq!((both[1].id, &both[1].summary), (first.id, &first.summary));
    assert_eq!((both[1].attempts, both[1].tries), (1, 1));
    // A lost lease changes nothing about it, nor does an engine without summaries.
    bench.pass(secs(30));
    let both = bench.claim(claim()).await;
    let again = both.iter().find(|one| one.id == first.id).unwrap();
    assert_eq!((again.summary.as_ref(), again.unsure), (first.summary.as_ref(), true));
    assert_eq!(both.len(), 3);
}

pub async fn what_becomes_of_a_summary_becomes_of_all_in_it(bench: Bench) {
    let table: [(Came, DeliveryState); 5] = [
        (delivered(), Delivered),
        (rejected(), Rejected),
        (expired(), Expired),
        (refused(), Held),
        (doubtful(), Held),
    ];
    for (number, (came, state)) in table.into_iter().enumerate() {
        let told = many(&bench, 4, to(number)).await;
        let leader = bench.claim_one(storm()).await;
        bench.settle(&leader, came).await;
        let head = bench.delivery(leader.id).await;
        assert_eq!((head.state, head.tries), (state, 1));
        for id in told {
            if id == leader.id {
                continue;
            }
            let member = bench.delivery(id).await;
            assert_eq!((member.state, member.tries), (state, 0));
            assert_eq!(member.receipt, head.receipt);
            let expected = if state == Delivered {
                Some(format!("told in a summary of 4 ({})", leader.id))
            } else {
                head.reason.clone()
            };
            assert_eq!(member.reason, expected);
        }
    }
    let status = bench.status().await;
    let counts = (status.pending, status.leased, status.held);
    assert_eq!(counts, (0, 0, 8));
    assert_eq!(status.next_due, None);
}

pub async fn a_summary_that_is_tried_again_keeps_all_in_it_waiting(bench: Bench) {
    let told = many(&bench, 4, to("ops")).await;
    let leader = bench.claim_one(storm()).await;
    bench.settle(&leader, again(secs(60))).await;
    assert_eq!(bench.states(&told).await, [Pending; 4]);
    bench.pass(secs(59));
    assert!(bench.claim(claim()).await.is_empty());
    assert_eq!(bench.status().await.next_due, Some(secs(1)));
    bench.pass(secs(1));
    assert_eq!(told_of(&bench.claim(storm()).await), [("ops", 4)]);
}

pub async fn a_summary_that_was_held_is_resumed_as_one(bench: Bench) {
    let told = many(&bench, 4, to("ops")).await;
    let leader = bench.claim_one(storm()).await;
    bench.settle(&leader, refused().pause()).await;
    assert_eq!(bench.states(&told).await, [Held; 4]);
    assert_eq!(bench.resume(&[ONE]).await, 4);
    let again = bench.claim_one(storm()).await;
    assert_eq!((again.id, &again.summary), (leader.id, &leader.summary));
}

pub async fn a_summary_that_waits_is_paused_and_resumed_as_one(bench: Bench) {
    let told = many(&bench, 4, to("ops")).await;
    let leader = bench.claim_one(storm()).await;
    bench.settle(&leader, again(secs(60))).await;
    bench.tell(run("other"), [to("other")]).await;
    bench.attempt(refused().pause()).await;
    assert_eq!(bench.states(&told).await, [Held; 4]);
    assert_eq!(bench.resume(&[ONE]).await, 5);
    let both = bench.claim(storm()).await;
    assert_eq!(both.len(), 2);
    let again = both.iter().find(|one| one.id == leader.id).unwrap();
    assert_eq!(again.summary, leader.summary);
}

pub async fn a_summary_that_may_have_arrived_is_not_resumed(bench: Bench) {
    let told = many(&bench, 4, to("ops")).await;
    let leader = bench.claim_one(storm()).await;
    bench.settle(&leader, doubtful()).await;
    assert_eq!(bench.resume(&[ONE]).await, 0);
    assert_eq!(bench.states(&told).await, [Held; 4]);
}

pub async fn a_lost_summary_that_must_not_arrive_twice_is_held_with_all_in_it(bench: Bench) {
    let told = many(&bench, 4, to("ops").hold_if_unknown()).await;
    bench.claim_one(storm()).await;
    bench.pass(secs(30));
    assert!(bench.claim(storm()).await.is_empty());
    assert_eq!(bench.states(&told).await, [Held; 4]);
    let lost = "unknown (lost_lease): the engine that sent it is gone";
    for id in &told {
        assert_eq!(bench.reason(*id).await, lost);
    }
    assert_eq!(bench.resume(&[ONE]).await, 0);
}

pub async fn what_a_summary_on_the_wire_tells_of_is_left_alone(bench: Bench) {
    let told = many(&bench, 4, to("ops")).await;
    let leader = bench.claim_one(storm()).await;
    assert!(bench.replay(&told[1..]).await.is_empty());
    assert!(bench.give_up(&told[1..], "enough").await.is_empty());
    bench.settle(&leader, delivered()).await;
    assert_eq!(bench.states(&told).await, [Delivered; 4]);
}

pub async fn a_replay_dissolves_the_summary(bench: Bench) {
    for place in [0, 2] {
        let told = many(&bench, 4, to(place)).await;
        let leader = bench.claim_one(storm()).await;
        bench.settle(&leader, again(secs(60))).await;
        assert_eq!(bench.replay(&told[place..=place]).await, told[place..=place]);
        let long = claim().lease(secs(3_600));
        let mut leased = bench.claim(long.clone()).await;
        bench.pass(secs(60));
        leased.extend(bench.claim(long).await);
        let leased = settle_all(&bench, leased).await;
        assert_eq!(leased, told.into_iter().collect(), "each goes by itself");
    }
}

pub async fn a_replay_of_all_that_a_held_summary_held_sets_each_free(bench: Bench) {
    let told = many(&bench, 4, to("ops")).await;
    let leader = bench.claim_one(storm()).await;
    bench.settle(&leader, doubtful()).await;
    assert_eq!(bench.replay(&told).await.len(), 4);
    let leased = bench.claim(claim()).await;
    let leased = settle_all(&bench, leased).await;
    assert_eq!(leased, told.into_iter().collect());
}

pub async fn what_was_refused_in_a_summary_is_replayed_by_itself(bench: Bench) {
    let told = many(&bench, 5, to("ops")).await;
    let leader = bench.claim_one(storm()).await;
    bench.settle(&leader, rejected()).await;
    assert_eq!(bench.replay(&told[2..3]).await, told[2..3]);
    let alone = bench.claim_one(storm()).await;
    assert_eq!((alone.id, &alone.summary), (told[2], &None));
    bench.settle(&alone, delivered()).await;
    let left = [told[0], told[1], told[3], told[4]];
    assert_eq!(bench.states(&left).await, [Rejected; 4]);
    assert_eq!(bench.replay(&left).await.len(), 4);
    // They are as new, and there are enough of them for a summary.
    assert_eq!(told_of(&bench.claim(storm()).await), [("ops", 4)]);
}

pub async fn giving_one_up_dissolves_the_summary(bench: Bench) {
    for place in [0, 2] {
        let mut told = many(&bench, 4, to(place)).await;
        let leader = bench.claim_one(storm()).await;
        bench.settle(&leader, again(secs(60))).await;
        let given_up = told.remove(place);
        assert_eq!(bench.give_up(&[given_up], "enough").await, [given_up]);
        assert_eq!(bench.state(given_up).await, Skipped);
        bench.pass(secs(60));
        let leased = bench.claim(claim()).await;
        let leased = settle_all(&bench, leased).await;
        assert_eq!(leased, told.into_iter().collect(), "each goes by itself");
    }
}

pub async fn a_summary_whose_leader_is_too_old_is_dissolved(bench: Bench) {
    let mut told = bench.tell(run("old"), [to("ops")]).await.to_vec();
    bench.pass(secs(3_600));
    told.extend(many(&bench, 4, to("ops")).await);
    let leader = bench.claim_one(storm()).await;
    assert_eq!(leader.id, told[0]);
    bench.settle(&leader, again(secs(0))).await;
    let two_hours = claim().max_age(secs(7_200));
    bench.pass(secs(3_600));
    let mut leased = bench.claim(two_hours.clone()).await;
    leased.extend(bench.claim(two_hours).await);
    assert_eq!(bench.state(leader.id).await, Expired);
    let leased = settle_all(&bench, leased).await;
    assert_eq!(leased, told[1..].iter().copied().collect());
}

/// Claims where more than three go as one.
fn storm() -> Claiming {
    claim().collapse_after(3)
}

/// Tells of so many events.
async fn many(bench: &Bench, count: usize, told: Told) -> Vec<DeliveryId> {
    let mut events = Vec::new();
    for _ in 0..count {
        events.push((run(bench.next_id()), vec![told.clone()]));
    }
    bench.tell_all(events).await.concat()
}

/// Says for whom each lease is and for how many deliveries it stands.
fn told_of(leased: &[Leased]) -> Vec<(&str, u64)> {
    let count = |one: &Leased| one.summary.as_ref().map_or(1, |summary| summary.deliveries);
    leased.iter().map(|one| (one.recipient.as_str(), count(one))).collect()
}

/// Delivers what is leased, none of it as a summary.
async fn settle_all(bench: &Bench, leased: Vec<Leased>) -> BTreeSet<DeliveryId> {
    let mut settled = BTreeSet::new();
    for leased in leased {
        assert_eq!(leased.summary, None);
        bench.settle(&leased, delivered()).await;
        settled.insert(leased.id);
    }
    settled
}

pub async fn a_storm_too_large_for_one_summary_goes_as_several(bench: Bench) {
    let events = (0..Summary::MOST + 10).map(|number| (run(number), vec![to("ops")]));
    bench.tell_all(events.collect()).await;
    let mut told = Vec::new();
    loop {
        let leased = bench.claim(storm()).await;
        if leased.is_empty() {
            break;
        }
        for one in leased {
            told.push(one.summary.as_ref().expect("it is a summary").deliveries);
            bench.settle(&one, delivered()).await;
        }
    }
    assert_eq!(told, [5_000, 10]);
    assert_eq!(bench.status().await.pending, 0);
}

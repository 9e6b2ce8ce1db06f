//! Leases out: what is due, within every limit, and nobody starves.

use std::collections::BTreeSet;

use notify_core::{Action, IfUnknown};
use notify_outbox::{DeliveryState, Leased};

use crate::outbox::bench::{Bench, block_on, ids};
use crate::outbox::make::{
    ONE, TWO, account, again, claim, delivered, run, secs, to, unknown,
};

pub async fn a_lease_carries_what_the_wire_needs(bench: Bench) {
    let event = run(1).of("nightly").at(bench.now().before(secs(60)));
    let told = to("ops").lane("channel").opens("key").hold_if_unknown();
    let [id] = bench.tell(event.clone(), [told]).await;
    bench.pass(secs(7));
    let leased = bench.claim_one(claim()).await;
    assert_eq!(leased.id, id);
    assert_eq!((leased.attempts, leased.tries), (0, 0));
    assert_eq!((leased.age, leased.unsure), (secs(7), false));
    assert_eq!(leased.if_unknown, IfUnknown::Hold);
    assert_eq!(leased.account, account(ONE));
    assert_eq!(leased.recipient.as_str(), "ops");
    assert_eq!(leased.action, Action::Open);
    assert_eq!(leased.conversation.as_deref(), Some("key"));
    assert_eq!((leased.summary.as_ref(), leased.wire_id()), (None, id));
    assert_eq!(leased.event.workflow, event.key());
    assert_eq!(leased.event.body, event.new_event(leased.event.id).body);
    assert_eq!(leased.event.ended_at, bench.now().before(secs(67)));
    let recorded = bench.deliveries().await.remove(0);
    assert_eq!(recorded.event, leased.event.id);
    assert_eq!(recorded.state, DeliveryState::Leased);
    assert_eq!(leased.spec.options_version, 1);
    assert_eq!(leased.spec.body["fake"]["lane"], "channel");
}

pub async fn an_attempt_leaves_its_marks_on_the_next_lease(bench: Bench) {
    let [told] = bench.tell(run(1), [to("ops")]).await;
    let steps = [
        (again(secs(0)), (0, 0, false)),
        (again(secs(0)).uncounted(), (1, 1, false)),
        (unknown(secs(0)), (1, 2, false)),
        (again(secs(0)), (2, 3, true)),
        // What may have arrived once stays so.
        (delivered(), (3, 4, true)),
    ];
    for (came, expected) in steps {
        let leased = bench.attempt(came).await;
        let found = (leased.attempts, leased.tries, leased.unsure);
        assert_eq!(found, expected);
    }
    assert_eq!(bench.delivery(told).await.tries, 5);
}

pub async fn only_accounts_that_are_served_are_claimed(bench: Bench) {
    let told = [to("ops"), to("ops").through(TWO)];
    let [one, two] = bench.tell(run(1), told).await;
    assert!(bench.claim(claim().of(&[])).await.is_empty());
    assert!(bench.claim(claim().of(&["fake.three"])).await.is_empty());
    assert_eq!(ids(&bench.claim(claim().of(&[TWO])).await), [two]);
    assert_eq!(ids(&bench.claim(claim().of(&[ONE, TWO])).await), [one]);
}

pub async fn nothing_is_leased_twice(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    assert_eq!(bench.claim(claim()).await.len(), 1);
    assert!(bench.claim(claim()).await.is_empty());
}

pub async fn an_account_gets_no_more_than_it_has_room_for(bench: Bench) {
    let mut told = Vec::new();
    for lane in ["a", "b", "c"] {
        for number in 0..3 {
            let recipient = format!("{lane}{number}");
            told.push(to(&recipient).lane(lane));
            told.push(to(&recipient).lane(lane).through(TWO));
        }
    }
    bench.tell_all(vec![(run(1), told)]).await;
    let both = claim().of(&[ONE, TWO]);
    assert!(bench.claim(both.clone().room(0)).await.is_empty());
    for (room, expected) in [(1, 1), (4, 4), (9, 4), (9, 0)] {
        let leased = bench.claim(both.clone().room(room)).await;
        for name in [ONE, TWO] {
            let of_account = |leased: &&Leased| leased.account == account(name);
            let count = leased.iter().filter(of_account).count();
            assert_eq!(count, expected, "{name} with room for {room}");
        }
    }
}

pub async fn a_full_account_leaves_the_room_of_another_alone(bench: Bench) {
    let mut told: Vec<_> = (0..50).map(to).collect();
    told.push(to("ops").through(TWO));
    bench.tell_all(vec![(run(1), told)]).await;
    let leased = bench.claim(claim().of(&[ONE, TWO]).room(2)).await;
    let accounts: BTreeSet<_> = leased.iter().map(|one| one.account.clone()).collect();
    assert_eq!((leased.len(), accounts.len()), (3, 2));
}

pub async fn a_lane_is_leased_no_deeper_than_allowed_by_all_engines_together(bench: Bench) {
    let told = (0..9).map(|number| to(number).lane("lane")).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    let first = bench.claim(claim().most_per_lane(3).room(2)).await;
    assert_eq!(first.len(), 2);
    let another = bench.another();
    let second = another.claim(claim().most_per_lane(3).claim()).await;
    assert_eq!(second.unwrap().len(), 1);
    assert!(bench.claim(claim().most_per_lane(3)).await.is_empty());
    // Another engine may allow more.
    assert_eq!(bench.claim(claim().most_per_lane(5)).await.len(), 2);
}

pub async fn a_full_lane_comes_back_when_one_of_its_deliveries_is_settled(bench: Bench) {
    let told = (0..4).map(|number| to(number).lane("lane")).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    let one_by_one = claim().most_per_lane(1);
    let mut told = Vec::new();
    for _ in 0..4 {
        let leased = bench.claim_one(one_by_one.clone()).await;
        for _ in 0..3 {
            assert!(bench.claim(one_by_one.clone()).await.is_empty());
        }
        bench.settle(&leased, delivered()).await;
        told.push(leased.id);
    }
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), 4);
    assert!(bench.status().await.is_idle());
}

pub async fn a_full_lane_comes_back_when_a_lease_is_lost(bench: Bench) {
    let told = (0..2).map(|number| to(number).lane("lane")).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    let one_by_one = claim().most_per_lane(1);
    bench.claim_one(one_by_one.clone()).await;
    assert!(bench.claim(one_by_one.clone()).await.is_empty());
    bench.pass(secs(30));
    bench.claim_one(one_by_one).await;
}

pub async fn what_is_due_first_goes_first(bench: Bench) {
    let mut told = Vec::new();
    for number in 0..3 {
        let [id] = bench.tell(run(number), [to("ops")]).await;
        told.push(id);
    }
    for (leased, after) in bench.claim(claim()).await.iter().zip([30, 10, 10]) {
        bench.settle(leased, again(secs(after))).await;
    }
    bench.pass(secs(40));
    let [new] = bench.tell(run(4), [to("ops")]).await;
    let leased = bench.claim(claim()).await;
    assert_eq!(ids(&leased), [told[1], told[2], told[0], new]);
}

pub async fn the_lane_that_is_due_first_goes_first(bench: Bench) {
    let mut told = Vec::new();
    for lane in ["z", "m", "a"] {
        let [id] = bench.tell(run(lane), [to(lane)]).await;
        told.push(id);
        bench.pass(secs(1));
    }
    for id in told {
        let leased = bench.claim_one(claim().room(1)).await;
        assert_eq!(leased.id, id);
    }
}

pub async fn a_lane_with_a_backlog_leaves_places_to_the_others(bench: Bench) {
    let backlog = (0..100).map(|number| to(number).lane("busy")).collect();
    bench.tell_all(vec![(run(1), backlog)]).await;
    bench.pass(secs(1));
    let [quiet, calm] = bench.tell(run(2), [to("quiet"), to("calm")]).await;
    let few = claim().room(4).most_per_lane(3);
    let leased = bench.claim(few.clone()).await;
    assert_eq!(leased.len(), 4, "a lane that is full gives way");
    assert_eq!(leased.iter().filter(|one| one.id == quiet).count(), 1);
    let leased = bench.claim(few.clone()).await;
    assert_eq!(ids(&leased), [calm]);
}

pub async fn ten_thousand_behind_a_shut_lane_keep_nobody_waiting(bench: Bench) {
    let dead = (0..10_000).map(|number| to(number).lane("dead")).collect();
    bench.tell_all(vec![(run("dead"), dead)]).await;
    let wait = secs(3_600);
    let came = again(wait).wait(notify_core::Scope::Lane, wait);
    let leased = bench.claim_one(claim().room(1)).await;
    bench.settle(&leased, came).await;
    for number in 0..20 {
        let told = [to("alive"), to("alive").through(TWO)];
        bench.tell(run(number), told).await;
        let leased = bench.claim(claim().of(&[ONE, TWO]).room(1)).await;
        assert_eq!(leased.len(), 2, "after {number} claims");
        for leased in leased {
            bench.settle(&leased, delivered()).await;
        }
    }
    assert!(bench.claim(claim()).await.is_empty());
    let status = bench.status().await;
    assert_eq!((status.pending, status.next_due), (10_000, Some(wait)));
    bench.pass(wait);
    assert_eq!(bench.claim(claim()).await.len(), 100);
}

pub async fn engines_that_claim_at_once_never_get_the_same_delivery(bench: Bench) {
    let told = (0..200).map(|number| to(number).lane(number % 7)).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    let engines: Vec<_> = (0..4).map(|_| bench.another()).collect();
    let leased = std::thread::scope(|scope| {
        let work = |engine: std::sync::Arc<dyn notify_outbox::Outbox>| {
            block_on(async move {
                let mut leased = Vec::new();
                loop {
                    let more = engine.claim(claim().room(3).claim()).await.unwrap();
                    if more.is_empty() {
                        return leased;
                    }
                    leased.extend(ids(&more));
                }
            })
        };
        let threads: Vec<_> = engines
            .into_iter()
            .map(|engine| scope.spawn(move || work(engine)))
            .collect();
        let leased = threads.into_iter().map(|thread| thread.join().unwrap());
        leased.flatten().collect::<Vec<_>>()
    });
    assert_eq!(leased.len(), 200);
    assert_eq!(leased.iter().collect::<BTreeSet<_>>().len(), 200);
}

pub async fn what_is_too_old_expires_with_its_last_reason(bench: Bench) {
    let hour = std::time::Duration::from_hours(1);
    let [old] = bench.tell(run(1), [to("a")]).await;
    bench.pass(secs(3_599));
    let leased = bench.claim_one(claim().max_age(hour)).await;
    assert_eq!(leased.age, secs(3_599), "an instant before it is sent");
    bench.settle(&leased, again(secs(0))).await;
    let [fresh] = bench.tell(run(2), [to("b")]).await;
    bench.pass(secs(1));
    assert_eq!(ids(&bench.claim(claim().max_age(hour)).await), [fresh]);
    let expired = bench.delivery(old).await;
    assert_eq!((expired.state, expired.tries), (DeliveryState::Expired, 1));
    let why = "gave up after 1h; unavailable: HTTP 500";
    assert_eq!(expired.reason.as_deref(), Some(why));
}

pub async fn what_expires_untried_has_no_further_reason(bench: Bench) {
    let [told] = bench.tell(run(1), [to("ops")]).await;
    bench.pass(secs(90_000));
    assert!(bench.claim(claim()).await.is_empty());
    assert_eq!(bench.state(told).await, DeliveryState::Expired);
    assert_eq!(bench.reason(told).await, "gave up after 1d 1h");
    assert!(bench.status().await.is_idle());
}

pub async fn what_is_too_old_takes_nobodys_place(bench: Bench) {
    let old = (0..5).map(|number| to(number).lane("lane")).collect();
    bench.tell_all(vec![(run(1), old)]).await;
    bench.pass(secs(90_000));
    let [fresh] = bench.tell(run(2), [to("fresh").lane("lane")]).await;
    let rate = notify_core::Rate::new(secs(60), 1);
    let narrow = claim().room(1).most_per_lane(1).rate(rate);
    assert_eq!(ids(&bench.claim(narrow).await), [fresh]);
    assert_eq!(bench.status().await.pending, 0);
}

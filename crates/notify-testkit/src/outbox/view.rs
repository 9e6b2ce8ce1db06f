//! Looking into the ledger: counts, what is due next, and lists.

use notify_core::{DeliveryId, Scope};
use notify_outbox::DeliveryState::{Delivered, Held, Pending, Rejected};
use notify_outbox::{DeliveryQuery, EventQuery, EventState, Release, Status};

use crate::outbox::bench::Bench;
use crate::outbox::make::{
    ONE, TWO, account, again, claim, delivered, doubtful, refused, rejected, run, secs, to,
};

pub async fn an_empty_ledger_has_nothing_to_do(bench: Bench) {
    assert_eq!(bench.status().await, Status::default());
    assert!(bench.waiting().await.events.is_empty());
    assert!(bench.claim(claim()).await.is_empty());
    assert!(bench.deliveries().await.is_empty());
    assert!(bench.events().await.is_empty());
    assert_eq!(bench.resume(&[ONE]).await, 0);
}

pub async fn status_counts_everything_that_waits(bench: Bench) {
    for (number, state) in [
        (1, EventState::Unmatched),
        (2, EventState::Malformed),
        (3, EventState::Malformed),
    ] {
        let id = bench.accept_new(&run(number)).await;
        bench.set_aside(id, state, "why").await;
    }
    let told: Vec<_> = (0..10).map(to).collect();
    bench.tell_all(vec![(run(4), told)]).await;
    bench.accept(&run(4).succeeded()).await;
    bench.accept_new(&run(5)).await;
    let came = [doubtful(), refused(), rejected(), delivered()];
    let leased = bench.claim(claim().room(9)).await;
    for (leased, came) in leased.iter().zip(came) {
        bench.settle(leased, came).await;
    }
    let mut status = bench.status().await;
    status.next_due = None;
    let expected = Status {
        accepted: 1,
        unplannable: 3,
        conflicts: 1,
        pending: 1,
        leased: 5,
        held: 2,
        next_due: None,
    };
    assert_eq!(status, expected);
}

pub async fn what_is_due_is_due_now(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    assert_eq!(bench.status().await.next_due, Some(secs(0)));
    bench.pass(secs(60));
    assert_eq!(bench.status().await.next_due, Some(secs(0)));
    bench.attempt(delivered()).await;
    assert_eq!(bench.status().await.next_due, None);
}

pub async fn what_is_due_next_is_the_earliest_of_all_waits(bench: Bench) {
    bench.tell(run(1), [to("a"), to("b")]).await;
    for (leased, after) in bench.claim(claim()).await.iter().zip([60, 40]) {
        bench.settle(leased, again(secs(after))).await;
    }
    assert_eq!(bench.status().await.next_due, Some(secs(40)));
    bench.pass(secs(30));
    assert_eq!(bench.status().await.next_due, Some(secs(10)));
    bench.pass(secs(10));
    bench.attempt(delivered()).await;
    assert_eq!(bench.status().await.next_due, Some(secs(20)));
}

pub async fn a_shut_lane_is_due_when_it_opens(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    let came = again(secs(10)).wait(Scope::Lane, secs(60));
    bench.attempt(came).await;
    assert_eq!(bench.status().await.next_due, Some(secs(60)));
    bench.pass(secs(61));
    assert_eq!(bench.status().await.next_due, Some(secs(0)));
}

pub async fn only_the_accounts_that_are_asked_for_are_due(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    let of = |names: &[&str]| names.iter().copied().map(account).collect();
    let other = bench.outbox().status(of(&[TWO])).await.unwrap();
    assert_eq!((other.pending, other.next_due), (1, None));
    let nobody = bench.outbox().status(Vec::new()).await.unwrap();
    assert_eq!((nobody.pending, nobody.next_due), (1, None));
    let one = bench.outbox().status(of(&[ONE])).await.unwrap();
    assert_eq!(one.next_due, Some(secs(0)));
}

pub async fn a_lease_is_due_when_it_ends_whosever_it_is(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    let leased = bench.claim_one(claim().lease(secs(45))).await;
    bench.pass(secs(5));
    let other = bench.outbox().status(vec![account(TWO)]).await.unwrap();
    assert_eq!(other.next_due, Some(secs(40)));
    bench.pass(secs(60));
    assert_eq!(bench.status().await.next_due, Some(secs(0)));
    bench.settle(&leased, delivered()).await;
    assert_eq!(bench.status().await.next_due, None);
}

pub async fn a_full_lane_is_due_when_its_lease_ends(bench: Bench) {
    let told = (0..3).map(|number| to(number).lane("lane")).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    let narrow = claim().most_per_lane(1);
    bench.claim_one(narrow.clone()).await;
    assert!(bench.claim(narrow).await.is_empty());
    let due = bench.status().await.next_due;
    assert_eq!(due, Some(secs(30)), "an engine need not look before");
}

pub async fn what_waits_for_somebody_is_never_due(bench: Bench) {
    let [first] = bench.tell(run(1), [to("ops").opens("key")]).await;
    bench.attempt(doubtful()).await;
    bench.pass(secs(1));
    let [second] = bench.tell(run(2), [to("ops").opens("key")]).await;
    assert_eq!(bench.states(&[first, second]).await, [Held, Pending]);
    assert_eq!(bench.status().await.next_due, None);
    bench.tell(run(3), [to("a"), to("b")]).await;
    let leased = bench.claim(claim()).await;
    bench.settle(&leased[1], again(secs(5))).await;
    bench.settle(&leased[0], refused().pause()).await;
    assert_eq!(
        bench.status().await.next_due,
        None,
        "nor for a paused account"
    );
}

pub async fn deliveries_are_listed_in_the_order_they_were_recorded(bench: Bench) {
    let now = bench.now();
    let told = [to("a"), to("b"), to("c")];
    let mut all = bench.tell(run(1).at(now), told).await.to_vec();
    let earlier = run(2).at(now.before(secs(60)));
    all.extend(bench.tell(earlier, [to("d"), to("e")]).await);
    for most in [0, 1, 2, 4, 5, 100, usize::MAX] {
        let query = DeliveryQuery::latest(most);
        let listed = bench.outbox().deliveries(query).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|record| record.id).collect();
        assert_eq!(listed, all[5 - most.min(5)..], "the latest {most}");
    }
}

pub async fn deliveries_are_found_by_event_and_by_state(bench: Bench) {
    let first = bench.accept_new(&run(1)).await;
    let plan = bench.plan(first, &[to("a"), to("b"), to("c")]).await;
    bench.record(plan).await;
    bench.tell(run(2), [to("d")]).await;
    let leased = bench.claim(claim()).await;
    for (leased, came) in leased
        .iter()
        .zip([delivered(), rejected(), delivered(), rejected()])
    {
        bench.settle(leased, came).await;
    }
    let latest = DeliveryQuery::latest;
    let table = [
        (DeliveryQuery::of(first), vec!["a", "b", "c"]),
        (DeliveryQuery::of(bench.next_id()), vec![]),
        (
            DeliveryQuery::of(first).states(&[Delivered]),
            vec!["a", "c"],
        ),
        (latest(10).states(&[Rejected]), vec!["b", "d"]),
        (latest(1).states(&[Delivered]), vec!["c"]),
        (
            latest(10).states(&[Delivered, Rejected]),
            vec!["a", "b", "c", "d"],
        ),
        (latest(10).states(&[Pending]), vec![]),
    ];
    for (query, expected) in table {
        let asked = format!("{query:?}");
        let listed = bench.outbox().deliveries(query).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|one| one.recipient.as_str()).collect();
        assert_eq!(listed, expected, "{asked}");
    }
}

pub async fn a_delivery_is_shown_as_it_is(bench: Bench) {
    let event = bench.accept_new(&run(1).of("nightly").succeeded()).await;
    let told = to("ops").through(TWO).opens("key").declared_under("pager");
    let plan = bench.plan(event, &[told]).await;
    bench.record(plan).await;
    bench.pass(secs(3));
    let leased = bench.attempt(again(secs(7))).await;
    let record = bench.delivery(leased.id).await;
    assert_eq!((record.event, &*record.workflow), (event, "nightly"));
    assert_eq!(record.phase, notify_core::TerminalPhase::Succeeded);
    assert_eq!(record.account, account(TWO));
    assert_eq!(record.recipient.as_str(), "ops");
    let declared_under = record.declared_under.map(|kind| kind.to_string());
    assert_eq!(declared_under.as_deref(), Some("pager"));
    assert_eq!(record.action, notify_core::Action::Open);
    assert_eq!(record.not_before, bench.now().after(secs(7)));
}

pub async fn events_are_found_by_id_and_by_state(bench: Bench) {
    let mut accepted = Vec::new();
    for number in 0..4 {
        accepted.push(bench.accept_new(&run(number)).await);
    }
    bench
        .set_aside(accepted[1], EventState::Unmatched, "why")
        .await;
    bench
        .set_aside(accepted[3], EventState::Malformed, "why")
        .await;
    let latest = EventQuery::latest;
    let table = [
        (latest(100), vec![0, 1, 2, 3]),
        (latest(usize::MAX), vec![0, 1, 2, 3]),
        (latest(2), vec![2, 3]),
        (latest(0), vec![]),
        (EventQuery::of(accepted[2]), vec![2]),
        (EventQuery::of(bench.next_id()), vec![]),
        (
            EventQuery::of(accepted[2]).states(&[EventState::Unmatched]),
            vec![],
        ),
        (latest(1).states(&[EventState::Accepted]), vec![2]),
        (
            latest(9).states(&[EventState::Unmatched, EventState::Malformed]),
            vec![1, 3],
        ),
    ];
    for (query, expected) in table {
        let asked = format!("{query:?}");
        let listed = bench.outbox().events(query).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|event| event.id).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|place: &usize| accepted[*place])
            .collect();
        assert_eq!(listed, expected, "{asked}");
    }
}

pub async fn deliveries_are_found_by_their_ids(bench: Bench) {
    let [first, second, third] = bench.tell(run(1), [to("a"), to("b"), to("c")]).await;
    bench.tell(run(2), [to("a")]).await;
    let leased = bench.claim_one(claim().room(1)).await;
    bench.settle(&leased, delivered()).await;
    let list = async |query| {
        let found = bench.outbox().deliveries(query).await.unwrap();
        found.into_iter().map(|one| one.id).collect::<Vec<_>>()
    };
    let asked = DeliveryQuery::these(vec![third, first, third]);
    assert_eq!(list(asked.clone()).await, [first, third]);
    assert_eq!(list(asked.states(&[Delivered])).await, [first]);
    let unknown = DeliveryId::from_uuid(bench.next_id().uuid());
    assert_eq!(
        list(DeliveryQuery::these(vec![unknown, second])).await,
        [second]
    );
}

pub async fn what_is_held_says_what_sets_it_free(bench: Bench) {
    let told = bench.tell(run(1), [to("a"), to("b"), to("c")]).await;
    let leased = bench.claim(claim()).await;
    bench.settle(&leased[0], doubtful()).await;
    bench.settle(&leased[1], delivered()).await;
    bench.settle(&leased[2], refused().pause()).await;
    let mut releases = Vec::new();
    for id in told {
        releases.push(bench.delivery(id).await.release);
    }
    assert_eq!(
        releases,
        [Some(Release::Replay), None, Some(Release::Account)]
    );
    bench.resume(&[ONE]).await;
    assert_eq!(bench.delivery(told[2]).await.release, None);
}

pub async fn what_waits_for_another_delivery_says_so(bench: Bench) {
    let first = bench.tell(run(1), [to("ops").opens("key")]).await[0];
    let second = bench.tell(run(2), [to("ops").opens("key")]).await[0];
    let blocked = async |id| bench.delivery(id).await.blocked;
    assert_eq!((blocked(first).await, blocked(second).await), (false, true));
    bench.attempt(delivered()).await;
    assert!(!blocked(second).await);
    bench.attempt(delivered()).await;

    let mut storm = Vec::new();
    for number in 3..6 {
        storm.extend(bench.tell(run(number), [to("ops")]).await);
    }
    let leader = bench.claim_one(claim().collapse_after(2)).await;
    for id in &storm {
        assert_eq!(blocked(*id).await, *id != leader.id);
    }
    bench.settle(&leader, delivered()).await;
    for id in storm {
        assert!(!blocked(id).await, "it is delivered");
    }
}

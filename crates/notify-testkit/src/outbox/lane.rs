//! What lanes wait for: gates, rates and vendors that do not answer.

use notify_core::{Rate, Scope};

use crate::outbox::bench::Bench;
use crate::outbox::make::{
    ONE, TWO, again, claim, delivered, rejected, run, secs, to,
};

pub async fn a_wait_of_a_lane_shuts_that_lane_alone(bench: Bench) {
    let told = [to("a"), to("b"), to("a").through(TWO)];
    bench.tell(run(1), told).await;
    for leased in bench.claim(claim().of(&[ONE, TWO])).await {
        let shuts = leased.account.to_string() == ONE && leased.recipient.as_str() == "a";
        let came = if shuts {
            again(secs(0)).wait(Scope::Lane, secs(30))
        } else {
            again(secs(0))
        };
        bench.settle(&leased, came).await;
    }
    // What comes later waits as well.
    bench.tell(run(2), [to("a"), to("b")]).await;
    bench.pass(secs(29));
    let open = bench.claim(claim().of(&[ONE, TWO])).await;
    assert_eq!(open.len(), 3);
    bench.pass(secs(1));
    let opened = bench.claim(claim().of(&[ONE, TWO])).await;
    assert_eq!(opened.len(), 2);
    assert!(opened.iter().all(|one| one.recipient.as_str() == "a"));
}

pub async fn a_wait_of_an_account_shuts_all_its_lanes_and_no_other(bench: Bench) {
    let told = [to("a"), to("b"), to("a").through(TWO)];
    bench.tell(run(1), told).await;
    let leased = bench.claim(claim().of(&[ONE, TWO])).await;
    for leased in leased {
        let shuts = leased.recipient.as_str() == "b";
        let came = if shuts {
            again(secs(0)).wait(Scope::Account, secs(30))
        } else {
            again(secs(0))
        };
        bench.settle(&leased, came).await;
    }
    let open = bench.claim(claim().of(&[ONE, TWO])).await;
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].account.to_string(), TWO);
    bench.pass(secs(29));
    assert!(bench.claim(claim()).await.is_empty());
    bench.pass(secs(1));
    assert_eq!(bench.claim(claim()).await.len(), 2);
}

pub async fn a_short_wait_does_not_shorten_a_long_one(bench: Bench) {
    let told = (0..3).map(|number| to(number).lane("lane")).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    let leased = bench.claim(claim()).await;
    for (leased, wait) in leased.iter().zip([10, 60, 20]) {
        let came = again(secs(0)).wait(Scope::Lane, secs(wait));
        bench.settle(leased, came).await;
    }
    bench.pass(secs(59));
    assert!(bench.claim(claim()).await.is_empty());
    bench.pass(secs(1));
    assert_eq!(bench.claim(claim()).await.len(), 3);
}

pub async fn a_lane_is_shut_by_what_was_delivered_too(bench: Bench) {
    let told = [to("a").lane("lane"), to("b").lane("lane")];
    bench.tell(run(1), told).await;
    let leased = bench.claim_one(claim().room(1)).await;
    bench
        .settle(&leased, delivered().wait(Scope::Lane, secs(5)))
        .await;
    assert!(bench.claim(claim()).await.is_empty());
    bench.pass(secs(5));
    assert_eq!(bench.claim(claim()).await.len(), 1);
}

pub async fn a_burst_goes_at_once_and_then_one_in_each_interval(mut bench: Bench) {
    let told = (0..20).map(|number| to(number).lane("lane")).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    let limited = claim().rate(Rate::new(secs(10), 3));
    let mut second = 0;
    for (at, expected) in [
        (0, 3),
        (0, 0),
        (9, 0),
        (10, 1),
        (10, 0),
        (20, 1),
        (35, 1),
        (40, 1),
        (49, 0),
        (50, 1),
        // A rest earns the burst and no more.
        (500, 3),
        (500, 0),
        (510, 1),
    ] {
        bench.pass(secs(at - second));
        second = at;
        // The rate is on record, like everything else.
        bench.restart();
        let leased = bench.claim(limited.clone()).await;
        assert_eq!(leased.len(), expected, "at {at} s");
        for leased in leased {
            bench.settle(&leased, delivered()).await;
        }
    }
}

pub async fn a_rate_is_shared_by_all_engines(bench: Bench) {
    let told = (0..9).map(|number| to(number).lane("lane")).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    let limited = claim().rate(Rate::new(secs(10), 4));
    assert_eq!(bench.claim(limited.clone().room(1)).await.len(), 1);
    let another = bench.another();
    let second = another.claim(limited.clone().room(2).claim()).await;
    assert_eq!(second.unwrap().len(), 2);
    assert_eq!(bench.claim(limited.clone()).await.len(), 1);
    assert!(bench.claim(limited).await.is_empty());
}

pub async fn every_lane_has_a_rate_of_its_own(bench: Bench) {
    let mut told: Vec<_> = (0..3).map(|number| to(number).lane("a")).collect();
    told.extend((0..3).map(|number| to(number).lane("b")));
    bench.tell_all(vec![(run(1), told)]).await;
    let limited = claim().rate(Rate::new(secs(10), 2));
    assert_eq!(bench.claim(limited.clone()).await.len(), 4);
    assert!(bench.claim(limited.clone()).await.is_empty());
    bench.pass(secs(10));
    assert_eq!(bench.claim(limited).await.len(), 2);
}

pub async fn status_knows_when_the_rate_lets_the_next_one_go(bench: Bench) {
    let told = (0..3).map(|number| to(number).lane("lane")).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    let limited = claim().rate(Rate::new(secs(10), 2));
    assert_eq!(bench.claim(limited.clone()).await.len(), 2);
    assert!(bench.claim(limited.clone()).await.is_empty());
    assert_eq!(bench.status().await.next_due, Some(secs(10)));
    bench.pass(secs(4));
    assert_eq!(bench.status().await.next_due, Some(secs(6)));
}

pub async fn three_silent_attempts_make_a_lane_quiet(mut bench: Bench) {
    let told = (0..6).map(|number| to(number).lane("dead")).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    for leased in bench.claim(claim().room(3)).await {
        bench.settle(&leased, again(secs(0)).silent()).await;
    }
    bench.restart();
    // It is left alone for a while that doubles up to a minute, and then asked by one delivery.
    for wait in [5, 10, 20, 40, 60, 60] {
        bench.pass(secs(wait - 1));
        assert!(bench.claim(claim().room(50)).await.is_empty());
        bench.pass(secs(1));
        let long = claim().lease(secs(3_600));
        let leased = bench.claim_one(long.clone()).await;
        assert!(bench.claim(long).await.is_empty(), "one at a time");
        bench.settle(&leased, again(secs(0)).silent()).await;
    }
}

pub async fn the_first_answer_of_any_kind_ends_the_quiet(bench: Bench) {
    for (number, answer) in [delivered(), rejected(), again(secs(0))].into_iter().enumerate() {
        let told = (0..5).map(|each| to(each).lane(number));
        bench.tell_all(vec![(run(number), told.collect())]).await;
        let leased = bench.claim(claim()).await;
        for leased in &leased {
            bench.settle(leased, again(secs(0)).silent()).await;
        }
        assert!(bench.claim(claim()).await.is_empty());
        bench.pass(secs(60));
        let leased = bench.claim_one(claim()).await;
        bench.settle(&leased, answer).await;
        let leased = bench.claim(claim()).await;
        assert!(leased.len() >= 4, "the lane is awake");
        // Two more are not three in a row.
        for leased in &leased[..2] {
            bench.settle(leased, again(secs(0)).silent()).await;
        }
        let again = bench.claim(claim()).await;
        assert_eq!(again.len(), 2);
        for leased in leased[2..].iter().chain(&again) {
            bench.settle(leased, delivered()).await;
        }
    }
}

pub async fn silence_in_one_lane_says_nothing_about_another(bench: Bench) {
    let mut told: Vec<_> = (0..4).map(|number| to(number).lane("dead")).collect();
    told.extend((0..4).map(|number| to(number).lane("alive")));
    bench.tell_all(vec![(run(1), told)]).await;
    for leased in bench.claim(claim()).await {
        let dead = leased.spec.body["fake"]["lane"] == "dead";
        let came = if dead {
            again(secs(0)).silent()
        } else {
            again(secs(0))
        };
        bench.settle(&leased, came).await;
    }
    let leased = bench.claim(claim()).await;
    assert_eq!(leased.len(), 4);
    assert!(leased.iter().all(|one| one.spec.body["fake"]["lane"] == "alive"));
}

pub async fn an_answer_between_silent_attempts_begins_the_count_anew(bench: Bench) {
    let told = (0..6).map(|number| to(number).lane("lane")).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    let leased = bench.claim(claim()).await;
    for (leased, silent) in leased.iter().zip([true, true, false, true, true]) {
        let came = again(secs(0));
        let came = if silent { came.silent() } else { came };
        bench.settle(leased, came).await;
    }
    assert_eq!(bench.claim(claim()).await.len(), 5);
}

pub async fn a_lane_that_is_new_waits_with_the_others_of_its_account(mut bench: Bench) {
    bench.tell(run(1), [to("a")]).await;
    bench.attempt(again(secs(0)).wait(Scope::Account, secs(30))).await;
    bench.restart();
    bench.tell(run(2), [to("b"), to("c").through(TWO)]).await;
    assert_eq!(bench.claim(claim().of(&[ONE, TWO])).await.len(), 1);
    bench.pass(secs(29));
    assert!(bench.claim(claim()).await.is_empty());
    bench.pass(secs(1));
    assert_eq!(bench.claim(claim()).await.len(), 2);
}

//! Conversations: what one end opened and a later one closes, in the order in which they happened.

use notify_core::{Action, DeliveryId, Receipt};
use notify_outbox::EventState;
use notify_outbox::DeliveryState::{
    Delivered, Expired, Held, Leased, Pending, Rejected, Skipped, Superseded,
};

use crate::outbox::bench::{Bench, ids};
use crate::outbox::make::{
    Came, ONE, TWO, Told, again, claim, delivered, delivered_as, doubtful, refused, rejected, run, secs, to,
    unknown,
};

const SUPERSEDED: &str = "the workflow succeeded before it was sent";
const LATE: &str = "a later end closed the conversation already";
const NOTHING_OPEN: &str = "nothing open";

pub async fn a_conversation_goes_in_the_order_the_ends_happened(bench: Bench) {
    // They are told in another order than they happened.
    let third = at(&bench, 30, opens()).await;
    let first = at(&bench, 10, opens()).await;
    let second = at(&bench, 20, opens()).await;
    for expected in [first, second, third] {
        let leased = bench.claim_one(claim()).await;
        assert_eq!(leased.id, expected);
        assert!(bench.claim(claim()).await.is_empty(), "one after the other");
        bench.settle(&leased, delivered()).await;
    }
}

pub async fn events_that_ended_together_go_in_the_order_of_their_ids(bench: Bench) {
    let first = at(&bench, 10, opens()).await;
    let second = at(&bench, 10, opens()).await;
    let both = [bench.attempt(delivered()).await, bench.attempt(delivered()).await];
    assert_eq!(ids(&both), [first, second]);
}

pub async fn one_event_may_tell_a_conversation_twice(bench: Bench) {
    let told = [opens().lane("a"), opens().lane("b")];
    let [first, second] = bench.tell(run(1), told).await;
    assert_eq!(ids(&bench.claim(claim()).await), [first]);
    assert_eq!(bench.state(second).await, Pending);
}

pub async fn an_attempt_that_failed_keeps_its_place(bench: Bench) {
    let first = at(&bench, 10, opens()).await;
    let second = at(&bench, 20, opens()).await;
    bench.attempt(again(secs(60))).await;
    assert!(bench.claim(claim()).await.is_empty());
    assert_eq!(bench.status().await.next_due, Some(secs(60)));
    bench.pass(secs(60));
    assert_eq!(bench.attempt(delivered()).await.id, first);
    assert_eq!(bench.attempt(delivered()).await.id, second);
}

pub async fn an_earlier_end_waits_for_what_is_on_the_wire(bench: Bench) {
    at(&bench, 20, opens()).await;
    let leased = bench.claim_one(claim()).await;
    let earlier = at(&bench, 10, opens()).await;
    assert!(bench.claim(claim()).await.is_empty());
    bench.settle(&leased, again(secs(0))).await;
    assert_eq!(bench.claim_one(claim()).await.id, earlier);
}

pub async fn conversations_do_not_wait_for_each_other(bench: Bench) {
    let told = [
        opens(),
        to("ops").opens("other"),
        opens().through(TWO),
        to("ops"),
    ];
    bench.tell(run(1), told).await;
    assert_eq!(bench.claim(claim().of(&[ONE, TWO])).await.len(), 4);
}

pub async fn a_close_follows_what_was_opened(bench: Bench) {
    at(&bench, 10, opens()).await;
    bench.attempt(delivered()).await;
    let close = at(&bench, 20, closes()).await;
    assert_eq!(bench.attempt(delivered()).await.id, close);
    assert!(bench.status().await.is_idle());
}

pub async fn what_went_before_is_handed_on(mut bench: Bench) {
    let mut earlier = None;
    for (second, name) in [(10, "first"), (20, "second"), (30, "third")] {
        at(&bench, second, opens()).await;
        let leased = bench.claim_one(claim()).await;
        assert_eq!(leased.earlier.clone().map(|receipt| receipt.id), earlier);
        bench.restart();
        bench.settle(&leased, delivered_as(name)).await;
        earlier = Some(name.to_owned());
    }
    at(&bench, 40, closes()).await;
    let close = bench.claim_one(claim()).await;
    let receipt = close.earlier.clone().expect("what is closed has a receipt");
    assert_eq!(receipt, Receipt::new("third").fact("channel", "ops"));
    bench.settle(&close, delivered_as("close")).await;
    at(&bench, 50, opens()).await;
    assert_eq!(bench.claim_one(claim()).await.earlier, None, "what was closed opens anew");
}

pub async fn a_first_that_failed_hands_nothing_on(bench: Bench) {
    at(&bench, 10, opens()).await;
    bench.attempt(rejected()).await;
    at(&bench, 20, opens()).await;
    let second = bench.claim_one(claim()).await;
    assert_eq!(second.earlier, None);
    bench.settle(&second, unknown(secs(0))).await;
    let again = bench.claim_one(claim()).await;
    assert_eq!((again.id, again.earlier), (second.id, None));
}

pub async fn what_opens_behind_a_close_that_waits_gets_nothing_handed_on(bench: Bench) {
    at(&bench, 10, opens()).await;
    bench.attempt(delivered()).await;
    at(&bench, 20, closes()).await;
    let close = bench.claim_one(claim()).await;
    at(&bench, 30, opens()).await;
    bench.settle(&close, delivered()).await;
    assert_eq!(bench.claim_one(claim()).await.earlier, None);
}

pub async fn a_close_may_go_by_itself_where_nothing_is_open(bench: Bench) {
    let opening = at(&bench, 10, opens()).await;
    let close = at(&bench, 20, closes().or_alone()).await;
    assert_eq!(bench.states(&[opening, close]).await, [Superseded, Pending]);
    let leased = bench.claim_one(claim()).await;
    assert_eq!((leased.id, leased.action), (close, Action::Send));
    assert_eq!((leased.conversation.clone(), leased.earlier.clone()), (None, None));
    bench.settle(&leased, delivered()).await;
    assert!(bench.status().await.is_idle());
    let next = at(&bench, 30, opens()).await;
    assert_eq!(bench.attempt(delivered()).await.id, next);
}

pub async fn a_close_that_may_go_by_itself_closes_what_is_open(bench: Bench) {
    at(&bench, 10, opens()).await;
    let opening = bench.claim_one(claim()).await;
    let close = at(&bench, 20, closes().or_alone()).await;
    assert!(bench.claim(claim()).await.is_empty(), "it waits for what may open");
    bench.settle(&opening, delivered()).await;
    let leased = bench.claim_one(claim()).await;
    assert_eq!((leased.id, leased.action), (close, Action::Close));
    assert_eq!(leased.conversation.as_deref(), Some("key"));
    bench.settle(&leased, delivered()).await;
    assert_eq!(open_conversations(&bench).await, 0);
}

pub async fn a_close_supersedes_openings_that_never_left(bench: Bench) {
    let first = at(&bench, 10, opens()).await;
    let second = at(&bench, 20, opens()).await;
    let close = at(&bench, 30, closes()).await;
    for id in [first, second] {
        assert_eq!(bench.state(id).await, Superseded);
        assert_eq!(bench.reason(id).await, SUPERSEDED);
    }
    assert!(bench.claim(claim()).await.is_empty());
    assert_eq!(bench.state(close).await, Skipped);
    assert_eq!(bench.reason(close).await, NOTHING_OPEN);
    assert!(bench.status().await.is_idle());
}

pub async fn a_close_supersedes_what_is_held_and_never_left(bench: Bench) {
    bench.tell(run("key"), [to("other")]).await;
    bench.attempt(refused().pause()).await;
    let opening = at(&bench, 10, opens()).await;
    assert_eq!(bench.state(opening).await, Held);
    at(&bench, 20, closes()).await;
    assert_eq!(bench.state(opening).await, Superseded);
    assert_eq!(bench.reason(opening).await, SUPERSEDED);
}

pub async fn a_close_leaves_later_openings_alone(bench: Bench) {
    at(&bench, 10, opens()).await;
    bench.attempt(delivered()).await;
    let later = at(&bench, 30, opens()).await;
    let close = at(&bench, 20, closes()).await;
    assert_eq!(bench.states(&[later, close]).await, [Pending, Pending]);
    assert_eq!(bench.attempt(delivered()).await.id, close);
    assert_eq!(bench.attempt(delivered()).await.id, later);
    let last = at(&bench, 40, closes()).await;
    assert_eq!(bench.attempt(delivered()).await.id, last);
}

pub async fn a_close_waits_for_an_opening_on_the_wire(bench: Bench) {
    let opening = at(&bench, 10, opens()).await;
    let leased = bench.claim_one(claim()).await;
    let close = at(&bench, 20, closes()).await;
    assert_eq!(bench.states(&[opening, close]).await, [Leased, Pending]);
    assert!(bench.claim(claim()).await.is_empty());
    bench.settle(&leased, delivered()).await;
    assert_eq!(bench.attempt(delivered()).await.id, close);
}

pub async fn a_close_supersedes_an_opening_that_is_still_tried(bench: Bench) {
    let opening = at(&bench, 10, opens()).await;
    bench.attempt(again(secs(10))).await;
    let close = at(&bench, 20, closes()).await;
    assert_eq!(bench.states(&[opening, close]).await, [Superseded, Skipped]);
    assert_eq!(bench.reason(opening).await, SUPERSEDED);
    assert_eq!(bench.reason(close).await, NOTHING_OPEN);
}

pub async fn a_close_supersedes_what_would_be_added_and_closes_what_is_open(bench: Bench) {
    at(&bench, 10, opens()).await;
    bench.attempt(delivered()).await;
    let added = at(&bench, 20, opens()).await;
    bench.attempt(again(secs(10))).await;
    let close = at(&bench, 30, closes()).await;
    assert_eq!(bench.states(&[added, close]).await, [Superseded, Pending]);
    assert_eq!(bench.attempt(delivered()).await.id, close);
}

pub async fn a_close_waits_for_an_opening_whose_lease_was_lost(bench: Bench) {
    let opening = at(&bench, 10, opens()).await;
    bench.claim_one(claim()).await;
    let close = at(&bench, 20, closes()).await;
    bench.pass(secs(30));
    assert_eq!(bench.attempt(delivered()).await.id, opening);
    assert_eq!(bench.attempt(delivered()).await.id, close);
}

pub async fn a_close_waits_for_an_opening_that_may_have_arrived(bench: Bench) {
    let opening = at(&bench, 10, opens().hold_if_unknown()).await;
    bench.attempt(doubtful()).await;
    let close = at(&bench, 20, closes()).await;
    assert!(bench.claim(claim()).await.is_empty());
    assert_eq!(bench.states(&[opening, close]).await, [Held, Pending]);
    assert_eq!(bench.status().await.next_due, None, "nothing happens by itself");
    bench.replay(&[opening]).await;
    assert_eq!(bench.attempt(delivered()).await.id, opening);
    assert_eq!(bench.attempt(delivered()).await.id, close);
}

pub async fn a_close_has_nothing_to_close_where_no_opening_arrived(bench: Bench) {
    let ways: [(Came, _); 2] = [(rejected(), Rejected), (crate::outbox::make::expired(), Expired)];
    for (number, (came, state)) in ways.into_iter().enumerate() {
        let (key, lane) = (format!("key {number}"), format!("lane {number}"));
        let opening = at(&bench, 10, to("ops").lane(&lane).opens(&key)).await;
        let leased = bench.claim_one(claim()).await;
        let close = at(&bench, 20, to("ops").lane(&lane).closes(&key)).await;
        bench.settle(&leased, came).await;
        assert_eq!(bench.states(&[opening, close]).await, [state, Skipped]);
        assert_eq!(bench.reason(close).await, NOTHING_OPEN);
    }
}

pub async fn what_may_have_opened_is_closed_whatever_became_of_it(bench: Bench) {
    // Nobody knows of the first attempt; the second is refused, too late, given up by hand, or lost.
    for number in 0..4 {
        let (key, lane) = (format!("key {number}"), format!("lane {number}"));
        let opening = at(&bench, 10, to("ops").lane(&lane).opens(&key)).await;
        match number {
            0 => {
                bench.attempt(unknown(secs(0))).await;
                bench.attempt(rejected()).await;
            }
            1 => {
                bench.attempt(unknown(secs(0))).await;
                bench.attempt(crate::outbox::make::expired()).await;
            }
            2 => {
                bench.attempt(unknown(secs(60))).await;
                bench.give_up(&[opening], "nobody needs it").await;
            }
            _ => {
                bench.claim_one(claim()).await;
                bench.pass(secs(31));
                assert!(bench.claim(claim().of(&[TWO])).await.is_empty());
                bench.give_up(&[opening], "nobody needs it").await;
            }
        }
        let close = at(&bench, 20, to("ops").lane(&lane).closes(&key)).await;
        assert_eq!(bench.attempt(delivered()).await.id, close, "way {number}");
    }
    assert!(bench.status().await.is_idle());
}

pub async fn a_conversation_that_never_opened_is_over_when_it_was_to_be_closed(bench: Bench) {
    at(&bench, 10, opens()).await;
    assert_eq!(open_conversations(&bench).await, 1);
    at(&bench, 20, closes()).await;
    assert_eq!(open_conversations(&bench).await, 0);
    let anew = at(&bench, 30, opens()).await;
    assert_eq!(open_conversations(&bench).await, 1);
    assert_eq!(bench.attempt(delivered()).await.id, anew);
    let close = at(&bench, 40, closes()).await;
    assert_eq!(bench.attempt(delivered()).await.id, close);
    assert_eq!(open_conversations(&bench).await, 0);
}

pub async fn a_close_with_nothing_to_close_leaves_a_later_opening_alone(bench: Bench) {
    at(&bench, 10, opens()).await;
    let first = bench.claim_one(claim()).await;
    let close = at(&bench, 20, closes()).await;
    let opening = at(&bench, 30, opens()).await;
    bench.settle(&first, rejected()).await;
    assert_eq!(bench.states(&[close, opening]).await, [Skipped, Pending]);
    // The next success has to know of it.
    assert_eq!(open_conversations(&bench).await, 1);
    assert_eq!(bench.attempt(delivered()).await.id, opening);
    assert_eq!(open_conversations(&bench).await, 1);
}

pub async fn a_close_of_what_nobody_opened_is_skipped(bench: Bench) {
    let close = at(&bench, 10, closes()).await;
    assert_eq!(bench.state(close).await, Skipped);
    assert_eq!(bench.reason(close).await, NOTHING_OPEN);
}

pub async fn a_second_close_has_nothing_to_close(bench: Bench) {
    at(&bench, 10, opens()).await;
    bench.attempt(delivered()).await;
    let first = at(&bench, 20, closes()).await;
    let leased = bench.claim_one(claim()).await;
    let second = at(&bench, 30, closes()).await;
    bench.settle(&leased, delivered()).await;
    assert_eq!(bench.states(&[first, second]).await, [Delivered, Skipped]);
    assert_eq!(bench.reason(second).await, NOTHING_OPEN);
}

pub async fn a_later_close_takes_the_place_of_an_earlier_one(bench: Bench) {
    at(&bench, 10, opens()).await;
    bench.attempt(delivered()).await;
    let first = at(&bench, 20, closes()).await;
    let second = at(&bench, 30, closes()).await;
    assert_eq!(bench.states(&[first, second]).await, [Superseded, Pending]);
    assert_eq!(bench.attempt(delivered()).await.id, second);
}

pub async fn an_opening_that_comes_after_a_later_close_is_superseded(bench: Bench) {
    at(&bench, 10, opens()).await;
    bench.attempt(delivered()).await;
    let close = at(&bench, 30, closes()).await;
    let late = at(&bench, 20, opens()).await;
    assert_eq!(bench.state(late).await, Superseded);
    assert_eq!(bench.reason(late).await, LATE);
    assert_eq!(bench.attempt(delivered()).await.id, close);
    let later_still = at(&bench, 25, opens()).await;
    assert_eq!(bench.reason(later_still).await, LATE);
    assert!(bench.status().await.is_idle());
}

pub async fn what_was_closed_opens_anew(bench: Bench) {
    for round in 0..3 {
        let opening = at(&bench, 10 + 20 * round, opens()).await;
        assert_eq!(bench.attempt(delivered()).await.id, opening);
        let close = at(&bench, 20 + 20 * round, closes()).await;
        assert_eq!(bench.attempt(delivered()).await.id, close);
    }
}

pub async fn what_opens_behind_a_close_that_waits_opens_anew(bench: Bench) {
    at(&bench, 10, opens()).await;
    bench.attempt(delivered()).await;
    let close = at(&bench, 20, closes()).await;
    let opening = at(&bench, 30, opens()).await;
    assert_eq!(bench.attempt(delivered()).await.id, close);
    // What is opened next is planned, though the close before it arrived.
    assert_eq!(open_conversations(&bench).await, 1);
    assert_eq!(bench.attempt(delivered()).await.id, opening);
    let close = at(&bench, 40, closes()).await;
    assert_eq!(bench.attempt(delivered()).await.id, close);
}

pub async fn a_close_that_is_refused_leaves_the_conversation_open(bench: Bench) {
    at(&bench, 10, opens()).await;
    bench.attempt(delivered()).await;
    let first = at(&bench, 20, closes()).await;
    bench.attempt(rejected()).await;
    let second = at(&bench, 30, closes()).await;
    assert_eq!(bench.attempt(delivered()).await.id, second);
    assert_eq!(bench.state(first).await, Rejected);
}

pub async fn a_member_that_expires_makes_way_for_the_next(bench: Bench) {
    let first = at(&bench, 10, opens()).await;
    bench.pass(secs(86_000));
    let second = at(&bench, 20, opens()).await;
    bench.pass(secs(1_000));
    let mut leased = bench.claim(claim()).await;
    leased.extend(bench.claim(claim()).await);
    assert_eq!(ids(&leased), [second]);
    assert_eq!(bench.state(first).await, Expired);
}

fn opens() -> Told {
    to("ops").opens("key")
}

fn closes() -> Told {
    to("ops").closes("key")
}

/// Tells of a run that ended at this second.
async fn at(bench: &Bench, second: u64, told: Told) -> DeliveryId {
    let number = bench.next_id();
    let noon = crate::clock::HandClock::default();
    let ended_at = notify_core::Clock::now(&noon).after(secs(second));
    let [id] = bench.tell(run(number).at(ended_at), [told]).await;
    id
}

/// Counts what planning the workflow's next run would find to close.
async fn open_conversations(bench: &Bench) -> usize {
    let looks = bench.accept_new(&run(bench.next_id())).await;
    let waiting = bench.waiting().await;
    bench
        .set_aside(looks, EventState::Malformed, "looked at")
        .await;
    waiting.contexts[&run(0).key()].conversations.len()
}

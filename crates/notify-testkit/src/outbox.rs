//! The rules that every outbox keeps, each as one test.
//!
//! The rules are in files by theme; the name of each says what must be true. [`outbox_suite!`]
//! makes tests of them all.
//!
//! [`outbox_suite!`]: crate::outbox_suite

mod bench;
mod make;
mod random;

macro_rules! themes {
    ($($theme:ident)*) => {
        $(
            #[doc(hidden)]
            #[allow(missing_docs, reason = "the name of a rule says what it is about")]
            pub mod $theme;
        )*
    };
}

themes! {
    account claim conversation durable hand intake lane lease laws record settle summary time view
}

use std::sync::Arc;

use notify_core::Clock;
use notify_outbox::Outbox;

pub use crate::outbox::bench::{Bench, ids};
pub use crate::outbox::make::{
    Came, Claiming, Ended, ONE, TWO, Told, account, again, claim, delivered, doubtful, expired,
    refused, rejected, run, secs, to, unknown,
};

/// Holds one rule against a new ledger.
///
/// The closure opens the ledger; of a durable store it opens the same one every time.
pub fn hold(
    open: impl Fn(Arc<dyn Clock>) -> Arc<dyn Outbox> + Send + Sync + 'static,
    rule: impl AsyncFnOnce(Bench),
) {
    bench::block_on(Box::pin(rule(Bench::new(open))));
}

/// Makes a test of each rule that every outbox keeps.
///
/// Takes a closure from a clock to the ledger, `Fn(Arc<dyn Clock>) -> Arc<dyn Outbox>`. It is made
/// anew for each test. Of a durable store it opens the same ledger every time:
///
/// ```
/// use std::sync::Arc;
///
/// # struct Folder;
/// # struct FileOutbox;
/// # impl FileOutbox {
/// #     fn open(_: &Folder, clock: Arc<dyn notify_core::Clock>) -> notify_outbox::MemoryOutbox {
/// #         notify_outbox::MemoryOutbox::new(clock)
/// #     }
/// # }
/// # fn folder_of_its_own() -> Folder { Folder }
/// notify_testkit::outbox_suite!({
///     let folder = folder_of_its_own();
///     move |clock| Arc::new(FileOutbox::open(&folder, clock))
/// });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! outbox_suite {
    ($open:expr $(,)?) => {
        $crate::outbox_suite! { @rules $open;
            intake {
                an_event_is_stored_as_it_is_told
                an_event_that_does_not_say_when_it_ended_ended_now
                the_same_end_told_again_is_a_duplicate_of_the_first
                an_end_of_an_unmatched_event_told_again_is_a_duplicate
                another_end_of_the_attempt_is_on_record_once_for_each_phase
                every_attempt_of_every_execution_is_an_event_of_its_own
                a_malformed_event_leaves_its_place_to_one_that_reads
                events_wait_in_the_order_they_were_accepted
                no_more_events_are_listed_than_asked_for
                waiting_gives_the_history_of_each_workflow
                waiting_gives_what_a_workflow_has_open
                an_event_that_is_set_aside_does_not_wait_and_says_why
                only_an_event_that_waits_can_be_set_aside
            }
            record {
                a_plan_is_stored_as_a_whole
                what_plan_found_in_the_history_is_frozen_into_the_event
                the_history_is_written_once_for_all_events_of_a_plan
                who_plans_on_an_old_history_loses_the_race
                a_plan_with_an_event_that_does_not_wait_is_not_stored_at_all
                one_workflow_that_lost_the_race_leaves_the_others_alone
                of_two_plans_of_a_workflow_in_one_call_the_second_loses
                a_delivery_that_is_recorded_already_is_left_alone
                a_recipient_that_is_named_twice_is_told_once
                what_is_not_to_be_sent_is_on_record_with_its_reason
            }
            claim {
                a_lease_carries_what_the_wire_needs
                an_attempt_leaves_its_marks_on_the_next_lease
                only_accounts_that_are_served_are_claimed
                nothing_is_leased_twice
                an_account_gets_no_more_than_it_has_room_for
                a_full_account_leaves_the_room_of_another_alone
                a_lane_is_leased_no_deeper_than_allowed_by_all_engines_together
                a_full_lane_comes_back_when_one_of_its_deliveries_is_settled
                a_full_lane_comes_back_when_a_lease_is_lost
                what_is_due_first_goes_first
                the_lane_that_is_due_first_goes_first
                a_lane_with_a_backlog_leaves_places_to_the_others
                ten_thousand_behind_a_shut_lane_keep_nobody_waiting
                engines_that_claim_at_once_never_get_the_same_delivery
                what_is_too_old_expires_with_its_last_reason
                what_expires_untried_has_no_further_reason
                what_is_too_old_takes_nobodys_place
            }
            lease {
                a_lease_is_settled_once
                a_stale_lease_changes_nothing
                nobody_settles_what_is_not_leased
                a_lease_lasts_as_long_as_its_account_wants
                a_late_answer_counts_until_the_lease_is_taken_back
                a_lost_lease_is_an_unknown_attempt_and_due_again_at_once
                who_can_send_nothing_takes_lost_leases_back_all_the_same
                a_lost_lease_is_taken_back_and_given_out_in_one_claim
                what_must_not_arrive_twice_is_held_when_its_lease_is_lost
                a_lost_lease_says_nothing_about_the_vendor
            }
            settle {
                an_attempt_moves_the_delivery_where_it_was_decided
                what_the_vendor_gave_is_kept
                what_is_tried_again_waits_for_its_time
                what_waits_stands_in_nobodys_way
                a_delivery_may_be_held_by_itself
                each_attempt_is_decided_anew
            }
            lane {
                a_wait_of_a_lane_shuts_that_lane_alone
                a_wait_of_an_account_shuts_all_its_lanes_and_no_other
                a_lane_that_is_new_waits_with_the_others_of_its_account
                a_short_wait_does_not_shorten_a_long_one
                a_lane_is_shut_by_what_was_delivered_too
                a_burst_goes_at_once_and_then_one_in_each_interval
                a_rate_is_shared_by_all_engines
                every_lane_has_a_rate_of_its_own
                status_knows_when_the_rate_lets_the_next_one_go
                three_silent_attempts_make_a_lane_quiet
                the_first_answer_of_any_kind_ends_the_quiet
                silence_in_one_lane_says_nothing_about_another
                an_answer_between_silent_attempts_begins_the_count_anew
            }
            account {
                a_pause_holds_everything_that_waits_for_the_account
                a_lane_is_paused_by_itself
                what_was_on_the_wire_when_its_lane_was_paused_is_held_too
                what_is_told_through_a_paused_account_is_held_from_the_start
                who_resumes_an_account_sets_free_what_was_held_for_it
                several_accounts_are_resumed_in_one_call
                what_waits_for_a_replay_is_not_resumed
                who_resumes_an_account_opens_the_lanes_of_what_was_held
                what_is_set_free_goes_one_at_a_time_until_one_is_answered
                what_was_on_the_wire_when_its_account_was_paused_is_held_too
                events_that_nobody_could_plan_are_looked_at_anew
                what_no_engine_serves_is_given_up_when_it_is_too_old
                what_no_engine_serves_is_given_up_bit_by_bit
            }
            hand {
                what_did_not_arrive_is_replayed_and_nothing_else
                what_is_replayed_may_still_have_arrived_before
                what_expired_has_its_whole_time_again
                a_replay_does_not_open_a_shut_lane
                a_replayed_member_of_a_conversation_takes_its_place_again
                what_waits_is_given_up_with_the_reason_and_nothing_else
                a_member_that_is_given_up_makes_way_for_the_next
            }
            conversation {
                a_conversation_goes_in_the_order_the_ends_happened
                events_that_ended_together_go_in_the_order_of_their_ids
                one_event_may_tell_a_conversation_twice
                an_attempt_that_failed_keeps_its_place
                an_earlier_end_waits_for_what_is_on_the_wire
                conversations_do_not_wait_for_each_other
                a_close_follows_what_was_opened
                what_went_before_is_handed_on
                a_first_that_failed_hands_nothing_on
                what_opens_behind_a_close_that_waits_gets_nothing_handed_on
                a_close_may_go_by_itself_where_nothing_is_open
                a_close_that_may_go_by_itself_closes_what_is_open
                a_close_supersedes_openings_that_never_left
                a_close_supersedes_what_is_held_and_never_left
                a_close_leaves_later_openings_alone
                a_close_waits_for_an_opening_on_the_wire
                a_close_supersedes_an_opening_that_is_still_tried
                a_close_supersedes_what_would_be_added_and_closes_what_is_open
                a_close_waits_for_an_opening_whose_lease_was_lost
                a_close_waits_for_an_opening_that_may_have_arrived
                a_close_has_nothing_to_close_where_no_opening_arrived
                what_may_have_opened_is_closed_whatever_became_of_it
                a_conversation_that_never_opened_is_over_when_it_was_to_be_closed
                a_close_of_what_nobody_opened_is_skipped
                a_second_close_has_nothing_to_close
                a_later_close_takes_the_place_of_an_earlier_one
                an_opening_that_comes_after_a_later_close_is_superseded
                what_was_closed_opens_anew
                what_opens_behind_a_close_that_waits_opens_anew
                a_close_that_is_refused_leaves_the_conversation_open
                a_close_with_nothing_to_close_leaves_a_later_opening_alone
                a_member_that_expires_makes_way_for_the_next
            }
            summary {
                a_storm_for_one_recipient_goes_as_one
                a_summary_names_the_first_and_counts_them_all
                few_deliveries_go_by_themselves
                deliveries_go_by_themselves_where_no_summary_is_wanted
                recipients_are_not_mixed
                every_recipient_in_a_storm_has_a_summary
                lanes_are_not_mixed
                what_belongs_to_a_conversation_goes_by_itself
                what_is_not_due_is_no_part_of_a_summary
                a_storm_longer_than_what_is_looked_at_goes_as_one
                only_the_first_that_are_due_are_looked_at
                a_summary_takes_one_place
                a_summary_has_a_name_of_its_own_on_the_wire
                a_summary_says_the_same_on_every_attempt
                what_becomes_of_a_summary_becomes_of_all_in_it
                a_summary_that_is_tried_again_keeps_all_in_it_waiting
                a_summary_that_was_held_is_resumed_as_one
                a_summary_that_waits_is_paused_and_resumed_as_one
                a_summary_that_may_have_arrived_is_not_resumed
                a_lost_summary_that_must_not_arrive_twice_is_held_with_all_in_it
                a_replay_dissolves_the_summary
                a_replay_of_all_that_a_held_summary_held_sets_each_free
                what_was_refused_in_a_summary_is_replayed_by_itself
                giving_one_up_dissolves_the_summary
                a_summary_whose_leader_is_too_old_is_dissolved
                what_a_summary_on_the_wire_tells_of_is_left_alone
                a_storm_too_large_for_one_summary_goes_as_several
            }
            view {
                an_empty_ledger_has_nothing_to_do
                deliveries_are_found_by_their_ids
                what_is_held_says_what_sets_it_free
                status_counts_everything_that_waits
                what_is_due_is_due_now
                what_is_due_next_is_the_earliest_of_all_waits
                a_shut_lane_is_due_when_it_opens
                only_the_accounts_that_are_asked_for_are_due
                a_lease_is_due_when_it_ends_whosever_it_is
                a_full_lane_is_due_when_its_lease_ends
                what_waits_for_somebody_is_never_due
                deliveries_are_listed_in_the_order_they_were_recorded
                deliveries_are_found_by_event_and_by_state
                a_delivery_is_shown_as_it_is
                events_are_found_by_id_and_by_state
                what_waits_for_another_delivery_says_so
            }
            time {
                what_was_due_in_ten_seconds_stays_so
                what_was_due_is_still_due
                every_call_notices_that_the_clock_was_set_back
                ends_that_are_stamped_here_stay_in_their_order
                a_shut_lane_opens_when_it_would_have
                a_rate_goes_on_as_it_would_have
                a_lease_ends_when_it_would_have
                a_lease_holds_although_the_clock_was_set_back
                nothing_was_accepted_or_promised_in_the_future
                a_clock_may_be_set_back_again_and_again
                a_clock_that_trembles_moves_nothing
                a_clock_set_back_while_the_store_was_closed_delays_nothing
            }
            durable {
                an_accepted_event_survives
                everything_on_record_survives
                a_lease_survives_its_store
                a_pause_survives_and_a_resume_too
                a_conversation_survives
            }
            laws {
                whatever_is_done_the_laws_hold_for_single_deliveries
                whatever_is_done_the_laws_hold_in_conversations
                whatever_is_done_the_laws_hold_in_a_storm
                whatever_is_done_the_laws_hold_for_all_of_it
            }
        }
    };
    (@rules $open:expr; $($theme:ident { $($rule:ident)* })*) => {
        $($(
            #[test]
            fn $rule() {
                $crate::outbox::hold($open, $crate::outbox::$theme::$rule);
            }
        )*)*
    };
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_rule_is_in_the_suite() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let suite = fs::read_to_string(source.join("outbox.rs")).unwrap();
        let listed: Vec<&str> = suite.lines().map(str::trim).collect();
        let mut rules = 0;
        for file in fs::read_dir(source.join("outbox")).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            for line in text
                .lines()
                .filter(|line| line.ends_with("bench: Bench) {"))
            {
                let Some(rule) = line.strip_prefix("pub async fn ") else {
                    continue;
                };
                let (name, _) = rule.split_once('(').unwrap();
                assert!(listed.contains(&name), "{name} is not in the suite");
                rules += 1;
            }
        }
        assert!(rules > 100, "{rules} rules");
    }
}

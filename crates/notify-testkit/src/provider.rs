//! The contract of providers, each sentence of it as one test.
//!
//! [`conformance!`](crate::conformance) makes a test of each case; [`check`] runs them all and gives
//! a [`Report`]. The author of a provider writes one [`Fixture`]: what the suite cannot know.
//!
//! The contract as a page is `docs/specs/provider.md`.
//!
//! What fails says all that is needed to mend it:
//!
//! ```text
//! the provider of `toy` does not keep `wait_until_a_date_is_kept`
//!   contract: A wait that is named as a date MUST be counted from the context's clock.
//!   done:     delivered to a vendor that answers 429 with `Retry-After: Fri, 20 Nov 2026 23:58:16 GMT`
//!   expected: `NotDelivered`, `Throttled`, with a wait of 30s
//!   came:     NotDelivered { cause: Throttled, detail: "slow down", retry_after: None, scope: Lane }
//! ```
//!
//! A vendor that speaks neither HTTP nor SMTP is played by a [`Wire`] of one's own, whose
//! [`Vendor`] fills the counts of a [`Progress`](crate::fake::Progress).

mod bench;
mod case;
mod expected;
mod fixture;
mod log;
mod wire;

mod answer;
mod configure;
mod connect;
mod declare;
mod deliver;
mod payload;
mod plan;
mod repeat;
mod trouble;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};

use crate::provider::bench::{Bench, words_of};
use crate::provider::case::{Miss, Stop};
use crate::provider::log::Log;

pub use crate::provider::case::{Broken, Case, Report, Verdict};
pub use crate::provider::expected::Expected;
pub use crate::provider::fixture::{At, Fixture};
pub use crate::provider::wire::{Documented, Http, Scene, Smtp, Vendor, Wanted, Wire};

/// The themes of the contract, in the order of its page, with their cases.
pub fn themes() -> [(&'static str, &'static [Case]); 9] {
    [
        ("What a provider declares", declare::CASES),
        ("How an account is configured", configure::CASES),
        (
            "What an account answers before anything is sent",
            plan::CASES,
        ),
        ("The payload", payload::CASES),
        ("Connecting", connect::CASES),
        ("One attempt", deliver::CASES),
        ("What answers mean", answer::CASES),
        ("When no answer comes", trouble::CASES),
        ("Repeats and secrets", repeat::CASES),
    ]
}

/// Walks all cases in the order of the contract.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    themes().into_iter().flat_map(|(_, cases)| cases)
}

/// Runs every case, and gives what came of each.
///
/// It may be called from anywhere, a test of a runtime's included.
///
/// ```no_run
/// # fn fixture() -> notify_testkit::provider::Fixture { unimplemented!() }
/// let report = notify_testkit::provider::check(fixture());
/// println!("{report}");
/// report.assert();
/// ```
pub fn check(fixture: Fixture) -> Report {
    let fixture = Arc::new(fixture);
    let all = || {
        cases()
            .map(|case| (case.id, run(case, Arc::clone(&fixture))))
            .collect()
    };
    // A runtime cannot be made within another, and there may be one here.
    Report(match Handle::try_current() {
        Ok(_) => thread::scope(|scope| scope.spawn(all).join().unwrap()),
        Err(_) => all(),
    })
}

/// Runs one case as a test: panics where it does not hold, says so where it does not apply.
///
/// # Panics
///
/// When there is no such case, or when the provider does not hold it.
#[track_caller]
#[expect(
    clippy::print_stderr,
    reason = "a case that is skipped says so where people look"
)]
pub fn hold(fixture: Fixture, id: &str) {
    let case = cases().find(|case| case.id == id);
    let case = case.unwrap_or_else(|| panic!("the contract has no case `{id}`"));
    match run(case, Arc::new(fixture)) {
        Verdict::Held => {}
        Verdict::Skipped(why) => eprintln!("skipped `{id}`: {why}"),
        Verdict::Broken(broken) => panic!("{broken}"),
    }
}

/// Makes a test of each case of the contract: `conformance!(fixture())`.
///
/// The fixture is made anew for each test.
///
/// ```
/// # fn fixture() -> notify_testkit::provider::Fixture { unimplemented!() }
/// notify_testkit::conformance!(fixture());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance {
    ($fixture:expr $(,)?) => {
        $crate::conformance! { @cases $fixture;
            kind_is_a_name_that_files_hold
            kind_is_discovered
            summary_is_one_line
            example_of_a_recipient_loads
            notification_loads
            recipient_reads_back
            empty_recipient_is_refused
            options_read_back
            options_are_written_back
            option_keys_are_free
            unknown_option_is_refused
            options_schema_takes_the_notification
            older_options_load
            section_loads
            section_schema_takes_the_section
            unknown_setting_is_refused
            all_mistakes_are_reported_at_once
            inline_secret_is_refused_and_not_repeated
            secrets_are_named
            recipient_is_reached
            target_is_stable
            lane_can_be_shown
            deadline_is_bounded
            rate_is_bounded
            what_can_be_closed_is_a_conversation
            close_names_what_was_opened
            odd_receipt_harms_nothing
            payload_is_the_same_on_every_call
            payload_is_what_it_says
            payload_holds_the_headline
            empty_message_is_lowered
            text_below_the_limits_is_whole
            text_at_a_limit_fits
            text_above_a_limit_is_cut
            hostile_text_stays_text
            live_text_is_inert
            good_secrets_connect
            connect_opens_no_connection
            missing_secret_is_said
            malformed_secret_is_not_repeated
            debug_shows_no_secret
            success_is_delivered
            receipt_can_be_stored
            delivery_goes_to_its_recipient
            batch_has_an_outcome_for_each
            outcomes_match_their_deliveries
            empty_batch_sends_nothing
            one_call_is_one_attempt
            hostile_text_adds_no_line
            reconcile_is_announced
            documented_answers_have_their_outcomes
            wait_in_seconds_is_kept
            wait_until_a_date_is_kept
            absurd_wait_is_bounded
            error_page_is_temporary
            login_page_is_no_success
            redirect_is_not_followed
            garbage_is_unknown
            broken_answer_is_unknown
            endless_answer_is_not_read_out
            detail_is_one_bounded_line
            refused_connection_is_not_delivered
            unopened_connection_is_not_delivered
            silence_is_unknown
            silence_ends_before_the_deadline
            reset_is_unknown
            stalled_answer_is_unknown
            dripping_answer_ends_before_the_deadline
            dropped_attempt_leaves_nothing_running
            transport_outlives_a_dropped_attempt
            transport_outlives_a_panic
            idempotency_aid_is_stable
            idempotency_aid_differs
            echoed_secret_is_masked
            log_shows_no_secret
        }
    };
    (@cases $fixture:expr; $($id:ident)*) => {
        $(
            #[test]
            fn $id() {
                $crate::provider::hold($fixture, stringify!($id));
            }
        )*
    };
}

/// Runs one case on a runtime of its own, whose clock stands still.
fn run(case: &Case, fixture: Arc<Fixture>) -> Verdict {
    let kind = fixture.kind.clone();
    let log = Log::default();
    let bench = Bench::new(fixture, log.clone());
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let running = || runtime.block_on((case.run)(&bench));
    let came = tracing::subscriber::with_default(log, || catch_unwind(AssertUnwindSafe(running)));
    runtime.shutdown_background();
    let miss = match came {
        Ok(Ok(())) => return Verdict::Held,
        Ok(Err(Stop::Skip(why))) => return Verdict::Skipped(why),
        Ok(Err(Stop::Miss(miss))) => miss,
        Err(panic) => Miss {
            did: "ran the case".to_owned(),
            expected: "no panic".to_owned(),
            came: words_of(&*panic),
        },
    };
    Verdict::Broken(Box::new(Broken {
        case: case.id,
        sentence: case.sentence(),
        kind,
        did: miss.did,
        expected: miss.expected,
        came: miss.came,
    }))
}

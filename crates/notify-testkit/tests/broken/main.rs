//! Providers that are broken in one way each: the suite finds every one of them, by the right case.

#![cfg(test)]
mod flaw;
mod toy;
mod wire;

use std::collections::BTreeSet;
use std::thread;

use notify_testkit::provider::{Broken, Verdict, cases, check};

use crate::flaw::{Flaw, with};
use crate::toy::fixture;

#[test]
fn the_sound_toy_keeps_every_case() {
    let report = with(None, || check(fixture()));
    for (id, verdict) in report.verdicts() {
        assert_eq!(*verdict, Verdict::Held, "{id}");
    }
}

#[test]
fn every_flaw_is_found_by_its_case_and_by_no_other() {
    let wrong = |(flaw, case): &(Flaw, &str)| {
        let report = with(Some(*flaw), || check(fixture()));
        let found: Vec<&str> = report.broken().map(|broken| broken.case).collect();
        let said = format!("{flaw:?} is found by {found:?}, not by {case}: {report}");
        (found != [*case]).then_some(said)
    };
    // Some flaws cost the suite its patience; they do so side by side.
    let wrong: Vec<String> = thread::scope(|scope| {
        let run = |flaws: &'static [_]| {
            scope.spawn(move || flaws.iter().filter_map(wrong).collect::<Vec<_>>())
        };
        let running: Vec<_> = Flaw::ALL.chunks(6).map(run).collect();
        let ended = running.into_iter().map(|thread| thread.join().unwrap());
        ended.flatten().collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_case_finds_a_flaw() {
    let found: BTreeSet<&str> = Flaw::ALL.iter().map(|(_, case)| *case).collect();
    let all: BTreeSet<&str> = cases().map(|case| case.id).collect();
    assert_eq!(found, all);
}

#[test]
fn what_is_said_of_a_flaw_is_enough_to_mend_it() {
    let report = with(Some(Flaw::WaitDate), || check(fixture()));
    let broken: Vec<&Broken> = report.broken().collect();
    let expected = "the provider of `toy` does not keep `wait_until_a_date_is_kept`
  contract: A wait that is named as a date MUST be counted from the context's clock.
  done:     delivered to a vendor that answers 429 with `Retry-After: Fri, 20 Nov 2026 23:58:16 GMT`
  expected: `NotDelivered`, `Throttled`, with a wait of 30s
  came:     NotDelivered { cause: Throttled, detail: \"slow down\", retry_after: None, scope: Lane }";
    assert_eq!(broken[0].to_string(), expected);
}

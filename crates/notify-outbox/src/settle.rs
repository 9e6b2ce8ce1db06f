//! From outcome to state: the rules of retry, pause and end, as one pure function.

use std::time::Duration;

use notify_core::{
    AccountId, Cause, DeliveryId, IfUnknown, Outcome, Receipt, Scope, Timestamp, time,
};

/// How long deliveries are repeated, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The wait after the first attempt that failed.
    pub first_wait: Duration,
    /// The longest wait between attempts; each wait is twice the one before.
    pub longest_wait: Duration,
    /// The age at which a delivery is of no use any more.
    pub max_age: Duration,
    /// The wait after the first throttled attempt where the vendor names none; it doubles.
    pub throttled_wait: Duration,
    /// The longest that a vendor's `Retry-After` is obeyed.
    pub longest_retry_after: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(2),
            longest_wait: Duration::from_mins(15),
            max_age: Duration::from_hours(24),
            throttled_wait: Duration::from_mins(1),
            longest_retry_after: Duration::from_hours(1),
        }
    }
}

impl Policy {
    /// Returns the wait after this many attempts, for a random number between 0 and 1.
    ///
    /// Between half the full wait and all of it, so that engines that failed together spread out.
    fn backoff(&self, first: Duration, attempts: u32, random: f64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        let full = first.saturating_mul(1 << doublings).min(self.longest_wait);
        full.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

/// Where a delivery goes after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The vendor took it.
    Delivered(Receipt),
    /// It is tried again after a while.
    Pending {
        /// The while.
        after: Duration,
    },
    /// The vendor will never take it.
    Rejected,
    /// It grew too old.
    Expired,
    /// It waits, and not for its time.
    Held(Release),
}

/// What sets a held delivery free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The account works again.
    Account,
    /// Somebody replays it.
    Replay,
}

/// A wait for others than the delivery itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What it applies to.
    pub scope: Scope,
    /// How long.
    pub after: Duration,
}

/// A pause that lasts until the account is resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// What it applies to.
    pub scope: Scope,
    /// What is wrong.
    pub reason: String,
}

/// What one outcome means for the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Where the delivery goes.
    pub next: Next,
    /// Whether the attempt counts against the delivery.
    pub counts: bool,
    /// Whether the delivery may have arrived.
    pub unsure: bool,
    /// Whether nobody answered; see [`quiet`].
    pub silent: bool,
    /// What else has to wait.
    pub wait: Option<Wait>,
    /// What is paused, and why.
    pub pause: Option<Pause>,
    /// Why the delivery is not delivered.
    pub reason: Option<String>,
}

/// What a delivery has behind it when an attempt is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Attempts that counted, without this one.
    pub attempts: u32,
    /// Attempts of any kind, without this one.
    pub tries: u32,
    /// How long it has been promised.
    pub age: Duration,
    /// What is done when nobody knows whether it arrived.
    pub if_unknown: IfUnknown,
}

/// How many silent attempts in a row make a lane quiet.
pub const SILENT_ATTEMPTS: u32 = 3;

/// Returns how long a lane is left alone after so many attempts in a row that nobody answered;
/// `None` while there are too few of them to tell.
///
/// A quiet lane sends one delivery at a time, so that a dead vendor takes neither the places of the
/// living nor the attempts of everything that waits for it. The first answer of any kind ends it.
/// A lane that was paused begins as a quiet one: where nothing has been mended, one delivery finds
/// that out for all.
pub fn quiet(silent_attempts: u32) -> Option<Duration> {
    let over = silent_attempts.checked_sub(SILENT_ATTEMPTS)?;
    let wait = Duration::from_secs(5).saturating_mul(1 << over.min(10));
    Some(wait.min(Duration::from_mins(1)))
}

/// Decides what one outcome means; `random` is between 0 and 1.
pub fn decide(outcome: &Outcome, tried: Tried, policy: &Policy, random: f64) -> Decision {
    let age = tried.age;
    let silent = match outcome {
        Outcome::NotDelivered { cause, .. } | Outcome::Unknown { cause, .. } => {
            matches!(cause, Cause::Connect | Cause::Timeout)
        }
        _ => false,
    };
    let unsure = matches!(outcome, Outcome::Unknown { .. });
    let again = |after: Duration, reason: String, counts: bool, wait: Option<Wait>| {
        let too_late = age.saturating_add(after) > policy.max_age;
        let expired = || format!("gave up after {}; {reason}", time::words(age));
        Decision {
            next: if too_late {
                Next::Expired
            } else {
                Next::Pending { after }
            },
            counts,
            unsure,
            silent,
            wait,
            pause: None,
            reason: Some(if too_late { expired() } else { reason }),
        }
    };
    let why = |name: &str, detail: &str| match detail {
        "" => name.to_owned(),
        detail => format!("{name}: {detail}"),
    };
    match outcome {
        Outcome::Delivered(receipt) => Decision {
            next: Next::Delivered(receipt.clone()),
            counts: true,
            unsure,
            silent,
            wait: None,
            pause: None,
            reason: None,
        },
        Outcome::NotDelivered {
            cause,
            detail,
            retry_after,
            scope,
        } => {
            let asked = retry_after.map(|after| after.min(policy.longest_retry_after));
            let throttled = *cause == Cause::Throttled;
            let backoff = if throttled {
                policy.backoff(policy.throttled_wait, tried.tries + 1, random)
            } else {
                policy.backoff(policy.first_wait, tried.attempts + 1, random)
            };
            let after = match asked {
                Some(asked) if throttled => asked,
                Some(asked) => asked.max(backoff),
                None => backoff,
            };
            let gates = throttled || retry_after.is_some();
            let wait = gates.then_some(Wait {
                scope: *scope,
                after,
            });
            again(after, why(cause.name(), detail), !throttled, wait)
        }
        Outcome::Unknown { cause, detail } => {
            let after = policy.backoff(policy.first_wait, tried.attempts + 1, random);
            let reason = why(&format!("unknown ({})", cause.name()), detail);
            match tried.if_unknown {
                IfUnknown::Resend => again(after, reason, true, None),
                IfUnknown::Hold => Decision {
                    next: Next::Held(Release::Replay),
                    ..again(after, reason.clone(), true, None).because(reason)
                },
            }
        }
        Outcome::Rejected {
            reason,
            detail,
            scope,
        } => {
            let said = why(reason.name(), detail);
            let held = reason.is_accounts_fault();
            Decision {
                next: if held {
                    Next::Held(Release::Account)
                } else {
                    Next::Rejected
                },
                counts: true,
                unsure,
                silent,
                wait: None,
                pause: held.then(|| Pause {
                    scope: *scope,
                    reason: said.clone(),
                }),
                reason: Some(said),
            }
        }
        // A provider built against a newer core may know an outcome that this one does not.
        other => again(
            policy.longest_wait,
            why("unknown outcome", other.name()),
            true,
            None,
        ),
    }
}

impl Decision {
    fn because(mut self, reason: String) -> Self {
        self.reason = Some(reason);
        self
    }
}

/// Decides that a delivery is held by itself, because its record is of no use to this program.
pub fn hold(reason: String) -> Decision {
    Decision {
        next: Next::Held(Release::Account),
        counts: false,
        unsure: false,
        silent: false,
        wait: None,
        pause: None,
        reason: Some(reason),
    }
}

/// How far ahead of the clock a store stamps ends, so that they stay in order when the clock is set
/// back. A clock that is set back further was wrong before, and is believed.
const STAMPED_AHEAD: Duration = Duration::from_hours(2);

/// Returns when an event ended that does not say so: now, or just after the `last` end that was
/// stamped this way.
pub fn stamp(last: Timestamp, now: Timestamp) -> Timestamp {
    let next = last.after(Duration::from_micros(1));
    if next <= now.after(STAMPED_AHEAD) {
        next.max(now)
    } else {
        now
    }
}

/// What is written when an attempt is over, in one transaction.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The lease under which it was sent.
    pub token: i64,
    /// The account.
    pub account: AccountId,
    /// What came of it.
    pub outcome: Outcome,
    /// What that means.
    pub decision: Decision,
    /// How long the attempt took.
    pub took: Duration,
}

#[cfg(test)]
mod tests {
    use notify_core::Reason;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn after(outcome: &Outcome, attempts: u32, age: Duration) -> Decision {
        let tries = attempts;
        let tried = Tried {
            attempts,
            tries,
            age,
            if_unknown: IfUnknown::Resend,
        };
        decide(outcome, tried, &Policy::default(), 1.0)
    }

    #[test]
    fn waits_double_up_to_the_longest_and_spread_over_half_of_it() {
        let policy = Policy::default();
        let waits: Vec<u64> = (1..=12)
            .map(|n| policy.backoff(policy.first_wait, n, 1.0).as_secs())
            .collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(
            policy.backoff(policy.first_wait, 3, 0.0),
            Duration::from_secs(4)
        );
        assert_eq!(
            policy.backoff(policy.first_wait, u32::MAX, 1.0),
            policy.longest_wait
        );
    }

    #[test]
    fn a_throttled_attempt_costs_nothing_and_moves_the_lane() {
        let outcome = Outcome::throttled("slow down", Some(MINUTE), Scope::Lane);
        let decision = after(&outcome, 3, MINUTE);
        assert_eq!(decision.next, Next::Pending { after: MINUTE });
        assert!(!decision.counts);
        assert_eq!(
            decision.wait,
            Some(Wait {
                scope: Scope::Lane,
                after: MINUTE
            })
        );
    }

    #[test]
    fn a_vendor_that_names_no_wait_is_left_alone_longer_each_time() {
        let outcome = Outcome::throttled("450 4.2.1", None, Scope::Lane);
        let waits = [0, 1, 2].map(|tries| after(&outcome, tries, MINUTE).wait.unwrap().after);
        assert_eq!(waits, [MINUTE, 2 * MINUTE, 4 * MINUTE]);
    }

    #[test]
    fn an_absurd_retry_after_is_capped() {
        let outcome = Outcome::throttled("", Some(Duration::from_hours(1000)), Scope::Account);
        let decision = after(&outcome, 0, MINUTE);
        assert_eq!(
            decision.next,
            Next::Pending {
                after: Duration::from_hours(1)
            }
        );
    }

    #[test]
    fn bad_credentials_hold_the_delivery_and_pause_the_account() {
        for reason in [Reason::Auth, Reason::Config] {
            let decision = after(&Outcome::rejected(reason, "invalid_auth"), 0, MINUTE);
            assert_eq!(decision.next, Next::Held(Release::Account));
            let pause = decision.pause.unwrap();
            assert!(pause.reason.contains("invalid_auth"));
            assert_eq!(pause.scope, Scope::Account);
        }
        let one_key = Outcome::rejected(Reason::Auth, "invalid routing key").in_lane();
        let decision = after(&one_key, 0, MINUTE);
        assert_eq!(decision.next, Next::Held(Release::Account));
        assert_eq!(decision.pause.unwrap().scope, Scope::Lane);
        for reason in [Reason::Payload, Reason::Destination, Reason::Policy] {
            let decision = after(&Outcome::rejected(reason, "no"), 0, MINUTE);
            assert_eq!((decision.next, decision.pause), (Next::Rejected, None));
        }
    }

    #[test]
    fn everything_that_is_not_delivered_has_a_reason_and_ends_some_day() {
        let outcomes = [
            Outcome::not_delivered(Cause::Connect, "refused"),
            Outcome::throttled("", None, Scope::Lane),
            Outcome::unknown(Cause::Timeout, "no answer"),
        ];
        for outcome in outcomes {
            let young = after(&outcome, 2, MINUTE);
            assert!(matches!(young.next, Next::Pending { .. }));
            assert!(young.reason.is_some());
            let old = after(&outcome, 2, Duration::from_hours(24));
            assert_eq!(old.next, Next::Expired);
            assert!(old.reason.unwrap().contains("gave up after 1d"));
        }
    }

    #[test]
    fn what_may_have_arrived_is_sent_again_or_held_as_it_was_declared() {
        let outcome = Outcome::unknown(Cause::Timeout, "no answer");
        let resent = after(&outcome, 0, MINUTE);
        assert!(matches!(resent.next, Next::Pending { .. }) && resent.unsure && resent.silent);
        let tried = Tried {
            age: Duration::from_hours(30),
            if_unknown: IfUnknown::Hold,
            ..Tried::default()
        };
        let held = decide(&outcome, tried, &Policy::default(), 1.0);
        assert_eq!(held.next, Next::Held(Release::Replay));
        assert_eq!(held.reason.as_deref(), Some("unknown (timeout): no answer"));
    }

    #[test]
    fn stamps_never_run_backwards_when_a_clock_is_set_back_a_little() {
        let at = |minutes: i64| Timestamp::from_micros(minutes * 60_000_000);
        let just_after = |instant: Timestamp| instant.after(Duration::from_micros(1));
        assert_eq!(stamp(at(10), at(20)), at(20));
        assert_eq!(stamp(at(20), at(20)), just_after(at(20)));
        assert_eq!(stamp(at(80), at(20)), just_after(at(80)));
        assert_eq!(stamp(at(2_000), at(20)), at(20));
    }

    #[test]
    fn a_lane_that_never_answers_is_left_alone_longer_and_longer() {
        let waits: Vec<Option<u64>> = [0, 2, 3, 4, 5, 6, 7, u32::MAX]
            .map(|attempts| quiet(attempts).map(|wait| wait.as_secs()))
            .to_vec();
        let expected = [
            None,
            None,
            Some(5),
            Some(10),
            Some(20),
            Some(40),
            Some(60),
            Some(60),
        ];
        assert_eq!(waits, expected);
        assert!(after(&Outcome::not_delivered(Cause::Connect, ""), 0, MINUTE).silent);
        assert!(!after(&Outcome::not_delivered(Cause::Unavailable, ""), 0, MINUTE).silent);
    }
}

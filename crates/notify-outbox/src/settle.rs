//! From outcome to state: the rules of retry, pause and end, as one pure function.

use std::time::Duration;

use notify_core::{AccountId, Cause, DeliveryId, Outcome, Receipt, Scope, time};

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
    /// It waits until its account works again.
    Held,
}

/// A wait for others than the delivery itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What it applies to.
    pub scope: Scope,
    /// How long.
    pub after: Duration,
}

/// What one outcome means for the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Where the delivery goes.
    pub next: Next,
    /// Whether the attempt counts against the delivery.
    pub counts: bool,
    /// What else has to wait.
    pub wait: Option<Wait>,
    /// Why the account is paused, where it is.
    pub pause: Option<String>,
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
}

/// Decides what one outcome means; `random` is between 0 and 1.
pub fn decide(outcome: &Outcome, tried: Tried, policy: &Policy, random: f64) -> Decision {
    let age = tried.age;
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
            again(after, reason, true, None)
        }
        Outcome::Rejected {
            reason,
            detail,
            scope,
        } => {
            let said = why(reason.name(), detail);
            let held = reason.is_accounts_fault();
            let pauses = held && *scope == Scope::Account;
            Decision {
                next: if held { Next::Held } else { Next::Rejected },
                counts: true,
                wait: None,
                pause: pauses.then(|| said.clone()),
                reason: Some(said),
            }
        }
        // A provider built against a newer core may know an outcome that this engine does not.
        other => again(
            policy.longest_wait,
            why("unknown outcome", other.name()),
            true,
            None,
        ),
    }
}

/// Decides that a delivery is held by itself, because its record is of no use to this program.
pub fn hold(reason: String) -> Decision {
    Decision {
        next: Next::Held,
        counts: false,
        wait: None,
        pause: None,
        reason: Some(reason),
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
            assert_eq!(decision.next, Next::Held);
            assert!(decision.pause.unwrap().contains("invalid_auth"));
        }
        let one_key = Outcome::rejected(Reason::Auth, "invalid routing key").in_lane();
        let decision = after(&one_key, 0, MINUTE);
        assert_eq!((decision.next, decision.pause), (Next::Held, None));
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
}

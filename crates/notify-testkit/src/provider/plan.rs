//! What an account answers before anything is sent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use notify_core::{Payload, Receipt};

use crate::provider::bench::{MARK, Sample, message};
use crate::provider::case::{cases, ensure, miss, skip};

/// The longest deadline that a lease may be kept for.
const LONGEST: Duration = Duration::from_mins(15);

cases! {
    /// A recipient that a notification names MUST have a target, or a problem that says why not.
    async fn recipient_is_reached(bench) {
        let account = bench.account(bench.nowhere())?;
        let (notification, to) = (bench.notification()?, bench.recipient()?);
        match account.target(&notification, &to) {
            Ok(_) => Ok(()),
            Err(problem) => Err(miss(
                format!("asked the fixture's account for the target of {to:?}"),
                "a target",
                problem.to_string(),
            )),
        }
    }

    /// A recipient MUST have the same lane and the same conversation whenever the account is asked.
    async fn target_is_stable(bench) {
        let account = bench.account(bench.nowhere())?;
        let again = bench.account(bench.nowhere())?;
        let first = bench.target(&*account)?;
        for target in [bench.target(&*account)?, bench.target(&*again)?] {
            ensure(
                target == first,
                "asked for the target of one recipient several times",
                format!("{first:?}"),
                || format!("{target:?}"),
            )?;
        }
        Ok(())
    }

    /// A lane MUST be at most 255 bytes on one line and MUST NOT hold a secret: the ledger shows it.
    async fn lane_can_be_shown(bench) {
        let at = bench.nowhere();
        let account = bench.account(at)?;
        let lane = bench.target(&*account)?.lane;
        let plain = lane.len() <= 255 && !lane.contains(char::is_control);
        ensure(
            plain && bench.fixture().secrets(at).leak(&lane).is_none(),
            "asked for the lane of the fixture's recipient",
            "at most 255 bytes, no control character, no secret",
            || format!("{lane:?}"),
        )
    }

    /// The deadline of an attempt MUST be longer than nothing and at most 15 minutes: a lease lasts as long.
    async fn deadline_is_bounded(bench) {
        let deadline = bench.account(bench.nowhere())?.deadline();
        ensure(
            deadline > Duration::ZERO && deadline <= LONGEST,
            "asked the account for its deadline",
            "more than 0s and at most 15min",
            || format!("{deadline:?}"),
        )
    }

    /// A rate MUST leave a lane between one delivery an hour and one each microsecond.
    async fn rate_is_bounded(bench) {
        let Some(rate) = bench.account(bench.nowhere())?.limits().lane else {
            return Err(skip("the account names no rate"));
        };
        ensure(
            rate.every >= Duration::from_micros(1) && rate.every <= Duration::from_hours(1),
            "asked the account for the rate of a lane",
            "from 1µs to 1h between two deliveries",
            || format!("{:?}", rate.every),
        )
    }

    /// An account that announces `closes` MUST put what it opens into a conversation.
    async fn what_can_be_closed_is_a_conversation(bench) {
        let account = bench.account(bench.nowhere())?;
        if !account.capabilities().closes {
            return Err(skip("the account does not announce `closes`"));
        }
        let target = bench.target(&*account)?;
        ensure(
            target.conversation.is_some(),
            "asked an account that closes for the target of a recipient",
            "a target with a conversation",
            || format!("{target:?}"),
        )
    }

    /// What closes MUST name what was opened, by the conversation's key or by the receipt, and differ from what opens it.
    async fn close_names_what_was_opened(bench) {
        let account = bench.account(bench.nowhere())?;
        if !account.capabilities().closes {
            return Err(skip("the account does not announce `closes`"));
        }
        if bench.target(&*account)?.conversation.is_none() {
            return Err(skip("there is no conversation: see `what_can_be_closed_is_a_conversation`"));
        }
        let open = Sample::numbered(1);
        let close = Sample::numbered(1).closing().after(opened());
        let opens = bench.payload(&*account, &open, &message(MARK))?;
        let closes = bench.payload(&*account, &close, &message(MARK))?;
        let holds = |payload: &Payload, text: &str| {
            String::from_utf8_lossy(&payload.body).contains(text)
        };
        let key = &open.conversation;
        ensure(
            holds(&closes, OPENED) || (holds(&opens, key) && holds(&closes, key)),
            "lowered an opening and a closing of one conversation",
            format!("the key `{key}` in both, or the receipt's `{OPENED}` in what closes"),
            || String::from_utf8_lossy(&closes.body).into_owned(),
        )?;
        ensure(
            opens != closes,
            "lowered an opening and a closing of one conversation",
            "two payloads",
            || String::from_utf8_lossy(&opens.body).into_owned(),
        )
    }

    /// A receipt that lacks what the provider writes today MUST NOT keep a delivery from being lowered: an older version wrote it.
    async fn odd_receipt_harms_nothing(bench) {
        let account = bench.account(bench.nowhere())?;
        if bench.target(&*account)?.conversation.is_none() {
            return Err(skip("the fixture's notification opens no conversation"));
        }
        for receipt in [Receipt::new(""), Receipt::new("\u{0}\n⟨").fact("", "\u{202e}")] {
            for sample in [Sample::numbered(1), Sample::numbered(1).closing()] {
                let lower = || bench.payload(&*account, &sample.after(receipt.clone()), &message(MARK));
                let lowered = catch_unwind(AssertUnwindSafe(lower));
                let lowered = lowered.unwrap_or_else(|_| {
                    Err(miss(
                        format!("lowered a delivery after one with the receipt {receipt:?}"),
                        "a payload",
                        "a panic",
                    ))
                })?;
                ensure(
                    !lowered.body.is_empty(),
                    format!("lowered a delivery after one with the receipt {receipt:?}"),
                    "a payload",
                    || "an empty body".to_owned(),
                )?;
            }
        }
        Ok(())
    }
}

/// What the vendor calls what was opened.
const OPENED: &str = "1503435956.000247";

/// The receipt of what was opened.
fn opened() -> Receipt {
    Receipt::new(OPENED).fact("channel", "C024BE91L")
}

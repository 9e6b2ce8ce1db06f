//! What an account answers before anything is sent.

use std::time::Duration;

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

    /// An account that can close MUST put what it opens into a conversation.
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

    /// What closes MUST name the conversation that was opened, and differ from what opens it.
    async fn close_names_what_was_opened(bench) {
        let account = bench.account(bench.nowhere())?;
        if !account.capabilities().closes {
            return Err(skip("the account does not announce `closes`"));
        }
        if bench.target(&*account)?.conversation.is_none() {
            return Err(skip("there is no conversation: see `what_can_be_closed_is_a_conversation`"));
        }
        let (open, close) = (Sample::numbered(1), Sample::numbered(1).closing());
        let opens = bench.payload(&*account, &open, &message(MARK))?;
        let closes = bench.payload(&*account, &close, &message(MARK))?;
        for payload in [&opens, &closes] {
            let body = String::from_utf8_lossy(&payload.body);
            ensure(
                body.contains(&open.conversation),
                "lowered an opening and a closing of one conversation",
                format!("the key `{}` in both", open.conversation),
                || body.to_string(),
            )?;
        }
        ensure(
            opens != closes,
            "lowered an opening and a closing of one conversation",
            "two payloads",
            || String::from_utf8_lossy(&opens.body).into_owned(),
        )
    }
}

//! Connections that do not open, answers that do not come, attempts that are dropped.

use std::fmt;
use std::panic::resume_unwind;

use notify_core::{Clock, Outcome, Timestamp};

use crate::provider::bench::{MARK, Stage, message, tasks};
use crate::provider::case::{Held, cases, ensure, miss};
use crate::provider::wire::Scene;

cases! {
    /// A connection that is refused MUST be `NotDelivered`: nothing has left.
    async fn refused_connection_is_not_delivered(bench) {
        let outcome = bench.refused()?.deliver().await?;
        ensure(
            matches!(outcome, Outcome::NotDelivered { .. }),
            "delivered to an address where nobody listens",
            "`NotDelivered`",
            || format!("{outcome:?}"),
        )
    }

    /// A connection that does not open in time MUST be `NotDelivered`: it needs a limit of its own, shorter than the deadline.
    async fn unopened_connection_is_not_delivered(bench) {
        let stage = bench.unopened()?;
        let attempt = stage.attempt(&[stage.prepared(1, &message(MARK))?]).await?;
        let outcome = attempt.only()?;
        ensure(
            matches!(outcome, Outcome::NotDelivered { .. }),
            "delivered to an address where connections are neither taken nor refused",
            "`NotDelivered` before the deadline",
            || format!("{outcome:?}"),
        )
    }

    /// Silence after the request has left MUST be `Unknown`.
    async fn silence_is_unknown(bench) {
        unknown(&bench.stage(&Scene::FallsSilent)?, "that hears the request and says nothing").await
    }

    /// An attempt MUST end by itself before the account's deadline: who cuts it off knows less of it.
    async fn silence_ends_before_the_deadline(bench) {
        let stage = bench.stage(&Scene::FallsSilent)?;
        let attempt = stage.attempt(&[stage.prepared(1, &message(MARK))?]).await?;
        ensure(
            attempt.in_time,
            "delivered to a vendor that hears the request and says nothing",
            format!("an outcome within {:?}, the account's deadline", stage.account.deadline()),
            || "none until the suite cut it off".to_owned(),
        )
    }

    /// A connection that is reset after the request has left MUST be `Unknown`.
    async fn reset_is_unknown(bench) {
        unknown(&bench.stage(&Scene::Resets)?, "that hears the request and resets the connection").await
    }

    /// An answer that stops in the middle MUST be `Unknown`, before the deadline.
    async fn stalled_answer_is_unknown(bench) {
        unknown(&bench.stage(&Scene::Stalls)?, "that stops in the middle of its answer").await
    }

    /// An answer that drips MUST NOT keep an attempt beyond the deadline: each byte in time is not the whole in time.
    async fn dripping_answer_ends_before_the_deadline(bench) {
        let stage = bench.stage(&Scene::Drips)?;
        let attempt = stage.attempt(&[stage.prepared(1, &message(MARK))?]).await?;
        ensure(
            attempt.in_time,
            "delivered to a vendor whose answer comes a byte at a time, for longer than the deadline",
            format!("an outcome within {:?}, the account's deadline", stage.account.deadline()),
            || "none until the suite cut it off".to_owned(),
        )
    }

    /// An attempt that is dropped MUST leave nothing running: no task, no connection, no further request.
    async fn dropped_attempt_leaves_nothing_running(bench) {
        let before = tasks(0).await;
        let stage = bench.stage(&Scene::FallsSilent)?;
        let batch = [stage.prepared(1, &message(MARK))?];
        if !stage.cancelled(&batch).await? {
            return Err(miss(DROPPED, "an attempt that waits for the answer", "an outcome"));
        }
        let vendor = stage.vendor()?;
        let closed = bench.patiently(vendor.until(&|seen| seen.open == 0)).await;
        let (requests, left) = (vendor.requests().len(), tasks(before).await);
        let calls = bench.wire()?.calls();
        ensure(
            closed.is_some() && requests <= calls && left <= before,
            DROPPED,
            format!("every connection closed, at most {calls} requests, {before} tasks"),
            || {
                let open = vendor.progress().open;
                format!("{open} connections open, {requests} requests, {left} tasks")
            },
        )
    }

    /// A transport MUST go on after an attempt was dropped.
    async fn transport_outlives_a_dropped_attempt(bench) {
        let stage = bench.stage(&Scene::FallsSilent)?;
        let batch = [stage.prepared(1, &message(MARK))?];
        if !stage.cancelled(&batch).await? {
            // Another case tells of it.
            return Ok(());
        }
        let before = stage.vendor()?.requests().len();
        let outcome = stage.deliver().await?;
        ensure(
            stage.vendor()?.requests().len() > before,
            "dropped an attempt, and delivered again through the same transport",
            "a second request",
            || format!("{outcome:?}"),
        )
    }

    /// A transport MUST go on after a panic within an attempt, which the engine catches.
    async fn transport_outlives_a_panic(bench) {
        let stage = bench.stage(&Scene::Throttles("Fri, 20 Nov 2026 23:58:16 GMT".to_owned()))?;
        let batch = [stage.prepared(1, &message(MARK))?];
        // Whether it asks for the time at all is the provider's affair.
        stage.attempt_raw(&batch, 1, &Panicking).await.ok();
        let before = stage.vendor()?.requests().len();
        let outcome = stage.deliver().await?;
        ensure(
            stage.vendor()?.requests().len() > before,
            "delivered with a clock that panics, and then again with one that does not",
            "a second request",
            || format!("{outcome:?}"),
        )
    }
}

const DROPPED: &str = "delivered to a vendor that says nothing, and dropped the attempt there";

async fn unknown(stage: &Stage<'_>, what: &str) -> Held {
    let attempt = stage.attempt(&[stage.prepared(1, &message(MARK))?]).await?;
    let outcome = attempt.only()?;
    ensure(
        matches!(outcome, Outcome::Unknown { .. }),
        format!("delivered to a vendor {what}"),
        "`Unknown`",
        || format!("{outcome:?}"),
    )
}

/// A clock that nobody can read.
struct Panicking;

impl fmt::Debug for Panicking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Panicking")
    }
}

impl Clock for Panicking {
    fn now(&self) -> Timestamp {
        // Not by `panic!`, whose message would look like a fault of somebody's.
        resume_unwind(Box::new("this clock cannot be read"))
    }
}

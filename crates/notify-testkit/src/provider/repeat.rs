//! What makes a repeat harmless, and what is never told.

use notify_core::Prepared;

use crate::provider::bench::{Bench, MARK, message};
use crate::provider::case::{Held, cases, ensure, miss, skip};
use crate::provider::deliver::staged;
use crate::provider::wire::Scene;

cases! {
    /// The vendor's idempotency aid MUST be the same on every attempt of a delivery.
    async fn idempotency_aid_is_stable(bench) {
        let first = aid(bench, 1, 1).await?;
        let second = aid(bench, 1, 2).await?;
        ensure(
            first == second,
            "delivered one delivery in two attempts",
            "the same idempotency aid in both requests",
            || format!("`{first}` and `{second}`"),
        )
    }

    /// The vendor's idempotency aid MUST differ between deliveries: one that is swallowed is lost.
    async fn idempotency_aid_differs(bench) {
        let first = aid(bench, 1, 1).await?;
        let second = aid(bench, 2, 1).await?;
        ensure(
            first != second,
            "delivered two deliveries",
            "two idempotency aids",
            || format!("`{first}` twice"),
        )
    }

    /// An outcome MUST NOT repeat a secret that the vendor's answer repeats.
    async fn echoed_secret_is_masked(bench) {
        let stage = bench.stage(&Scene::Echoes)?;
        let vault = bench.vault(stage.at)?;
        let outcome = stage.deliver().await?;
        let said = format!("{outcome:?}");
        ensure(
            vault.leak(&said).is_none(),
            "delivered to a vendor that refuses, and repeats all that it was told",
            "an outcome without a secret",
            || said,
        )
    }

    /// What is logged, at any level, MUST NOT hold a secret.
    async fn log_shows_no_secret(bench) {
        let mut vaults = vec![bench.vault(bench.nowhere())?];
        let refused = bench.offstage()?;
        refused.deliver().await?;
        for scene in [Scene::Takes, Scene::Echoes, Scene::Resets] {
            if bench.wire().is_err() {
                break;
            }
            let Some(stage) = staged(bench.stage(&scene))? else {
                continue;
            };
            vaults.push(bench.vault(stage.at)?);
            stage.deliver().await?;
        }
        let log = bench.log.text();
        for vault in vaults {
            let line = log.lines().find(|line| vault.leak(line).is_some());
            ensure(
                line.is_none(),
                "delivered, and captured what was logged through `tracing`",
                "no secret in it",
                || line.unwrap_or_default().to_owned(),
            )?;
        }
        Ok(())
    }
}

/// Makes an attempt and finds the aid in its last request.
async fn aid(bench: &Bench, number: u128, attempt: u32) -> Held<String> {
    let Some(aid) = &bench.fixture().aid else {
        return Err(skip("the fixture names no idempotency aid"));
    };
    let stage = bench.stage(&Scene::Takes)?;
    let batch: [Prepared; 1] = [stage.prepared(number, &message(MARK))?];
    stage.attempt_with(&batch, attempt, &bench.clock).await?;
    let requests = stage.vendor()?.requests();
    let did = "delivered, and looked for the idempotency aid in the request";
    requests
        .last()
        .and_then(aid)
        .ok_or_else(|| miss(did, "an aid", format!("none in {requests:?}")))
}

//! `notify outbox replay` and `notify outbox drop`: deciding about what is stuck.

use std::collections::{BTreeMap, BTreeSet};

use workflow_notify::core::DeliveryId;
use workflow_notify::outbox::{DeliveryQuery, DeliveryRecord, DeliveryState, Outbox, OutboxError};

use crate::args::{DropArgs, ReplayArgs};
use crate::ledger::{failed, open, write};
use crate::report;
use crate::setup::Refused;

/// How many deliveries are changed in one transaction.
const AT_ONCE: usize = 1_000;

pub(crate) async fn replay(args: ReplayArgs) -> Result<bool, Refused> {
    let outbox = open(&args.config)?;
    let replay = async |ids| outbox.replay(ids).await;
    if args.states.is_empty() {
        let changed = change(&args.ids, "replayed", replay).await?;
        return explain(&outbox, changed, |state| match state {
            DeliveryState::Leased => "it may be on the wire; wait until that is settled",
            DeliveryState::Delivered => "it has arrived",
            DeliveryState::Superseded => "a later delivery made it pointless",
            _ => {
                "it was not to be sent; what is pending, held, rejected or expired can be replayed"
            }
        })
        .await;
    }
    let query = DeliveryQuery::latest(usize::MAX).states(&args.states);
    let found = outbox.deliveries(query).await.map_err(|err| failed(&err))?;
    let ids: Vec<DeliveryId> = found.into_iter().map(|record| record.id).collect();
    if ids.is_empty() {
        report::say("nothing is in this state");
    }
    // What is left alone was settled in between.
    let changed = change(&ids, "replayed", replay).await?;
    Ok(changed.is_written)
}

pub(crate) async fn drop(args: DropArgs) -> Result<bool, Refused> {
    let outbox = open(&args.config)?;
    let drop = async |ids| outbox.drop(ids, args.reason.clone()).await;
    let changed = change(&args.ids, "dropped", drop).await?;
    explain(&outbox, changed, |state| match state {
        DeliveryState::Leased => "it may be on the wire; wait until that is settled",
        _ => "nothing will send it; what is pending or held can be dropped",
    })
    .await
}

/// What became of deliveries that were to be changed.
struct Changed {
    /// Those that were not.
    left_alone: Vec<DeliveryId>,
    /// Whether standard output took what was said of the others.
    is_written: bool,
}

/// Changes deliveries, and answers for each that was changed.
async fn change(
    ids: &[DeliveryId],
    done: &str,
    change: impl AsyncFn(Vec<DeliveryId>) -> Result<Vec<DeliveryId>, OutboxError>,
) -> Result<Changed, Refused> {
    let mut seen = BTreeSet::new();
    let ids: Vec<DeliveryId> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
    let (mut left_alone, mut is_written) = (Vec::new(), true);
    for part in ids.chunks(AT_ONCE) {
        let changed = change(part.to_vec()).await.map_err(|err| failed(&err))?;
        let changed: BTreeSet<DeliveryId> = changed.into_iter().collect();
        let (changed, others): (Vec<DeliveryId>, Vec<DeliveryId>) =
            part.iter().partition(|id| changed.contains(id));
        is_written &= write(changed.iter().map(|id| format!("{done} {id}")));
        left_alone.extend(others);
    }
    Ok(Changed {
        left_alone,
        is_written,
    })
}

/// Refuses what was left alone, each with its state and what can be done.
async fn explain(
    outbox: &impl Outbox,
    changed: Changed,
    why: impl Fn(DeliveryState) -> &'static str,
) -> Result<bool, Refused> {
    let left_alone = changed.left_alone;
    if left_alone.is_empty() {
        return Ok(changed.is_written);
    }
    let known = outbox
        .deliveries(DeliveryQuery::these(left_alone.clone()))
        .await;
    let known: BTreeMap<DeliveryId, DeliveryRecord> = known
        .map_err(|err| failed(&err))?
        .into_iter()
        .map(|record| (record.id, record))
        .collect();
    for id in &left_alone {
        let Some(DeliveryRecord { state, reason, .. }) = known.get(id) else {
            report::error(&format!("{id} is not in this outbox"));
            report::hint("`notify outbox list` shows the ids; is it the right `--config`?");
            continue;
        };
        let reason = reason.as_ref().map(|reason| format!(" ({reason})"));
        let reason = reason.unwrap_or_default();
        report::error(&format!("{id} is {state}{reason}: {}", why(*state)));
    }
    Err(Refused)
}

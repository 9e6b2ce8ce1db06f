//! `notify outbox show`: everything that is on record of a delivery.

use workflow_notify::core::DeliveryId;
use workflow_notify::outbox::{DeliveryQuery, DeliveryRecord, Outbox};

use crate::args::ShowArgs;
use crate::ledger::{as_json, failed, open, write};
use crate::report;
use crate::setup::Refused;

pub(crate) async fn show(args: ShowArgs) -> Result<bool, Refused> {
    let outbox = open(&args.config)?;
    let query = DeliveryQuery::these(args.ids.clone());
    let records = outbox.deliveries(query).await.map_err(|err| failed(&err))?;
    let is_written = if args.json {
        write(records.iter().map(as_json))
    } else {
        let blocks: Vec<String> = records.iter().map(as_block).collect();
        write((!blocks.is_empty()).then(|| blocks.join("\n\n")))
    };
    let is_known = |id: &DeliveryId| records.iter().any(|record| record.id == *id);
    let unknown: Vec<&DeliveryId> = args.ids.iter().filter(|id| !is_known(id)).collect();
    for id in &unknown {
        report::error(&format!("{id} is not in this outbox"));
        report::hint("`notify outbox list` shows the ids; is it the right `--config`?");
    }
    if unknown.is_empty() {
        Ok(is_written)
    } else {
        Err(Refused)
    }
}

/// One line for each fact that there is.
fn as_block(record: &DeliveryRecord) -> String {
    let declared = record.declared_under.as_ref().map(|kind| {
        let own = &record.account.kind;
        format!("{kind}, which gives this recipient to {own}")
    });
    let facts = [
        ("delivery", Some(record.id.to_string())),
        ("event", Some(record.event.to_string())),
        (
            "workflow",
            Some(format!("{} {}", record.workflow, record.phase)),
        ),
        ("account", Some(record.account.to_string())),
        ("recipient", Some(record.recipient.to_string())),
        ("declared under", declared),
        ("action", Some(record.action.name().to_owned())),
        ("state", Some(record.state.to_string())),
        ("reason", record.reason.clone()),
        ("tries", Some(record.tries.to_string())),
        (
            "not before",
            (!record.state.is_settled()).then(|| record.not_before.to_string()),
        ),
        ("receipt", record.receipt.as_ref().map(ToString::to_string)),
    ];
    let lines = facts.into_iter().filter_map(|(name, value)| {
        let line = format!("{name:<14}  {}", value?);
        Some(report::inert(&line).replace('\n', " "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

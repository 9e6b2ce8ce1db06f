//! `notify outbox`: looking into the ledger.

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value, json};
use workflow_notify::outbox::{DeliveryRecord, Outbox};

use crate::args::{OutboxArgs, OutboxCommand};
use crate::exit;
use crate::report;
use crate::setup::{self, Refused};

pub(crate) async fn outbox(args: OutboxArgs) -> ExitCode {
    let OutboxCommand::List { json, most, config } = args.command;
    let listed = async {
        let outbox = setup::load(&[], &config.path)?.outbox()?;
        let records = outbox.deliveries(None, most).await;
        records.map_err(|err| Refused::because(&report::chain(&err)))
    };
    let Ok(records) = listed.await else {
        return exit::WRONG_INPUT.into();
    };
    let mut out = std::io::stdout().lock();
    for record in &records {
        let line = if json {
            as_json(record).to_string()
        } else {
            as_text(record)
        };
        if writeln!(out, "{line}").is_err() {
            // The reader has seen enough.
            break;
        }
    }
    ExitCode::SUCCESS
}

fn as_text(record: &DeliveryRecord) -> String {
    let account = record.account.to_string();
    let outcome = match (&record.receipt, &record.reason) {
        (Some(receipt), _) => format!("receipt {receipt}"),
        (None, Some(reason)) => reason.clone(),
        (None, None) => String::new(),
    };
    let line = format!(
        "{}  {:<10} {account:<18} {}  {} {}  {outcome}",
        record.id, record.state, record.recipient, record.workflow, record.phase,
    );
    line.trim_end().to_owned()
}

fn as_json(record: &DeliveryRecord) -> Value {
    json!({
        "delivery": record.id.to_string(),
        "event": record.event.to_string(),
        "workflow": record.workflow,
        "phase": record.phase,
        "account": record.account.to_string(),
        "recipient": record.recipient.as_str(),
        "action": record.action.name(),
        "state": record.state.name(),
        "reason": record.reason,
        "tries": record.tries,
        "not_before": record.not_before,
        "receipt": record.receipt,
    })
}

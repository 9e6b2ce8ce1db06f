//! The ends of one workflow, compared and set.

use notify_outbox::{End, History, OutboxError, PlanContext, WorkflowKey};

use crate::conversation;
use crate::ledger::Ledger;

/// Reads what plan needs to know of a workflow.
pub(crate) fn context(
    ledger: &Ledger<'_>,
    workflow: &WorkflowKey,
) -> Result<PlanContext, OutboxError> {
    let history = ledger.one(
        "read a history",
        "SELECT version, ends FROM notify_history
         WHERE project = ?1 AND domain = ?2 AND workflow = ?3",
        key(workflow),
        |columns| {
            let ends: Option<Vec<End>> = columns.json("ends")?;
            Ok(History::new(
                columns.get("version")?,
                ends.unwrap_or_default(),
            ))
        },
    )?;
    Ok(PlanContext {
        history: history.unwrap_or_default(),
        conversations: conversation::of_workflow(ledger, workflow)?,
    })
}

/// Writes a history if nobody wrote it since it was read; a version of 0 means that there was none.
pub(crate) fn write(
    ledger: &Ledger<'_>,
    workflow: &WorkflowKey,
    history: &History,
) -> Result<bool, OutboxError> {
    let sql = if history.version == 0 {
        "INSERT INTO notify_history (project, domain, workflow, version, ends)
         VALUES (?1, ?2, ?3, ?4 + 1, ?5)
         ON CONFLICT DO NOTHING"
    } else {
        "UPDATE notify_history SET version = version + 1, ends = ?5
         WHERE project = ?1 AND domain = ?2 AND workflow = ?3 AND version = ?4"
    };
    let [project, domain, workflow] = key(workflow);
    let ends = serde_json::json!(history.ends()).to_string();
    let values = (project, domain, workflow, history.version, ends);
    Ok(ledger.change("write a history", sql, values)? == 1)
}

fn key(workflow: &WorkflowKey) -> [&str; 3] {
    [
        &workflow.project,
        &workflow.domain,
        workflow.workflow.as_str(),
    ]
}

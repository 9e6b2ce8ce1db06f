//! Order and supersession within a conversation.

use notify_core::{AccountId, Action, Receipt, Timestamp};
use notify_outbox::{Conversation, ConversationState, NewDelivery, OutboxError, Spec, WorkflowKey};
use rusqlite::{Connection, OptionalExtension, named_params};

use crate::lane;
use crate::row::all;
use crate::writer::doing;

/// Lists the conversations of a workflow that are planned or open.
pub(crate) fn of_workflow(
    connection: &Connection,
    workflow: &WorkflowKey,
) -> Result<Vec<Conversation>, OutboxError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT c.account, c.key, c.lane, c.recipient, c.opened_at, c.opened_by, s.digest, s.body, s.options_version
             FROM notify_conversation c JOIN notify_spec s ON s.digest = c.spec
             WHERE c.project = ?1 AND c.domain = ?2 AND c.workflow = ?3 AND c.state <> 'closed'
             ORDER BY c.seq",
        )
        .map_err(doing("list conversations"))?;
    let rows = statement
        .query([
            &workflow.project,
            &workflow.domain,
            workflow.workflow.as_str(),
        ])
        .map_err(doing("list conversations"))?;
    all(rows, |columns| {
        Ok(Conversation {
            account: columns.parse("account")?,
            key: columns.get("key")?,
            lane: columns.get("lane")?,
            recipient: notify_core::Recipient::of(&columns.get::<String>("recipient")?),
            opened: (
                columns.instant("opened_at")?,
                columns.event_id("opened_by")?,
            ),
            spec: Spec {
                digest: columns.digest("digest")?,
                body: columns.parse("body")?,
                options_version: columns.get("options_version")?,
            },
        })
    })
}

/// What a new delivery meets in its conversation.
pub(crate) struct Joined {
    /// The conversation's row.
    pub(crate) seq: i64,
    /// Why the delivery is pointless, where it is.
    pub(crate) superseded: Option<String>,
}

/// Puts a new delivery into its conversation, which it makes where there is none.
pub(crate) fn join(
    connection: &Connection,
    workflow: &WorkflowKey,
    delivery: &NewDelivery,
    key: &str,
    order: (Timestamp, &[u8; 16]),
) -> Result<Joined, OutboxError> {
    let account = delivery.account.to_string();
    let known = connection
        .query_row(
            "SELECT seq, closed_at, closed_by FROM notify_conversation WHERE account = ?1 AND key = ?2",
            [account.as_str(), key],
            |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, Option<[u8; 16]>>(2)?)),
        )
        .optional()
        .map_err(doing("find a conversation"))?;
    let opens = delivery.action == Action::Open;
    let Some((seq, closed_at, closed_by)) = known else {
        let seq = insert(connection, workflow, delivery, key, order)?;
        return Ok(Joined {
            seq,
            superseded: None,
        });
    };
    let last_close = closed_at.map(Timestamp::from_micros).zip(closed_by);
    let late = last_close.is_some_and(|(at, by)| order < (at, &by));
    if opens && late {
        let superseded = Some("a later end closed the conversation already".to_owned());
        return Ok(Joined { seq, superseded });
    }
    if opens {
        let reopen = "UPDATE notify_conversation
                      SET state = 'planned', lane = :lane, recipient = :recipient, spec = :spec, receipt = NULL
                      WHERE seq = :seq AND state = 'closed'";
        connection
            .execute(
                "UPDATE notify_conversation SET opened_at = ?2, opened_by = ?3
                 WHERE seq = ?1 AND (opened_at, opened_by) < (?2, ?3)",
                (seq, order.0.as_micros(), order.1),
            )
            .map_err(doing("note an opening"))?;
        connection
            .execute(
                reopen,
                named_params! {
                    ":seq": seq,
                    ":lane": delivery.lane,
                    ":recipient": delivery.recipient.as_str(),
                    ":spec": delivery.spec.digest.as_bytes(),
                },
            )
            .map_err(doing("reopen a conversation"))?;
    } else if !late {
        connection
            .execute(
                "UPDATE notify_conversation SET closed_at = ?2, closed_by = ?3 WHERE seq = ?1",
                (seq, order.0.as_micros(), order.1),
            )
            .map_err(doing("note a close"))?;
    }
    Ok(Joined {
        seq,
        superseded: None,
    })
}

fn insert(
    connection: &Connection,
    workflow: &WorkflowKey,
    delivery: &NewDelivery,
    key: &str,
    order: (Timestamp, &[u8; 16]),
) -> Result<i64, OutboxError> {
    connection
        .query_row(
            "INSERT INTO notify_conversation (account, key, state, project, domain, workflow, lane, recipient, spec, opened_at, opened_by)
             VALUES (:account, :key, :state, :project, :domain, :workflow, :lane, :recipient, :spec, :at, :by)
             RETURNING seq",
            named_params! {
                ":account": delivery.account.to_string(),
                ":key": key,
                ":state": ConversationState::Planned.name(),
                ":project": workflow.project,
                ":domain": workflow.domain,
                ":workflow": workflow.workflow.as_str(),
                ":lane": delivery.lane,
                ":recipient": delivery.recipient.as_str(),
                ":spec": delivery.spec.digest.as_bytes(),
                ":at": order.0.as_micros(),
                ":by": order.1,
            },
            |row| row.get(0),
        )
        .map_err(doing("begin a conversation"))
}

/// Notes that a delivery of the conversation arrived.
pub(crate) fn arrived(
    connection: &Connection,
    conversation: i64,
    action: Action,
    order: (Timestamp, &[u8; 16]),
    receipt: &Receipt,
) -> Result<(), OutboxError> {
    // A later opening that waits behind this close will open the conversation anew.
    let sql = "UPDATE notify_conversation
               SET (state, receipt) = (
                   SELECT CASE
                       WHEN :close AND (opened_at, opened_by) > (:at, :by) THEN 'planned'
                       WHEN :close THEN 'closed'
                       ELSE 'open'
                   END,
                   CASE
                       WHEN :close AND (opened_at, opened_by) > (:at, :by) THEN NULL
                       WHEN :close THEN :receipt
                       ELSE coalesce(receipt, :receipt)
                   END)
               WHERE seq = :seq";
    connection
        .execute(
            sql,
            named_params! {
                ":seq": conversation,
                ":close": action == Action::Close,
                ":at": order.0.as_micros(),
                ":by": order.1,
                ":receipt": serde_json::json!(receipt).to_string(),
            },
        )
        .map(drop)
        .map_err(doing("note what a conversation came to"))
}

/// One unsettled delivery of a conversation.
struct Member {
    seq: i64,
    lane: i64,
    action: Action,
    state: String,
    tries: u32,
    blocked: bool,
}

/// Lets the earliest unsettled delivery of a conversation go, and only that one.
///
/// A close supersedes earlier deliveries that were never on the wire; one that may have been is
/// waited for. A close with nothing to close is skipped.
pub(crate) fn advance(
    connection: &Connection,
    now: Timestamp,
    conversation: i64,
) -> Result<(), OutboxError> {
    let mut members = unsettled(connection, conversation)?;
    if let Some(close) = members
        .iter()
        .rposition(|member| member.action == Action::Close)
    {
        let later = members.split_off(close);
        for member in &members {
            let untouched = member.tries == 0 && member.state != "leased";
            if untouched {
                settle(
                    connection,
                    now,
                    member,
                    "superseded",
                    "the workflow succeeded before it was sent",
                )?;
            }
        }
        members.retain(|member| member.tries > 0 || member.state == "leased");
        members.extend(later);
    }
    let on_the_wire = members.iter().any(|member| member.state == "leased");
    let mut head_found = on_the_wire;
    for member in members {
        let pointless =
            !head_found && member.action == Action::Close && !is_open(connection, conversation)?;
        if pointless {
            settle(connection, now, &member, "skipped", "nothing open")?;
            end_unopened(connection, conversation)?;
            continue;
        }
        let blocked = head_found;
        head_found = true;
        if blocked != member.blocked {
            connection
                .execute(
                    "UPDATE notify_delivery SET blocked = ?2 WHERE seq = ?1",
                    (member.seq, blocked),
                )
                .map_err(doing("order a conversation"))?;
            lane::refresh(connection, member.lane)?;
        }
    }
    Ok(())
}

fn unsettled(connection: &Connection, conversation: i64) -> Result<Vec<Member>, OutboxError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT seq, lane, action, state, tries, blocked FROM notify_delivery
             WHERE conversation = ?1 AND state IN ('pending', 'leased', 'held')
             ORDER BY ended_at, event_id, seq",
        )
        .map_err(doing("order a conversation"))?;
    let rows = statement
        .query([conversation])
        .map_err(doing("order a conversation"))?;
    all(rows, |columns| {
        Ok(Member {
            seq: columns.get("seq")?,
            lane: columns.get("lane")?,
            action: columns.action("action")?,
            state: columns.get("state")?,
            tries: columns.get("tries")?,
            blocked: columns.get("blocked")?,
        })
    })
}

fn settle(
    connection: &Connection,
    now: Timestamp,
    member: &Member,
    state: &str,
    reason: &str,
) -> Result<(), OutboxError> {
    connection
        .execute(
            "UPDATE notify_delivery SET state = ?2, reason = ?3, settled_at = ?4 WHERE seq = ?1",
            (member.seq, state, reason, now.as_micros()),
        )
        .map_err(doing("order a conversation"))?;
    lane::refresh(connection, member.lane)
}

fn is_open(connection: &Connection, conversation: i64) -> Result<bool, OutboxError> {
    connection
        .query_row(
            "SELECT state = 'open' FROM notify_conversation WHERE seq = ?1",
            [conversation],
            |row| row.get(0),
        )
        .map_err(doing("read a conversation"))
}

/// A conversation whose close found nothing open is over.
fn end_unopened(connection: &Connection, conversation: i64) -> Result<(), OutboxError> {
    connection
        .execute(
            "UPDATE notify_conversation SET state = 'closed' WHERE seq = ?1 AND state = 'planned'",
            [conversation],
        )
        .map(drop)
        .map_err(doing("end a conversation"))
}

/// Tells whether an account is paused, and why.
pub(crate) fn paused(
    connection: &Connection,
    account: &AccountId,
) -> Result<Option<String>, OutboxError> {
    connection
        .query_row(
            "SELECT reason FROM notify_account WHERE account = ?1",
            [account.to_string()],
            |row| row.get(0),
        )
        .optional()
        .map_err(doing("read whether an account is paused"))
}

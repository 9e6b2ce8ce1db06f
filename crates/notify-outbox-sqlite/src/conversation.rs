//! Order and supersession within a conversation.

use notify_core::{Action, Receipt, Recipient, Timestamp};
use notify_outbox::{
    Conversation, ConversationState, DeliveryState, NewDelivery, OutboxError, WorkflowKey,
};
use rusqlite::named_params;

use crate::lane::Touched;
use crate::ledger::Ledger;
use crate::row::Columns;
use crate::spec;
use crate::waiting::readable;

/// The end time and the event's id: the order in a conversation.
pub(crate) type Order<'a> = (Timestamp, &'a [u8; 16]);

/// Lists the conversations of a workflow that are planned or open.
pub(crate) fn of_workflow(
    ledger: &Ledger<'_>,
    workflow: &WorkflowKey,
) -> Result<Vec<Conversation>, OutboxError> {
    ledger.list(
        "list conversations",
        "SELECT account, key, lane, recipient, opened_at, opened_by, spec
         FROM notify_conversation
         WHERE project = ?1 AND domain = ?2 AND workflow = ?3 AND state <> 'closed'
         ORDER BY seq",
        [
            &workflow.project,
            &workflow.domain,
            workflow.workflow.as_str(),
        ],
        |columns| {
            Ok(Conversation {
                account: columns.parse("account")?,
                key: columns.get("key")?,
                lane: columns.get("lane")?,
                recipient: Recipient::of(&columns.get::<String>("recipient")?),
                opened: (
                    columns.instant("opened_at")?,
                    columns.event_id("opened_by")?,
                ),
                spec: spec::read(ledger, columns.digest("spec")?)?,
            })
        },
    )
}

/// What a new delivery meets in its conversation.
pub(crate) struct Joined {
    /// The conversation's row.
    pub(crate) seq: i64,
    /// Why the delivery is pointless, where it is.
    pub(crate) superseded: Option<&'static str>,
}

/// Puts a new delivery into its conversation, which it makes where there is none.
pub(crate) fn join(
    ledger: &Ledger<'_>,
    workflow: &WorkflowKey,
    delivery: &NewDelivery,
    (account, key): (&str, &str),
    order: Order<'_>,
) -> Result<Joined, OutboxError> {
    let known = ledger.one(
        "find a conversation",
        "SELECT seq, closed_at, closed_by FROM notify_conversation WHERE account = ?1 AND key = ?2",
        [account, key],
        |columns| {
            let at: Option<i64> = columns.at(1)?;
            let by: Option<[u8; 16]> = columns.at(2)?;
            Ok((columns.at(0)?, at.map(Timestamp::from_micros).zip(by)))
        },
    )?;
    let opens = delivery.action == Action::Open;
    let Some((seq, last_close)) = known else {
        return Ok(Joined {
            seq: insert(ledger, workflow, delivery, (account, key), order)?,
            superseded: None,
        });
    };
    let late = last_close.is_some_and(|(at, by)| order < (at, &by));
    match (opens, late) {
        (true, true) => {
            return Ok(Joined {
                seq,
                superseded: Some("a later end closed the conversation already"),
            });
        }
        (true, false) => note_opening(ledger, seq, delivery, order)?,
        (false, true) => {}
        (false, false) => {
            ledger.change(
                "note a close",
                "UPDATE notify_conversation SET closed_at = ?2, closed_by = ?3 WHERE seq = ?1",
                (seq, order.0.as_micros(), order.1),
            )?;
        }
    }
    Ok(Joined {
        seq,
        superseded: None,
    })
}

fn note_opening(
    ledger: &Ledger<'_>,
    seq: i64,
    delivery: &NewDelivery,
    order: Order<'_>,
) -> Result<(), OutboxError> {
    ledger.change(
        "note an opening",
        "UPDATE notify_conversation SET opened_at = ?2, opened_by = ?3
         WHERE seq = ?1 AND (opened_at, opened_by) < (?2, ?3)",
        (seq, order.0.as_micros(), order.1),
    )?;
    ledger
        .change(
            "reopen a conversation",
            "UPDATE notify_conversation
             SET state = 'planned', lane = :lane, recipient = :recipient, spec = :spec, receipt = NULL
             WHERE seq = :seq AND state = 'closed'",
            named_params! {
                ":seq": seq,
                ":lane": delivery.lane,
                ":recipient": delivery.recipient.as_str(),
                ":spec": delivery.spec.digest.as_bytes(),
            },
        )
        .map(drop)
}

fn insert(
    ledger: &Ledger<'_>,
    workflow: &WorkflowKey,
    delivery: &NewDelivery,
    (account, key): (&str, &str),
    order: Order<'_>,
) -> Result<i64, OutboxError> {
    ledger.change(
        "begin a conversation",
        "INSERT INTO notify_conversation (account, key, state, project, domain, workflow, lane,
                                          recipient, spec, opened_at, opened_by)
         VALUES (:account, :key, :state, :project, :domain, :workflow, :lane,
                 :recipient, :spec, :at, :by)",
        named_params! {
            ":account": account,
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
    )?;
    Ok(ledger.connection.last_insert_rowid())
}

/// Notes that a delivery of the conversation arrived.
pub(crate) fn arrived(
    ledger: &Ledger<'_>,
    conversation: i64,
    action: Action,
    order: Order<'_>,
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
                   CASE WHEN :close THEN NULL ELSE :receipt END)
               WHERE seq = :seq";
    ledger
        .change(
            "note what a conversation came to",
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
}

/// Notes that a delivery of unknown outcome may have opened the conversation.
///
/// Whatever becomes of it: what may be open at the vendor has to be closed there.
pub(crate) fn may_be_open(ledger: &Ledger<'_>, conversation: i64) -> Result<(), OutboxError> {
    let sql = "UPDATE notify_conversation SET state = 'open' WHERE seq = ?1";
    let doing = "note what a conversation may have come to";
    ledger.change(doing, sql, [conversation]).map(drop)
}

/// One unsettled delivery of a conversation.
struct Member {
    seq: i64,
    lane: i64,
    action: Action,
    ended_at: i64,
    event_id: [u8; 16],
    leased: bool,
    unsure: bool,
    blocked: bool,
    alone: bool,
}

impl Member {
    /// Tells whether a vendor may have seen it.
    fn may_have_arrived(&self) -> bool {
        self.leased || self.unsure
    }
}

/// Lets the earliest unsettled delivery of a conversation go, and only that one.
///
/// A close supersedes earlier deliveries that did not arrive; one that may have arrived is
/// waited for. A close with nothing to close is skipped, or goes by itself where that was planned.
pub(crate) fn advance(
    ledger: &Ledger<'_>,
    conversation: i64,
    touched: &mut Touched,
) -> Result<(), OutboxError> {
    let mut members = unsettled(ledger, conversation)?;
    if let Some(close) = members
        .iter()
        .rposition(|member| member.action == Action::Close)
    {
        let later = members.split_off(close);
        let reason = "the workflow succeeded before it was sent";
        for member in members.iter().filter(|member| !member.may_have_arrived()) {
            settle(ledger, member, DeliveryState::Superseded, reason)?;
            touched.insert(member.lane);
        }
        members.retain(Member::may_have_arrived);
        members.extend(later);
    }
    let mut head_found = members.iter().any(|member| member.leased);
    for member in members.iter().filter(|member| !member.leased) {
        let closes_nothing =
            !head_found && member.action == Action::Close && !is_open(ledger, conversation)?;
        if closes_nothing {
            if member.alone {
                let_go(ledger, member)?;
            } else {
                settle(ledger, member, DeliveryState::Skipped, "nothing open")?;
            }
            touched.insert(member.lane);
            end_unopened(ledger, conversation, member)?;
            continue;
        }
        let blocked = head_found;
        head_found = true;
        if blocked != member.blocked {
            ledger.change(
                "order a conversation",
                "UPDATE notify_delivery SET blocked = ?2 WHERE seq = ?1",
                (member.seq, blocked),
            )?;
            touched.insert(member.lane);
        }
    }
    Ok(())
}

/// Lists the unsettled deliveries; one that does not read is held, and in nobody's way.
fn unsettled(ledger: &Ledger<'_>, conversation: i64) -> Result<Vec<Member>, OutboxError> {
    let doing = "order a conversation";
    let rows = ledger.list(
        doing,
        "SELECT seq, lane, action, ended_at, event_id, state = 'leased' AS leased, unsure, blocked,
                alone
         FROM notify_delivery
         WHERE conversation = ?1 AND settled_at IS NULL
         ORDER BY ended_at, event_id, seq",
        [conversation],
        |columns| Ok((columns.at::<i64>(0)?, readable(member(columns))?)),
    )?;
    let mut members = Vec::with_capacity(rows.len());
    for (seq, row) in rows {
        match row {
            Ok(member) => members.push(member),
            Err(why) => {
                let sql = "UPDATE notify_delivery
                           SET state = 'held', release = 'account', reason = ?2
                           WHERE seq = ?1 AND state = 'pending'";
                ledger.change(doing, sql, (seq, why))?;
            }
        }
    }
    Ok(members)
}

fn member(columns: &Columns<'_>) -> Result<Member, OutboxError> {
    Ok(Member {
        seq: columns.get("seq")?,
        lane: columns.get("lane")?,
        action: columns.action("action")?,
        ended_at: columns.get("ended_at")?,
        event_id: columns.get("event_id")?,
        leased: columns.get("leased")?,
        unsure: columns.get("unsure")?,
        blocked: columns.get("blocked")?,
        alone: columns.get("alone")?,
    })
}

fn settle(
    ledger: &Ledger<'_>,
    member: &Member,
    state: DeliveryState,
    reason: &str,
) -> Result<(), OutboxError> {
    let now = ledger.now.as_micros();
    ledger
        .change(
            "order a conversation",
            "UPDATE notify_delivery SET state = ?2, reason = ?3, settled_at = ?4 WHERE seq = ?1",
            (member.seq, state.name(), reason, now),
        )
        .map(drop)
}

/// Lets a close go by itself, as a message that belongs to no conversation.
fn let_go(ledger: &Ledger<'_>, member: &Member) -> Result<(), OutboxError> {
    let sql = "UPDATE notify_delivery SET action = 'send', conversation = NULL, blocked = 0
               WHERE seq = ?1";
    let doing = "let a success go by itself";
    ledger.change(doing, sql, [member.seq]).map(drop)
}

fn is_open(ledger: &Ledger<'_>, conversation: i64) -> Result<bool, OutboxError> {
    let sql = "SELECT state = 'open' FROM notify_conversation WHERE seq = ?1";
    Ok(ledger.number("read a conversation", sql, [conversation])? == 1)
}

/// A conversation whose close found nothing open is over, unless a later opening waits.
fn end_unopened(ledger: &Ledger<'_>, conversation: i64, close: &Member) -> Result<(), OutboxError> {
    let sql = "UPDATE notify_conversation SET state = 'closed'
               WHERE seq = ?1 AND state = 'planned' AND (opened_at, opened_by) <= (?2, ?3)";
    let values = (conversation, close.ended_at, close.event_id);
    ledger.change("end a conversation", sql, values).map(drop)
}

//! Events that other programs put into the file in transactions of their own.

use notify_core::event::wire;
use notify_core::{Execution, TerminalPhase, Timestamp, WorkflowName};
use notify_outbox::{EventId, EventState, NewEvent, OutboxError};
use rusqlite::types::ValueRef;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::intake::{self, Entry};
use crate::ledger::{Ledger, limit};
use crate::row::Columns;

/// The statement by which any program that writes to the outbox's file states that a workflow ended.
///
/// Its one parameter is the event's wire form as JSON text, in Rust
/// `serde_json::to_string(&event.to_wire())`. It works in the caller's own transaction, and counts
/// when that is committed; it needs nothing but SQLite 3.38 or later: no function, no library and no
/// setting of this crate.
///
/// | what | becomes of it |
/// |---|---|
/// | no JSON, no text at `execution.name`, a `phase` that is not terminal | refused: the statement fails |
/// | an end of an attempt that was told of before | told of once |
/// | anything else that does not read | on record as malformed, with the reason |
/// | no `version` | version 1 |
/// | no `ended_at` | the instant of the statement |
pub const INTAKE: &str = "INSERT INTO notify_inbox (event) VALUES (?1)";

/// The most rows that are moved at once.
const MOST: i64 = 256;

/// The most bytes of text that are moved at once, and the longest text that is read.
const LONGEST: usize = 32 * 1024 * 1024;

/// The most bytes that are kept of a text that does not read.
const KEPT: usize = 64 * 1024;

/// The most bytes of the reason why one does not.
const REASON: usize = 4 * 1024;

/// Tells whether there is nothing to move.
pub(crate) fn is_empty(ledger: &Ledger<'_>) -> Result<bool, OutboxError> {
    let any = ledger.number(
        "look into the inbox",
        "SELECT 1 FROM notify_inbox LIMIT 1",
        [],
    )?;
    Ok(any == 0)
}

/// Moves the earliest rows to the events, by the rules of acceptance.
pub(crate) fn move_in(ledger: &Ledger<'_>) -> Result<(), OutboxError> {
    let doing = "move events in";
    let rows = ledger.list(
        doing,
        "SELECT seq, octet_length(event) FROM notify_inbox ORDER BY seq LIMIT ?1",
        [MOST],
        |columns| Ok((columns.at::<i64>(0)?, columns.at::<Option<i64>>(1)?)),
    )?;
    let mut moved = 0;
    for (seq, bytes) in rows {
        let bytes = usize::try_from(bytes.unwrap_or(0)).unwrap_or(0);
        let read = if bytes > LONGEST { KEPT } else { bytes };
        moved += read;
        if moved > LONGEST && moved > read {
            break;
        }
        // SQLite tells the names of what is too long to be read here.
        let sql = "SELECT seq, inserted_at, CASE WHEN ?2 THEN substr(event, 1, ?3) ELSE event END,
                          CASE WHEN ?2 AND json_valid(event) THEN json_object(
                              'execution', json_object(
                                  'project', substr(event ->> '$.execution.project', 1, 1024),
                                  'domain', substr(event ->> '$.execution.domain', 1, 1024),
                                  'name', substr(event ->> '$.execution.name', 1, 1024),
                                  'attempt', substr(event ->> '$.execution.attempt', 1, 32) + 0),
                              'workflow', substr(event ->> '$.workflow', 1, 1024),
                              'phase', substr(event ->> '$.phase', 1, 32),
                              'ended_at', substr(event ->> '$.ended_at', 1, 64)) END
                   FROM notify_inbox WHERE seq = ?1";
        let shortened = (seq, bytes > LONGEST, limit(KEPT));
        if let Some(letter) = ledger.one(doing, sql, shortened, Letter::read)? {
            letter.accept(ledger, bytes)?;
        }
        ledger.change(doing, "DELETE FROM notify_inbox WHERE seq = ?1", [seq])?;
    }
    Ok(())
}

/// One row of the inbox.
struct Letter {
    id_bytes: [u8; 10],
    inserted_at: Timestamp,
    text: Result<String, String>,
    /// What it names, as JSON, where the text is cut.
    names: Option<String>,
}

impl Letter {
    fn read(columns: &Columns<'_>) -> Result<Self, OutboxError> {
        let inserted_at = columns.at::<Option<i64>>(1).ok().flatten();
        let inserted_at = Timestamp::from_micros(inserted_at.unwrap_or(i64::MAX));
        let value = columns.raw(2)?;
        let bytes = match value {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
            _ => &[],
        };
        let mut hash = Sha256::new();
        hash.update(columns.at::<i64>(0)?.to_be_bytes());
        hash.update(inserted_at.as_micros().to_be_bytes());
        hash.update(bytes);
        let mut id_bytes = [0; 10];
        for (to, from) in id_bytes.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        let text = match str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(String::from_utf8_lossy(bytes).into_owned()),
        };
        Ok(Self {
            id_bytes,
            inserted_at,
            text,
            names: columns.at(3).unwrap_or_default(),
        })
    }

    /// Accepts the event, or puts it on record as malformed.
    fn accept(self, ledger: &Ledger<'_>, bytes: usize) -> Result<(), OutboxError> {
        let id = EventId::new(ledger.now, self.id_bytes);
        // The clock of SQLite may be ahead of the ledger's.
        let inserted_at = self.inserted_at.min(ledger.now);
        let (text, reason) = match self.text {
            Err(text) => (text, "the event is not UTF-8".to_owned()),
            Ok(text) if bytes > LONGEST => {
                let size = bytes.div_ceil(1024 * 1024);
                let most = LONGEST / 1024 / 1024;
                (
                    text,
                    format!("the event has {size} MiB; at most {most} are read"),
                )
            }
            Ok(text) => match event(id, &text) {
                Ok(mut event) => {
                    let ended_at = event.ended_at.unwrap_or(inserted_at);
                    event.ended_at = Some(ended_at.min(ledger.now));
                    return intake::accept(ledger, &event).map(drop);
                }
                Err(reason) => (text, reason),
            },
        };
        let named = self.names.as_ref().unwrap_or(&text);
        let value = serde_json::from_str(named).unwrap_or_default();
        let names = Names::guess(&value);
        intake::insert(
            ledger,
            &Entry {
                id,
                state: EventState::Malformed,
                reason: Some(cut(&reason, REASON)),
                project: names.project,
                domain: names.domain,
                name: names.name,
                attempt: names.attempt,
                workflow: names.workflow,
                phase: names.phase,
                ended_at: names.ended_at.unwrap_or(inserted_at).min(ledger.now),
                body: cut(&text, KEPT),
            },
        )
        .map(drop)
    }
}

/// What the ledger needs to know of an event that reads.
#[derive(Deserialize)]
struct Known {
    workflow: WorkflowName,
    execution: Execution,
    phase: TerminalPhase,
    #[serde(default)]
    ended_at: Option<Timestamp>,
}

/// Reads an event and writes it again, within its bounds.
fn event(id: EventId, text: &str) -> Result<NewEvent, String> {
    let mut value: Value =
        serde_json::from_str(text).map_err(|err| format!("the event does not read: {err}"))?;
    if let Value::Object(map) = &mut value {
        map.entry("version").or_insert_with(|| json!(1));
    }
    let wire = wire::WorkflowEnded::read(value).map_err(|problems| problems.to_string())?;
    let body = serde_json::to_string(&wire).map_err(|err| err.to_string())?;
    let known: Known = serde_json::from_str(&body).map_err(|err| err.to_string())?;
    Ok(NewEvent {
        id,
        execution: known.execution,
        workflow: known.workflow,
        phase: known.phase,
        ended_at: known.ended_at,
        body,
    })
}

/// What can be read of an event that does not.
struct Names<'a> {
    project: &'a str,
    domain: &'a str,
    name: &'a str,
    attempt: u32,
    workflow: &'a str,
    phase: TerminalPhase,
    ended_at: Option<Timestamp>,
}

impl<'a> Names<'a> {
    fn guess(value: &'a Value) -> Self {
        let text = |place: &str| value.pointer(place).and_then(Value::as_str);
        let name = |place| cut(text(place).unwrap_or_default(), 1_024);
        let attempt = value.pointer("/execution/attempt").and_then(Value::as_u64);
        Self {
            project: name("/execution/project"),
            domain: name("/execution/domain"),
            name: name("/execution/name"),
            attempt: attempt
                .and_then(|attempt| u32::try_from(attempt).ok())
                .unwrap_or(1),
            workflow: name("/workflow"),
            phase: text("/phase")
                .and_then(|phase| phase.parse().ok())
                .unwrap_or(TerminalPhase::Failed),
            ended_at: text("/ended_at").and_then(|instant| instant.parse().ok()),
        }
    }
}

/// Keeps the beginning of a text.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

//! Lanes: when each one has something to claim.
//!
//! **Invariant.** `due_at` is the instant from which a claim finds something in the lane, and NULL
//! where nothing would be found; so a claim costs the same however much waits elsewhere.

use notify_core::{AccountId, Timestamp};
use notify_outbox::OutboxError;
use rusqlite::{Connection, named_params};

use crate::writer::doing;

/// Finds or makes a lane.
pub(crate) fn find(
    connection: &Connection,
    account: &AccountId,
    lane: &str,
) -> Result<i64, OutboxError> {
    // The update changes nothing; it makes RETURNING give the row that is there already.
    connection
        .prepare_cached(
            "INSERT INTO notify_lane (account, lane) VALUES (?1, ?2)
             ON CONFLICT (account, lane) DO UPDATE SET lane = excluded.lane
             RETURNING seq",
        )
        .and_then(|mut statement| {
            statement.query_row([account.to_string().as_str(), lane], |row| row.get(0))
        })
        .map_err(doing("find a lane"))
}

/// Works out when a lane is due.
pub(crate) fn refresh(connection: &Connection, lane: i64) -> Result<(), OutboxError> {
    connection
        .prepare_cached(
            "UPDATE notify_lane
             SET due_at = (SELECT max(gate_at, not_before) FROM notify_delivery
                           WHERE lane = :lane AND state = 'pending' AND blocked = 0
                           ORDER BY not_before LIMIT 1)
             WHERE seq = :lane",
        )
        .and_then(|mut statement| statement.execute(named_params! { ":lane": lane }))
        .map(drop)
        .map_err(doing("work out when a lane is due"))
}

/// Takes a full lane out of the claims until one of its deliveries is settled.
pub(crate) fn rest(connection: &Connection, lane: i64) -> Result<(), OutboxError> {
    connection
        .prepare_cached("UPDATE notify_lane SET due_at = NULL WHERE seq = ?1")
        .and_then(|mut statement| statement.execute([lane]))
        .map(drop)
        .map_err(doing("rest a lane"))
}

/// Shuts a lane until an instant.
pub(crate) fn shut(
    connection: &Connection,
    lane: i64,
    until: Timestamp,
) -> Result<(), OutboxError> {
    connection
        .execute(
            "UPDATE notify_lane SET gate_at = max(gate_at, ?2) WHERE seq = ?1",
            [lane, until.as_micros()],
        )
        .map_err(doing("shut a lane"))?;
    refresh(connection, lane)
}

/// Lists the lanes of an account.
pub(crate) fn of_account(
    connection: &Connection,
    account: &AccountId,
) -> Result<Vec<i64>, OutboxError> {
    let mut statement = connection
        .prepare_cached("SELECT seq FROM notify_lane WHERE account = ?1")
        .map_err(doing("list lanes"))?;
    let rows = statement
        .query_map([account.to_string()], |row| row.get(0))
        .map_err(doing("list lanes"))?;
    rows.collect::<Result<_, _>>().map_err(doing("list lanes"))
}

//! What the ledger says between two processes. It is looked at, and never changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::Result;

/// Opens a ledger so that whoever opens it next finds the same log to recover from.
fn open(file: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Tells whether a table is there.
fn has(connection: &Connection, table: &str) -> Result<bool> {
    let query = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let count: i64 = connection.query_row(query, [table], |row| row.get(0))?;
    Ok(count > 0)
}

/// Lists the recipients of the deliveries that may be on the wire.
pub(crate) fn leased(file: &Path) -> Result<BTreeSet<String>> {
    if !file.exists() {
        return Ok(BTreeSet::new());
    }
    let connection = open(file)?;
    if !has(&connection, "notify_delivery")? {
        return Ok(BTreeSet::new());
    }
    let query = "SELECT recipient FROM notify_delivery WHERE state = 'leased'";
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Counts, by recipient, the attempts whose process was gone before it could say what came of them.
pub(crate) fn lost_leases(file: &Path) -> Result<BTreeMap<String, u32>> {
    let connection = open(file)?;
    let query = "SELECT d.recipient, count(*) FROM notify_attempt a
                 JOIN notify_delivery d ON d.seq = a.delivery
                 WHERE a.outcome = 'unknown' AND a.detail = 'lost_lease' GROUP BY 1";
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Says what is wrong with a ledger whose deliveries are all to be delivered.
pub(crate) fn wrong(file: &Path, events: usize) -> Result<Option<String>> {
    let connection = open(file)?;
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if check != "ok" {
        return Ok(Some(format!("the file is damaged: {check}")));
    }
    let query = "SELECT state, count(*) FROM notify_delivery GROUP BY state
                 UNION ALL SELECT 'event ' || state, count(*) FROM notify_event GROUP BY state
                 UNION ALL SELECT 'inbox', count(*) FROM notify_inbox HAVING count(*) > 0";
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| {
        Ok(format!(
            "{} {}",
            row.get::<_, String>(0)?,
            row.get::<_, i64>(1)?
        ))
    })?;
    let mut found = rows.collect::<Result<Vec<String>, _>>()?;
    found.sort();
    let expected = [
        format!("delivered {events}"),
        format!("event planned {events}"),
    ];
    Ok((found != expected).then(|| format!("the ledger has {}", found.join(", "))))
}

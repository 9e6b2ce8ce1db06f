//! Numbered migrations, run under the write lock.

use notify_outbox::OutboxError;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::writer::doing;

/// Every migration there is, in order; the schema's version is how many have run.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_ledger.sql")];

/// Brings the schema up to what this program knows.
pub(crate) fn run(connection: &mut Connection, place: &str) -> Result<(), OutboxError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(doing("lock the schema"))?;
    let version = version(&transaction)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if version > known {
        let place = place.to_owned();
        return Err(OutboxError::Newer {
            place,
            found: version,
            known,
        });
    }
    for (number, migration) in (1_i64..)
        .zip(MIGRATIONS)
        .skip_while(|(number, _)| *number <= version)
    {
        transaction
            .execute_batch(migration)
            .map_err(doing("change the schema"))?;
        transaction
            .execute("INSERT INTO notify_schema (version) VALUES (?1)", [number])
            .map_err(doing("note the schema's version"))?;
    }
    transaction.commit().map_err(doing("commit the schema"))
}

/// Reads the schema's version. Not `user_version`: the file may be an application's own.
fn version(connection: &Connection) -> Result<i64, OutboxError> {
    connection
        .execute_batch("CREATE TABLE IF NOT EXISTS notify_schema (version INTEGER PRIMARY KEY)")
        .map_err(doing("read the schema's version"))?;
    let newest = "SELECT version FROM notify_schema ORDER BY version DESC LIMIT 1";
    let version = connection
        .query_row(newest, [], |row| row.get(0))
        .optional()
        .map_err(doing("read the schema's version"))?;
    Ok(version.unwrap_or(0))
}

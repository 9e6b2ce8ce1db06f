//! Numbered migrations, run under the write lock.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::open::Stop;

/// Every migration there is, in order; the schema's version is how many have run.
const MIGRATIONS: [&str; 3] = [
    include_str!("../migrations/0001_ledger.sql"),
    include_str!("../migrations/0002_intake.sql"),
    include_str!("../migrations/0003_conversations.sql"),
];

/// The schema that this program writes.
pub(crate) const SCHEMA: usize = MIGRATIONS.len();

/// How a file's schema compares with what this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// It is the same.
    Current,
    /// There are migrations to run; a file without a schema has all before it.
    Older,
    /// The file was written by a newer program.
    Newer { found: i64, known: i64 },
}

/// Reads how old the schema is.
pub(crate) fn read(connection: &Connection) -> Result<Schema, rusqlite::Error> {
    let found = version(connection)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    Ok(match found.cmp(&known) {
        std::cmp::Ordering::Less => Schema::Older,
        std::cmp::Ordering::Equal => Schema::Current,
        std::cmp::Ordering::Greater => Schema::Newer { found, known },
    })
}

/// Brings the schema up to what this program knows.
pub(crate) fn run(connection: &mut Connection) -> Result<(), Stop> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    if let Schema::Newer { found, known } = read(&transaction)? {
        return Err(Stop::Newer { found, known });
    }
    let version = version(&transaction)?;
    transaction
        .execute_batch("CREATE TABLE IF NOT EXISTS notify_schema (version INTEGER PRIMARY KEY)")?;
    for (number, migration) in (1_i64..)
        .zip(MIGRATIONS)
        .skip_while(|(number, _)| *number <= version)
    {
        transaction.execute_batch(migration)?;
        transaction.execute("INSERT INTO notify_schema (version) VALUES (?1)", [number])?;
    }
    transaction.commit()?;
    Ok(())
}

/// Reads the schema's version. Not `user_version`: the file may be an application's own.
fn version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    let table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'notify_schema'";
    if connection
        .query_row(table, [], |_| Ok(()))
        .optional()?
        .is_none()
    {
        return Ok(0);
    }
    connection.query_row(
        "SELECT coalesce(max(version), 0) FROM notify_schema",
        [],
        |row| row.get(0),
    )
}

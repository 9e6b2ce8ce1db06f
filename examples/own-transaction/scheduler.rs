//! A scheduler that ends a run and has people told of it, in one transaction of its own.
//!
//! usage: `own-transaction FILE RUN [ERROR]`

use std::error::Error;

use rusqlite::Connection;
use workflow_notify::INTAKE;
use workflow_notify::core::{Clock, SystemClock, Timestamp};
use workflow_notify::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(run)) = (arguments.next(), arguments.next()) else {
        return Err("usage: own-transaction FILE RUN [ERROR]".into());
    };
    let mut connection = Connection::open(file)?;
    start(&connection, &run)?;
    end(&mut connection, &run, arguments.next())
}

/// Notes that a run began.
pub(crate) fn start(connection: &Connection, run: &str) -> Result<(), Box<dyn Error>> {
    connection.execute_batch(include_str!("schema.sql"))?;
    connection.execute(
        "INSERT INTO run (name, workflow, started_at) VALUES (?1, 'nightly-etl', ?2)",
        [run, &SystemClock.now().to_string()],
    )?;
    Ok(())
}

/// Ends a run, and states in the same transaction that it ended.
pub(crate) fn end(
    connection: &mut Connection,
    run: &str,
    error: Option<String>,
) -> Result<(), Box<dyn Error>> {
    let phase = if error.is_some() { Failed } else { Succeeded };
    let ended_at = SystemClock.now();
    let transaction = connection.transaction()?;
    let (workflow, started_at): (String, String) = transaction.query_row(
        "UPDATE run SET state = ?2, ended_at = ?3, error = ?4 WHERE name = ?1
         RETURNING workflow, started_at",
        (run, phase.name(), ended_at.to_string(), &error),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let started_at: Timestamp = started_at.parse()?;
    let execution = Execution::new("analytics", "production", run)?;
    let mut event = WorkflowEnded::new(WorkflowName::new(workflow)?, execution, phase)
        .started_at(started_at)
        .ended_at(ended_at);
    event.failure = error.map(Failure::new);
    transaction.execute(INTAKE, [serde_json::to_string(&event.to_wire())?])?;
    transaction.commit()?;
    Ok(())
}

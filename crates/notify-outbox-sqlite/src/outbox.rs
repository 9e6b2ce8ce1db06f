//! The outbox over one SQLite file.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use notify_core::{AccountId, Clock};
use notify_outbox::{
    Accepted, Claim, DeliveryRecord, EventId, EventState, Leased, NewEvent, Outbox, OutboxError,
    Plan, PlanContext, Recorded, Settled, Settlement, Status, StoredEvent, WorkflowKey,
};
use rusqlite::Connection;

use crate::writer::{Writer, doing};
use crate::{claim, intake, migrate, plan, settle, view};

/// How long a write waits for another process that holds the file.
const BUSY: Duration = Duration::from_secs(10);

/// A ledger in one SQLite file, shared by all clones and by other processes.
#[derive(Clone, Debug)]
pub struct SqliteOutbox {
    writer: Writer,
}

impl SqliteOutbox {
    /// Opens a file, which is made where there is none, and brings its schema up to date.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, is not a database, or was written by a newer program;
    /// it is then untouched.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OutboxError> {
        let place = format!("`{}`", path.display());
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| OutboxError::Open {
            place: place.clone(),
            source,
        };
        let mut connection = Connection::open(path).map_err(|err| failed(err.into()))?;
        prepare(&connection).map_err(|err| failed(err.into()))?;
        migrate::run(&mut connection, &place)?;
        let writer = Writer::start(connection, clock).map_err(|err| failed(err.into()))?;
        Ok(Self { writer })
    }
}

fn prepare(connection: &Connection) -> Result<(), OutboxError> {
    connection
        .busy_timeout(BUSY)
        .map_err(doing("set the timeout"))?;
    connection.set_prepared_statement_cache_capacity(64);
    // The first statement that reads the file: a file that is no database is found here.
    connection
        .query_row("PRAGMA schema_version", [], |_| Ok(()))
        .map_err(doing("read the file"))?;
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .map_err(doing("turn the write-ahead log on"))?;
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
        .map_err(doing("set up the connection"))
}

#[async_trait]
impl Outbox for SqliteOutbox {
    fn durable(&self) -> bool {
        true
    }

    async fn accept(&self, event: NewEvent) -> Result<Accepted, OutboxError> {
        let job = move |connection: &_, now| intake::accept(connection, now, &event);
        self.writer.run("accept an event", job).await
    }

    async fn accepted(&self, most: usize) -> Result<Vec<(StoredEvent, Duration)>, OutboxError> {
        let job = move |connection: &_, now| intake::accepted(connection, now, most);
        self.writer.run("list accepted events", job).await
    }

    async fn plan_context(&self, workflow: WorkflowKey) -> Result<PlanContext, OutboxError> {
        let job = move |connection: &_, _| plan::context(connection, &workflow);
        self.writer.run("read a history", job).await
    }

    async fn record(&self, plan: Plan) -> Result<Recorded, OutboxError> {
        let job = move |connection: &_, now| plan::record(connection, now, &plan);
        self.writer.run("record a plan", job).await
    }

    async fn unmatched(&self, event: EventId, reason: String) -> Result<(), OutboxError> {
        let job = move |connection: &_, _| {
            intake::put_aside(connection, event, EventState::Unmatched, &reason)
        };
        self.writer.run("put an event aside", job).await
    }

    async fn malformed(&self, event: EventId, reason: String) -> Result<(), OutboxError> {
        let job = move |connection: &_, _| {
            intake::put_aside(connection, event, EventState::Malformed, &reason)
        };
        self.writer.run("put an event aside", job).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Leased>, OutboxError> {
        let job = move |connection: &_, now| claim::claim(connection, now, &claim);
        self.writer.run("claim deliveries", job).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, OutboxError> {
        let job = move |connection: &_, now| settle::settle(connection, now, &settlement);
        self.writer.run("settle a delivery", job).await
    }

    async fn resume(&self, accounts: Vec<AccountId>) -> Result<u64, OutboxError> {
        let job = move |connection: &_, now| settle::resume(connection, now, &accounts);
        self.writer.run("resume accounts", job).await
    }

    async fn status(&self, accounts: Vec<AccountId>) -> Result<Status, OutboxError> {
        let job = move |connection: &_, now| view::status(connection, now, &accounts);
        self.writer.run("count what there is to do", job).await
    }

    async fn deliveries(
        &self,
        event: Option<EventId>,
        most: usize,
    ) -> Result<Vec<DeliveryRecord>, OutboxError> {
        let job = move |connection: &_, _| view::deliveries(connection, event, most);
        self.writer.run("list deliveries", job).await
    }
}

//! The outbox over one SQLite file.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use notify_core::{AccountId, Clock, DeliveryId, WorkflowName};
use notify_outbox::{
    Accepted, Aside, Claim, DeliveryQuery, DeliveryRecord, EventQuery, EventRecord, Leased,
    NewEvent, Outbox, OutboxError, Recorded, Settled, Settlement, Status, Waiting, WorkflowPlan,
};

use crate::ledger::Ledger;
use crate::place::Place;
use crate::writer::{Look, Way, Work, Writer};
use crate::{account, claim, hand, intake, migrate, open, record, settle, view, waiting};

/// A ledger in one SQLite file, shared by all clones and by other processes.
#[derive(Clone, Debug)]
pub struct SqliteOutbox {
    writer: Writer,
}

impl SqliteOutbox {
    /// The schema that a file has once it is open: how many migrations there are.
    pub const SCHEMA: usize = migrate::SCHEMA;

    /// Opens a file, which is made where there is none, and brings its schema up to date.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened and written, is not a database, is damaged, or was written by
    /// a newer program; it is then untouched.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OutboxError> {
        let connection = open::open(path)?;
        let writer = Writer::start(connection, Place::new(path), clock).map_err(|err| {
            OutboxError::Open {
                place: format!("`{}`", path.display()),
                source: err.into(),
            }
        })?;
        Ok(Self { writer })
    }

    async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl Fn(&Ledger<'_>) -> Result<T, OutboxError> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let work: Work<T> = Box::new(work);
        self.writer.run(doing, Way::Read(work)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl Fn(&Ledger<'_>) -> Result<T, OutboxError> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let work: Work<T> = Box::new(work);
        self.writer.run(doing, Way::Write(work)).await
    }

    async fn peek<T: Send + 'static>(
        &self,
        doing: &'static str,
        look: impl Fn(&Ledger<'_>) -> Result<Option<T>, OutboxError> + Send + 'static,
        work: impl Fn(&Ledger<'_>) -> Result<T, OutboxError> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let (look, work): (Look<T>, Work<T>) = (Box::new(look), Box::new(work));
        self.writer.run(doing, Way::Peek(look, work)).await
    }
}

#[async_trait]
impl Outbox for SqliteOutbox {
    fn durable(&self) -> bool {
        true
    }

    async fn accept(&self, event: NewEvent) -> Result<Accepted, OutboxError> {
        let job = move |ledger: &Ledger<'_>| intake::accept(ledger, &event);
        self.write("accept an event", job).await
    }

    async fn waiting(&self, most: usize) -> Result<Waiting, OutboxError> {
        let look = move |ledger: &Ledger<'_>| waiting::look(ledger, most);
        let list = move |ledger: &Ledger<'_>| waiting::list(ledger, most);
        self.peek("list accepted events", look, list).await
    }

    async fn record(&self, plans: Vec<WorkflowPlan>) -> Result<Vec<Recorded>, OutboxError> {
        let job = move |ledger: &Ledger<'_>| record::record(ledger, &plans);
        self.write("record plans", job).await
    }

    async fn set_aside(&self, events: Vec<Aside>) -> Result<(), OutboxError> {
        let job = move |ledger: &Ledger<'_>| intake::set_aside(ledger, &events);
        self.write("set events aside", job).await
    }

    async fn revive(&self, workflows: Option<Vec<WorkflowName>>) -> Result<u64, OutboxError> {
        let job = move |ledger: &Ledger<'_>| intake::revive(ledger, workflows.as_deref());
        self.write("look at unmatched events anew", job).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Leased>, OutboxError> {
        let claim = Arc::new(claim);
        let same = Arc::clone(&claim);
        let look = move |ledger: &Ledger<'_>| claim::look(ledger, &same);
        let job = move |ledger: &Ledger<'_>| claim::claim(ledger, &claim);
        self.peek("claim deliveries", look, job).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, OutboxError> {
        let job = move |ledger: &Ledger<'_>| settle::settle(ledger, &settlement);
        self.write("settle a delivery", job).await
    }

    async fn resume(&self, accounts: Vec<AccountId>) -> Result<u64, OutboxError> {
        let job = move |ledger: &Ledger<'_>| account::resume(ledger, &accounts);
        self.write("resume accounts", job).await
    }

    async fn replay(&self, deliveries: Vec<DeliveryId>) -> Result<Vec<DeliveryId>, OutboxError> {
        let job = move |ledger: &Ledger<'_>| hand::replay(ledger, &deliveries);
        self.write("replay deliveries", job).await
    }

    async fn drop(
        &self,
        deliveries: Vec<DeliveryId>,
        reason: String,
    ) -> Result<Vec<DeliveryId>, OutboxError> {
        let job = move |ledger: &Ledger<'_>| hand::drop(ledger, &deliveries, &reason);
        self.write("drop deliveries", job).await
    }

    async fn status(&self, accounts: Vec<AccountId>) -> Result<Status, OutboxError> {
        let job = move |ledger: &Ledger<'_>| view::status(ledger, &accounts);
        self.read("count what there is to do", job).await
    }

    async fn deliveries(&self, query: DeliveryQuery) -> Result<Vec<DeliveryRecord>, OutboxError> {
        let job = move |ledger: &Ledger<'_>| view::deliveries(ledger, &query);
        self.read("list deliveries", job).await
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<EventRecord>, OutboxError> {
        let job = move |ledger: &Ledger<'_>| view::events(ledger, &query);
        self.read("list events", job).await
    }
}

#[cfg(test)]
mod tests {
    use notify_core::SystemClock;
    use notify_testkit::outbox::{Bench, run};

    use super::*;

    #[test]
    fn a_full_disk_refuses_what_is_new_and_keeps_what_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify.db");
        let connection = open::open(&path).unwrap();
        let pages: i64 = connection
            .query_row("PRAGMA page_count", [], |row| row.get(0))
            .unwrap();
        connection
            .pragma_update_and_check(None, "max_page_count", pages + 8, |_| Ok(()))
            .unwrap();
        let writer = Writer::start(connection, Place::new(&path), Arc::new(SystemClock)).unwrap();
        let outbox = SqliteOutbox { writer };
        let small = outbox.clone();
        let bench = Bench::new(move |_| Arc::new(small.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut stored = 0;
            let refused = loop {
                let mut event = run(stored).new_event(bench.next_id());
                event.body = "x".repeat(3_000);
                match outbox.accept(event).await {
                    Ok(_) => stored += 1,
                    Err(err) => break err,
                }
            };
            assert!(stored > 3, "{stored}");
            let cause = std::error::Error::source(&refused).unwrap().to_string();
            assert!(cause.contains("make room on the disk"), "{cause}");
            assert_eq!(bench.status().await.accepted, stored);
            assert_eq!(bench.waiting().await.events.len() as u64, stored);
        });
    }
}

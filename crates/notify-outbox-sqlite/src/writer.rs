//! The one thread that owns the connection, and group commit.
//!
//! **Invariant.** A job's result is sent only after the transaction that holds its work is committed.

use std::sync::Arc;
use std::thread;

use notify_core::{Clock, Timestamp};
use notify_outbox::OutboxError;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

/// The most jobs that share one commit.
const MOST_PER_COMMIT: usize = 256;

/// A job that did its work inside the transaction and waits to hear whether that was committed.
type Report = Box<dyn FnOnce(Result<(), String>) + Send>;

/// Work for the thread: it is given the transaction.
type Job = Box<dyn FnOnce(Transacted<'_>) -> Report + Send>;

/// The open transaction and the instant, or why there is none.
type Transacted<'a> = Result<(&'a Connection, Timestamp), String>;

/// The way to the thread. The thread ends when the last of these is gone.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(connection: Connection, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(4 * MOST_PER_COMMIT);
        thread::Builder::new()
            .name("notify-sqlite".to_owned())
            .spawn(move || work(connection, &*clock, queue))?;
        Ok(Self { jobs })
    }

    /// Runs a job in a transaction and waits until it is committed.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        job: impl FnOnce(&Connection, Timestamp) -> Result<T, OutboxError> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |transacted| {
            let result = transacted
                .map_err(|why| storage(doing, why.into()))
                .and_then(|(connection, now)| apart(connection, || job(connection, now)));
            Box::new(move |committed| {
                let result = result.and_then(|value| match committed {
                    Ok(()) => Ok(value),
                    Err(why) => Err(storage(doing, why.into())),
                });
                // The caller may have gone away; its work is committed all the same.
                answer.send(result).ok();
            })
        });
        self.jobs.send(job).await.map_err(|_| OutboxError::Closed)?;
        answered.await.map_err(|_| OutboxError::Closed)?
    }
}

/// Runs one job so that its failure undoes its own work and nobody else's.
fn apart<T>(
    connection: &Connection,
    job: impl FnOnce() -> Result<T, OutboxError>,
) -> Result<T, OutboxError> {
    let savepoint = |sql| {
        connection
            .execute_batch(sql)
            .map_err(doing("set a savepoint"))
    };
    savepoint("SAVEPOINT job")?;
    match job() {
        Ok(value) => savepoint("RELEASE job").map(|()| value),
        Err(err) => {
            savepoint("ROLLBACK TO job; RELEASE job")?;
            Err(err)
        }
    }
}

fn work(mut connection: Connection, clock: &dyn Clock, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < MOST_PER_COMMIT {
            match queue.try_recv() {
                Ok(next) => batch.push(next),
                Err(_) => break,
            }
        }
        commit(&mut connection, clock, batch);
    }
}

fn commit(connection: &mut Connection, clock: &dyn Clock, batch: Vec<Job>) {
    // IMMEDIATE takes the write lock at once, so a busy file is noticed before any work is done.
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let (reports, committed): (Vec<Report>, _) = match begun {
        Ok(transaction) => {
            let run = |job: Job| job(Ok((&transaction, clock.now())));
            let reports = batch.into_iter().map(run).collect();
            (reports, transaction.commit().map_err(|err| err.to_string()))
        }
        Err(err) => {
            let refuse = |job: Job| job(Err(err.to_string()));
            (batch.into_iter().map(refuse).collect(), Ok(()))
        }
    };
    for report in reports {
        report(committed.clone());
    }
}

/// Says what the store was doing when it failed.
pub(crate) fn doing(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> OutboxError {
    move |err| storage(doing, err.into())
}

fn storage(doing: &'static str, source: Box<dyn std::error::Error + Send + Sync>) -> OutboxError {
    OutboxError::Storage { doing, source }
}

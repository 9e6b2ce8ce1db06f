//! The one thread that owns the connection, and group commit.
//!
//! **Invariant.** A job's result is sent only after the transaction that holds its work is committed.
//! Jobs that find nothing to write take no lock that another process could wait for.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;

use notify_core::Clock;
use notify_outbox::OutboxError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::clock::{self, Seen};
use crate::ledger::Ledger;
use crate::place::Place;
use crate::spec::Specs;
use crate::trouble::Trouble;

/// The most jobs that share one commit.
const MOST_PER_COMMIT: usize = 256;

/// Work that needs a transaction.
pub(crate) type Work<T> = Box<dyn Fn(&Ledger<'_>) -> Result<T, OutboxError> + Send>;

/// A look that gives the answer where nothing has to be written for it.
pub(crate) type Look<T> = Box<dyn Fn(&Ledger<'_>) -> Result<Option<T>, OutboxError> + Send>;

/// What a job needs.
pub(crate) enum Way<T> {
    /// To read.
    Read(Work<T>),
    /// To write.
    Write(Work<T>),
    /// To write, unless a look says that there is nothing to do.
    Peek(Look<T>, Work<T>),
}

/// The way to the thread. The thread ends when the last of these is gone.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        connection: Connection,
        place: Place,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(4 * MOST_PER_COMMIT);
        let worker = Worker {
            connection,
            place,
            clock,
            seen: Seen::nothing(),
            specs: Specs::default(),
        };
        thread::Builder::new()
            .name("notify-sqlite".to_owned())
            .spawn(move || worker.work(queue))?;
        Ok(Self { jobs })
    }

    /// Runs a job and waits until what it wrote is committed.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        way: Way<T>,
    ) -> Result<T, OutboxError> {
        let (answer, answered) = oneshot::channel();
        let task = Task {
            doing,
            way,
            result: None,
            answer,
        };
        let sent = self.jobs.send(Box::new(task)).await;
        sent.map_err(|_| OutboxError::Closed)?;
        answered.await.map_err(|_| OutboxError::Closed)?
    }
}

/// What the thread sees of a job.
trait Job: Send {
    /// Tells whether the job may get by without writing.
    fn may_only_read(&self) -> bool;

    /// Tries to get by without writing; tells whether it did.
    fn look(&mut self, ledger: &Ledger<'_>) -> bool;

    /// Does the work; tells whether it did not fail.
    fn work(&mut self, ledger: &Ledger<'_>) -> bool;

    /// Does the work anew, so that its failure undoes its own work and nobody else's.
    fn work_apart(&mut self, ledger: &Ledger<'_>);

    /// Sends the result, now that it is known whether the transaction is committed.
    fn report(self: Box<Self>, committed: &Result<(), Trouble>);
}

/// A job with its result and the way back to whoever waits for it.
struct Task<T> {
    doing: &'static str,
    way: Way<T>,
    result: Option<Result<T, OutboxError>>,
    answer: oneshot::Sender<Result<T, OutboxError>>,
}

impl<T: Send> Job for Task<T> {
    fn may_only_read(&self) -> bool {
        !matches!(self.way, Way::Write(_))
    }

    fn look(&mut self, ledger: &Ledger<'_>) -> bool {
        self.result = match &self.way {
            Way::Read(read) => Some(read(ledger)),
            Way::Peek(look, _) => look(ledger).transpose(),
            Way::Write(_) => None,
        };
        self.result.is_some()
    }

    fn work(&mut self, ledger: &Ledger<'_>) -> bool {
        if !self.look(ledger)
            && let Way::Write(work) | Way::Peek(_, work) = &self.way
        {
            self.result = Some(work(ledger));
        }
        matches!(self.result, Some(Ok(_)))
    }

    fn work_apart(&mut self, ledger: &Ledger<'_>) {
        if !self.look(ledger)
            && let Way::Write(work) | Way::Peek(_, work) = &self.way
        {
            self.result = Some(apart(ledger, work));
        }
    }

    fn report(self: Box<Self>, committed: &Result<(), Trouble>) {
        let result = match (self.result, committed) {
            (Some(Err(err)), _) => Err(err),
            (_, Err(trouble)) => Err(trouble.clone().while_doing(self.doing)),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(OutboxError::Closed),
        };
        // The caller may have gone away; its work is committed all the same.
        self.answer.send(result).ok();
    }
}

/// Runs one job so that its failure undoes its own work and nobody else's.
fn apart<T>(ledger: &Ledger<'_>, work: &Work<T>) -> Result<T, OutboxError> {
    let savepoint = |sql| ledger.change("set a savepoint", sql, []);
    savepoint("SAVEPOINT job")?;
    let result = work(ledger);
    if result.is_err() && !ledger.connection.is_autocommit() {
        savepoint("ROLLBACK TO job")?;
    }
    // A disk without room may have ended the transaction, and the savepoint with it.
    if !ledger.connection.is_autocommit() {
        savepoint("RELEASE job")?;
    }
    result
}

/// The thread's own.
struct Worker {
    connection: Connection,
    place: Place,
    clock: Arc<dyn Clock>,
    seen: Seen,
    specs: Specs,
}

type Batch = Vec<Box<dyn Job>>;

/// Sends the results of jobs.
fn report(jobs: Batch, committed: &Result<(), Trouble>) {
    for job in jobs {
        job.report(committed);
    }
}

impl Worker {
    fn work(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        while let Some(first) = queue.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < MOST_PER_COMMIT {
                match queue.try_recv() {
                    Ok(next) => batch.push(next),
                    Err(_) => break,
                }
            }
            if let Err(gone) = self.check() {
                report(batch, &Err(gone));
                continue;
            }
            if batch.iter().all(|job| job.may_only_read()) {
                batch = self.read(batch);
            }
            if !batch.is_empty() {
                self.write(batch);
            }
            self.write_the_time();
        }
        // Where another file is in its place by now, its log must not be removed with this one's.
        self.check().ok();
    }

    /// Tells whether the file is still at its place. If it is not, the log that is found there
    /// belongs to another file, and is left alone.
    fn check(&mut self) -> Result<(), Trouble> {
        let checked = self.place.check();
        if checked.is_err() {
            let keep_log = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            self.connection.set_db_config(keep_log, true)?;
        }
        checked
    }

    /// Answers what can be answered from a snapshot and gives the rest back.
    fn read(&mut self, batch: Batch) -> Batch {
        let begun = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Deferred);
        let Ok(transaction) = begun else {
            return batch;
        };
        let stamped = Cell::new(self.clock.now());
        let ledger = Ledger {
            connection: &transaction,
            now: self.clock.now(),
            specs: &self.specs,
            stamped: &stamped,
        };
        let Ok(stored) = Seen::read(&ledger) else {
            return batch;
        };
        let seen = stored.with(self.seen);
        if seen.set_back(ledger.now).is_some() {
            return batch;
        }
        if self.seen.is_known() {
            self.seen = seen.seeing(ledger.now);
        }
        let (answered, rest): (Batch, Batch) = batch
            .into_iter()
            .map(|mut job| (job.look(&ledger), job))
            .fold((Batch::new(), Batch::new()), |mut sorted, (done, job)| {
                let side = if done { &mut sorted.0 } else { &mut sorted.1 };
                side.push(job);
                sorted
            });
        let ended = transaction.commit().map_err(Trouble::from);
        report(answered, &ended);
        rest
    }

    /// Writes the time down now and then, where nothing else is written. Nobody waits for it, and it
    /// is tried no more often than it is due.
    fn write_the_time(&mut self) {
        if let Some(tried) = self.seen.stale() {
            self.seen = tried;
            self.transact(&mut Batch::new(), Care::Together).ok();
        }
    }

    /// Does everything in one transaction.
    fn write(&mut self, mut batch: Batch) {
        // A savepoint for each job costs more than the job. Only where one fails, everything is done
        // anew with them.
        let done = match self.transact(&mut batch, Care::Together) {
            Ok(Done::Undone) => self.transact(&mut batch, Care::Apart).map(drop),
            done => done.map(drop),
        };
        report(batch, &done);
    }

    fn transact(&mut self, batch: &mut Batch, care: Care) -> Result<Done, Trouble> {
        // IMMEDIATE takes the write lock at once, so a busy file is noticed before any work is done.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let stamped = Cell::new(self.clock.now());
        let ledger = Ledger {
            connection: &transaction,
            now: self.clock.now(),
            specs: &self.specs,
            stamped: &stamped,
        };
        let changes = transaction.total_changes();
        let stored = Seen::read(&ledger)?;
        let mut seen = stored.with(self.seen);
        match seen.set_back(ledger.now) {
            Some(by) => seen = clock::set_back(&ledger, seen, by)?,
            None => seen = seen.seeing(ledger.now),
        }
        for job in batch.iter_mut() {
            match care {
                Care::Together if !job.work(&ledger) => return Ok(Done::Undone),
                Care::Together => {}
                Care::Apart => job.work_apart(&ledger),
            }
            if transaction.is_autocommit() {
                let help = "make room on the disk, and see that it works";
                return Err(Trouble::new("SQLite gave the transaction up", help));
            }
        }
        if transaction.total_changes() != changes || seen.stale().is_some() {
            seen = seen.written(seen.note(&ledger, self.seen)?);
        }
        self.place.check()?;
        transaction.commit()?;
        self.seen = seen;
        Ok(Done::Committed)
    }
}

/// How jobs share a transaction.
#[derive(Clone, Copy)]
enum Care {
    /// The first that fails undoes all of them.
    Together,
    /// One that fails undoes its own work.
    Apart,
}

/// What came of a transaction.
enum Done {
    Committed,
    /// A job failed, and nothing was done.
    Undone,
}

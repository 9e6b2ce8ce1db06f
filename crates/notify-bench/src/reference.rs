//! A durable pipeline of a hundred lines: what group commit and HTTP cost when nothing else is done.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Client;
use rusqlite::{Connection, params};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::Result;
use crate::bare;

/// The most changes that share one commit.
const MOST_PER_COMMIT: usize = 256;

/// One change, and who waits for its commit.
struct Job {
    change: Change,
    done: oneshot::Sender<()>,
}

enum Change {
    Accepted(usize, String),
    Settled(usize),
}

/// The pipeline: a thread that writes, and tasks that deliver what is written.
#[derive(Debug)]
pub(crate) struct Pipeline {
    jobs: mpsc::Sender<Job>,
    queue: mpsc::UnboundedSender<(usize, Bytes)>,
    deliveries: JoinSet<Result<()>>,
}

impl Pipeline {
    /// Opens the file and starts everything.
    pub(crate) fn start(file: &Path, client: &Client, url: &str, in_flight: usize) -> Result<Self> {
        let connection = open(file)?;
        let (jobs, work) = mpsc::channel(4 * MOST_PER_COMMIT);
        thread::Builder::new()
            .name("reference".to_owned())
            .spawn(move || write(connection, work))?;
        let (queue, waiting) = mpsc::unbounded_channel();
        let waiting = Arc::new(AsyncMutex::new(waiting));
        let mut deliveries = JoinSet::new();
        for _ in 0..in_flight {
            let waiting = Arc::clone(&waiting);
            let (client, url, jobs) = (client.clone(), url.to_owned(), jobs.clone());
            deliveries.spawn(async move {
                loop {
                    let next: Option<(usize, Bytes)> = waiting.lock().await.recv().await;
                    let Some((number, body)) = next else {
                        return Ok(());
                    };
                    bare::post(&client, &url, body).await?;
                    commit(&jobs, Change::Settled(number)).await?;
                }
            });
        }
        Ok(Self {
            jobs,
            queue,
            deliveries,
        })
    }

    /// Accepts one event: returns when it is committed.
    pub(crate) async fn accept(&self, number: usize, text: String, body: Bytes) -> Result<()> {
        accept(&self.jobs, &self.queue, number, text, body).await
    }

    /// Accepts so many events by so many callers at once.
    pub(crate) async fn burst(
        &self,
        texts: Vec<String>,
        body: &Bytes,
        callers: usize,
    ) -> Result<()> {
        let events = Arc::new(Mutex::new(texts.into_iter().enumerate()));
        let mut tasks: JoinSet<Result<()>> = JoinSet::new();
        for _ in 0..callers {
            let (events, body) = (Arc::clone(&events), body.clone());
            let (jobs, queue) = (self.jobs.clone(), self.queue.clone());
            tasks.spawn(async move {
                loop {
                    let next = events.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((number, text)) = next else {
                        return Ok(());
                    };
                    accept(&jobs, &queue, number, text, body.clone()).await?;
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Waits until everything that was accepted is settled.
    pub(crate) async fn finish(self) -> Result<()> {
        let Self {
            jobs,
            queue,
            mut deliveries,
        } = self;
        drop((jobs, queue));
        while let Some(ended) = deliveries.join_next().await {
            ended??;
        }
        Ok(())
    }
}

async fn accept(
    jobs: &mpsc::Sender<Job>,
    queue: &mpsc::UnboundedSender<(usize, Bytes)>,
    number: usize,
    text: String,
    body: Bytes,
) -> Result<()> {
    commit(jobs, Change::Accepted(number, text)).await?;
    Ok(queue.send((number, body))?)
}

async fn commit(jobs: &mpsc::Sender<Job>, change: Change) -> Result<()> {
    let (done, is_done) = oneshot::channel();
    let sent = jobs.send(Job { change, done }).await;
    sent.map_err(|_| "the reference's writer has ended")?;
    Ok(is_done.await?)
}

fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         CREATE TABLE event (
             number INTEGER PRIMARY KEY,
             body   TEXT    NOT NULL,
             state  TEXT    NOT NULL DEFAULT 'accepted'
         );
         CREATE TABLE settled (number INTEGER PRIMARY KEY, receipt TEXT NOT NULL);",
    )?;
    Ok(connection)
}

const INSERT: &str = "INSERT INTO event (number, body) VALUES (?1, ?2)";
const SETTLE: &str = "INSERT INTO settled (number, receipt) VALUES (?1, 'ok')";

fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<usize> {
    match change {
        Change::Accepted(number, text) => connection
            .prepare_cached(INSERT)?
            .execute(params![i64::try_from(*number).unwrap_or(-1), text]),
        Change::Settled(number) => connection
            .prepare_cached(SETTLE)?
            .execute(params![i64::try_from(*number).unwrap_or(-1)]),
    }
}

/// Commits whatever has queued. What fails is not reported, and whoever waits for it fails.
fn write(mut connection: Connection, mut work: mpsc::Receiver<Job>) {
    while let Some(first) = work.blocking_recv() {
        let mut batch = vec![first];
        while let Some(job) = (batch.len() < MOST_PER_COMMIT).then(|| work.try_recv().ok()) {
            let Some(job) = job else { break };
            batch.push(job);
        }
        let committed = connection.transaction().and_then(|transaction| {
            for job in &batch {
                apply(&transaction, &job.change)?;
            }
            transaction.commit()
        });
        if committed.is_err() {
            return;
        }
        for job in batch {
            job.done.send(()).ok();
        }
    }
}

/// Commits each event by itself, insert and settlement together, and gives the time it took.
pub(crate) fn one_commit_each(file: &Path, texts: &[String]) -> Result<Duration> {
    let mut connection = open(file)?;
    let begun = Instant::now();
    for (number, text) in texts.iter().enumerate() {
        let transaction = connection.transaction()?;
        apply(&transaction, &Change::Accepted(number, text.clone()))?;
        apply(&transaction, &Change::Settled(number))?;
        transaction.commit()?;
    }
    Ok(begun.elapsed())
}

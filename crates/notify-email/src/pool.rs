//! Open sessions that wait for the next mail, never more than the account allows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::dialogue::Stopped;
use crate::session::{Session, Site};
use crate::smtp::{Fault, Stage};

/// How long a session waits for the next mail. Servers give up after five minutes at the earliest
/// (RFC 5321 4.5.3.2.7), what is between us and them much earlier.
const IDLE: Duration = Duration::from_mins(1);

/// After how long the server is asked whether it is still there.
const LOOK: Duration = Duration::from_secs(5);

/// The most mails of one session: many servers close after a hundred.
const MOST: u32 = 100;

/// The sessions of one account.
#[derive(Debug)]
pub(crate) struct Pool {
    room: Semaphore,
    idle: Arc<Mutex<Idle>>,
    /// Closes what waited for too long; it ends with the pool.
    sweeping: Mutex<JoinSet<()>>,
}

#[derive(Debug, Default)]
struct Idle {
    sessions: Vec<Session>,
    /// Whether somebody looks after them.
    is_swept: bool,
}

impl Idle {
    /// Closes the sessions that are too old or that the server ended.
    fn sweep(&mut self) {
        self.sessions
            .retain_mut(|session| session.used.elapsed() < IDLE && session.is_in_step());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sweeps whenever a session gets too old, until none is left. The sessions are the pool's: they
/// end with it, and say so.
async fn sweep(idle: Weak<Mutex<Idle>>) {
    while let Some(next) = idle.upgrade().and_then(|idle| next_sweep(&idle)) {
        sleep_until(next).await;
    }
}

fn next_sweep(idle: &Mutex<Idle>) -> Option<Instant> {
    let mut idle = lock(idle);
    idle.sweep();
    let oldest = idle.sessions.iter().map(|session| session.used).min();
    idle.is_swept = oldest.is_some();
    Some(oldest? + IDLE)
}

/// A session in use, and the place that it takes.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    pub(crate) session: Session,
    /// Whether it has carried a mail before.
    pub(crate) used_before: bool,
    place: SemaphorePermit<'a>,
}

impl Pool {
    pub(crate) fn new(connections: usize) -> Self {
        Self {
            room: Semaphore::new(connections),
            idle: Arc::default(),
            sweeping: Mutex::default(),
        }
    }

    /// Takes a session that is open already, or opens one.
    pub(crate) async fn take(&self, site: &Site, until: Instant) -> Result<Taken<'_>, Stopped> {
        // What is left after the wait is enough for a dialogue, or nobody begins one.
        let by = until.checked_sub(2 * site.patience.least);
        let place = self.place(by.unwrap_or(until)).await?;
        while let Some(mut session) = self.waiting() {
            if !session.wants_a_look(LOOK) || session.look(site, until).await {
                return Ok(Taken {
                    session,
                    used_before: true,
                    place,
                });
            }
        }
        Self::open(place, site, until).await
    }

    /// Gives back the place of a session that turned out to be dead, and opens another.
    pub(crate) async fn replace<'a>(
        dead: Taken<'a>,
        site: &Site,
        until: Instant,
    ) -> Result<Taken<'a>, Stopped> {
        Self::open(dead.place, site, until).await
    }

    async fn open<'a>(
        place: SemaphorePermit<'a>,
        site: &Site,
        until: Instant,
    ) -> Result<Taken<'a>, Stopped> {
        let session = Session::open(site, until, &mut Vec::new()).await?;
        Ok(Taken {
            session,
            used_before: false,
            place,
        })
    }

    async fn place(&self, by: Instant) -> Result<SemaphorePermit<'_>, Stopped> {
        // Nobody closes the semaphore.
        let place = timeout_at(by, self.room.acquire()).await.ok();
        place.and_then(Result::ok).ok_or_else(|| {
            let why = "every connection of the account is busy".to_owned();
            Stopped::new(Stage::Connect, Fault::Lost(why))
        })
    }

    /// Takes the session that was used last out of those that wait; the others grow old and go.
    fn waiting(&self) -> Option<Session> {
        let mut idle = lock(&self.idle);
        idle.sweep();
        idle.sessions.pop()
    }

    /// Keeps a session for the next mail, if it can carry one.
    pub(crate) fn keep(&self, taken: Taken<'_>) {
        let mut session = taken.session;
        if session.transactions < MOST && session.is_in_step() {
            let mut idle = lock(&self.idle);
            idle.sessions.push(session);
            if !idle.is_swept {
                idle.is_swept = true;
                let mut sweeping = lock(&self.sweeping);
                while sweeping.try_join_next().is_some() {}
                sweeping.spawn(sweep(Arc::downgrade(&self.idle)));
            }
        }
        // Only now: whoever comes next finds the session.
        drop(taken.place);
    }
}

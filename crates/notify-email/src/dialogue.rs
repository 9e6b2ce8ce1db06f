//! One stage of a dialogue after the other: what is said, what is heard, and in what time.

use std::future::Future;
use std::time::Duration;

use lettre::transport::smtp::response::{Response, Severity};
use notify_core::Reason;
use tokio::time::{Instant, timeout_at};

use crate::auth::Login;
use crate::smtp::{Fault, Stage};
use crate::stream::Line;

/// Where a dialogue ended early, and why.
#[derive(Clone, Debug)]
pub(crate) struct Stopped {
    pub(crate) stage: Stage,
    pub(crate) fault: Fault,
}

impl Stopped {
    pub(crate) const fn new(stage: Stage, fault: Fault) -> Self {
        Self { stage, fault }
    }

    pub(crate) fn refused(stage: Stage, reason: Reason, why: impl Into<String>) -> Self {
        Self::new(stage, Fault::Refused(reason, why.into()))
    }

    /// Takes the login's secret out of what the server said.
    pub(crate) fn masked(self, login: &Login) -> Self {
        let fault = match self.fault {
            Fault::Reply(reply) => Fault::Reply(reply.map_text(|text| login.mask(text))),
            Fault::Garbled(why) => Fault::Garbled(login.mask(&why)),
            other => other,
        };
        Self::new(self.stage, fault)
    }

    /// Tells whether the server said no, and is ready for the next command.
    pub(crate) fn is_an_answer(&self) -> bool {
        matches!(&self.fault, Fault::Reply(reply) if !reply.closes())
    }
}

/// One stage of a dialogue: each answer has the stage's time, and no more than what is left of all.
#[derive(Debug)]
pub(crate) struct Dialogue<'a> {
    line: &'a mut Line,
    stage: Stage,
    limit: Duration,
    until: Instant,
}

impl<'a> Dialogue<'a> {
    pub(crate) const fn new(
        line: &'a mut Line,
        stage: Stage,
        limit: Duration,
        until: Instant,
    ) -> Self {
        Self {
            line,
            stage,
            limit,
            until,
        }
    }

    /// Says something and hears what is not negative.
    pub(crate) async fn ask(&mut self, words: &str) -> Result<Response, Fault> {
        let answer = self.say_and_hear(words).await;
        answer.map_err(|stopped| stopped.fault)
    }

    pub(crate) async fn say(&mut self, words: &str) -> Result<(), Stopped> {
        step(
            self.stage,
            self.limit,
            self.until,
            self.line.say(words.as_bytes()),
        )
        .await
    }

    pub(crate) async fn hear(&mut self) -> Result<Response, Stopped> {
        step(self.stage, self.limit, self.until, self.line.reply()).await
    }

    pub(crate) async fn say_and_hear(&mut self, words: &str) -> Result<Response, Stopped> {
        let line = &mut *self.line;
        let both = async {
            match line.say(words.as_bytes()).await {
                Ok(()) => line.reply().await,
                // A server that has heard enough says why before it hangs up.
                Err(lost) => match line.reply().await {
                    Err(Fault::Reply(reply)) => Err(Fault::Reply(reply)),
                    _ => Err(lost),
                },
            }
        };
        step(self.stage, self.limit, self.until, both).await
    }
}

/// Makes one step of a dialogue in its time.
pub(crate) async fn step<T>(
    stage: Stage,
    limit: Duration,
    until: Instant,
    doing: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Stopped> {
    let by = Instant::now()
        .checked_add(limit)
        .map_or(until, |by| by.min(until));
    match timeout_at(by, doing).await {
        Ok(done) => done.map_err(|fault| Stopped::new(stage, fault)),
        Err(_) => Err(Stopped::new(stage, Fault::Timeout)),
    }
}

/// Takes a reply that is wanted here; a positive one that is not is a fault too.
pub(crate) fn wanted(
    reply: Response,
    wanted: impl Fn(&Response) -> bool,
) -> Result<Response, Fault> {
    if wanted(&reply) {
        return Ok(reply);
    }
    Err(Fault::Garbled(format!(
        "unexpected reply {}",
        words(&reply)
    )))
}

/// Tells whether a command was carried out (RFC 5321 4.2.1: the first digit decides).
pub(crate) fn completed(reply: &Response) -> bool {
    reply.code().severity == Severity::PositiveCompletion
}

/// Gives a reply as one text.
pub(crate) fn words(reply: &Response) -> String {
    let lines: Vec<&str> = reply.message().collect();
    format!("{} {}", reply.code(), lines.join(" "))
}

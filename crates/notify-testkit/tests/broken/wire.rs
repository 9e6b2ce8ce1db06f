//! The toy's transport: HTTP by hand, with a place for each flaw.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use notify_core::outcome::clean;
use notify_core::secret::{ExposeSecret, SecretString};
use notify_core::{
    Cause, DeliveryContext, Malformed, Outcome, Prepared, Reason, Receipt, Reconciled, Scope,
    Transport,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::flaw::{Flaw, has};

/// The most that is read of an answer.
const MAX_ANSWER: usize = 64 * 1024;

/// The longest wait that is obeyed.
const MAX_WAIT: u64 = 3_600;

/// Sees that a token can stand in a header.
pub(crate) fn checked_token(token: &SecretString) -> Result<(), Malformed> {
    let token = token.expose_secret();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(if has(Flaw::QuotesToken) {
            Malformed::new(format!("`{token}` is no token"))
        } else {
            Malformed::new("this is no token").sensitive()
        });
    }
    Ok(())
}

pub(crate) struct ToyTransport {
    server: SocketAddr,
    token: SecretString,
    timeout: Duration,
    busy: AtomicBool,
    lock: Mutex<()>,
}

impl fmt::Debug for ToyTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if has(Flaw::DebugToken) {
            self.token.expose_secret()
        } else {
            "[secret]"
        };
        write!(f, "ToyTransport({}, {shown})", self.server)
    }
}

/// How an exchange ended.
enum Ended {
    /// The server hung up; what it said until then.
    Closed(Vec<u8>),
    /// The answer has more than is read.
    TooLarge,
    /// No connection.
    NoConnection(io::Error),
    /// No connection in time.
    NotOpened,
    /// No whole answer in time; how much of it there was.
    Late(usize),
    /// The connection broke after the request.
    Broke(io::Error),
}

impl ToyTransport {
    pub(crate) fn new(server: SocketAddr, token: SecretString, timeout: Duration) -> Self {
        Self {
            server,
            token,
            timeout,
            busy: AtomicBool::new(false),
            lock: Mutex::new(()),
        }
    }

    async fn attempt(&self, cx: &DeliveryContext<'_>, prepared: &Prepared, topic: &str) -> Outcome {
        let mut body = String::from_utf8_lossy(&prepared.payload.body).into_owned();
        if has(Flaw::TopicOfFirst) {
            let own = format!("\"topic\":\"{}\"", prepared.recipient);
            body = body.replace(&own, &format!("\"topic\":\"{topic}\""));
        }
        if has(Flaw::AidPerAttempt) {
            body = body.replace("\"ntf_", &format!("\"attempt{}_", cx.attempt));
        }
        if has(Flaw::Logs) {
            tracing::debug!(token = self.token.expose_secret(), "Sending.");
        }
        let json: Value = serde_json::from_str(&body).unwrap_or_default();
        let title = json["title"].as_str().unwrap_or_default();
        let header = if has(Flaw::Header) {
            format!("x-title: {title}\r\n")
        } else {
            String::new()
        };
        let request = format!(
            "POST /send HTTP/1.1\r\nauthorization: Bearer {}\r\n{header}content-length: {}\r\n\r\n{body}",
            self.token.expose_secret(),
            body.len()
        );
        if has(Flaw::Busy) && self.busy.swap(true, Ordering::SeqCst) {
            return Outcome::not_delivered(Cause::Internal, "busy");
        }
        let ended = self.exchanged(self.server, request.clone()).await;
        self.busy.store(false, Ordering::SeqCst);
        let outcome = self.outcome(cx, ended).await;
        let again = matches!(
            &outcome,
            Outcome::NotDelivered {
                cause: Cause::Unavailable,
                ..
            }
        );
        if again && has(Flaw::Repeats) {
            let ended = self.exchanged(self.server, request).await;
            return self.outcome(cx, ended).await;
        }
        outcome
    }

    async fn exchanged(&self, server: SocketAddr, request: String) -> Ended {
        let exchange = exchange(server, request, self.timeout);
        if has(Flaw::Spawns) {
            // What nobody owns goes on when its caller is gone.
            let (give, take) = tokio::sync::oneshot::channel();
            let mut tasks = JoinSet::new();
            tasks.spawn(async move {
                give.send(exchange.await).ok();
            });
            tasks.detach_all();
            return take.await.unwrap_or(Ended::Late(0));
        }
        exchange.await
    }

    async fn outcome(&self, cx: &DeliveryContext<'_>, ended: Ended) -> Outcome {
        match ended {
            Ended::Closed(answer) => self.answered(cx, &answer).await,
            Ended::TooLarge => Outcome::unknown(Cause::TooLarge, "the answer has no end"),
            Ended::NoConnection(err) if has(Flaw::Refused) => {
                Outcome::unknown(Cause::Connect, err.to_string())
            }
            Ended::NoConnection(err) => Outcome::not_delivered(Cause::Connect, err.to_string()),
            Ended::NotOpened => Outcome::not_delivered(Cause::Connect, "not in time"),
            Ended::Late(0) if has(Flaw::Silence) => {
                Outcome::not_delivered(Cause::Timeout, "no answer")
            }
            Ended::Late(1..) if has(Flaw::Stall) => Outcome::rejected(Reason::Policy, "half"),
            Ended::Late(_) => Outcome::unknown(Cause::Timeout, "no answer in time"),
            Ended::Broke(err) if has(Flaw::Reset) => {
                Outcome::not_delivered(Cause::Connect, err.to_string())
            }
            Ended::Broke(err) => Outcome::unknown(Cause::Protocol, err.to_string()),
        }
    }

    async fn answered(&self, cx: &DeliveryContext<'_>, answer: &[u8]) -> Outcome {
        let text = String::from_utf8_lossy(answer).into_owned();
        let text = if has(Flaw::Echo) {
            text
        } else {
            text.replace(self.token.expose_secret(), "[secret]")
        };
        let Some((status, headers, body)) = parsed(&text) else {
            return if has(Flaw::Garbage) && !text.starts_with("HTTP/1.1 ") {
                Outcome::rejected(Reason::Policy, "no answer at all")
            } else {
                Outcome::unknown(Cause::Protocol, "not an answer")
            };
        };
        let header = |name: &str| {
            let line = headers.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.strip_prefix(": "))
        };
        let page = body.contains("<html");
        match status {
            200 if page && has(Flaw::LoginPage) => Outcome::Delivered(Receipt::new("m1")),
            200 if has(Flaw::Success) => Outcome::unknown(Cause::Protocol, "odd"),
            200 => {
                let json: Value = serde_json::from_str(body).unwrap_or_default();
                match json["id"].as_str() {
                    Some(_) if has(Flaw::Receipt) => Outcome::Delivered(Receipt::new("")),
                    Some(id) => Outcome::Delivered(Receipt::new(id)),
                    None => Outcome::unknown(Cause::Protocol, "no id"),
                }
            }
            302 if has(Flaw::Redirect) => {
                let to = header("location").and_then(|to| to.split('/').nth(2)?.parse().ok());
                let request = "POST /send HTTP/1.1\r\ncontent-length: 0\r\n\r\n".to_owned();
                exchange(to.unwrap_or(self.server), request, self.timeout).await;
                Outcome::rejected(Reason::Config, "redirected")
            }
            302 => Outcome::rejected(Reason::Config, "redirected"),
            401 => Outcome::rejected(Reason::Auth, "no"),
            404 if has(Flaw::Table) => Outcome::rejected(Reason::Auth, "no"),
            404 => Outcome::rejected(Reason::Destination, "no topic"),
            429 => {
                let guard = self.lock.lock().unwrap();
                if !has(Flaw::Poisoned) {
                    drop(guard);
                }
                let wait = header("retry-after").and_then(|wait| waited(cx, wait));
                Outcome::throttled("slow down", wait, Scope::Lane)
            }
            500.. if page && has(Flaw::ErrorPage) => Outcome::rejected(Reason::Policy, "a page"),
            500.. => Outcome::not_delivered(Cause::Unavailable, body),
            _ => {
                let detail = if has(Flaw::Detail) {
                    body.to_owned()
                } else {
                    clean(body)
                };
                let (reason, scope) = (Reason::Payload, Scope::Account);
                Outcome::Rejected {
                    reason,
                    detail,
                    scope,
                }
            }
        }
    }
}

/// Reads a wait: seconds, or the one date that the suite sends.
fn waited(cx: &DeliveryContext<'_>, wait: &str) -> Option<Duration> {
    let now = cx.clock.now();
    if let Ok(seconds) = wait.parse::<u64>() {
        let most = if has(Flaw::WaitForever) {
            u64::MAX
        } else {
            MAX_WAIT
        };
        return Some(Duration::from_secs(seconds.min(most))).filter(|_| !has(Flaw::WaitSeconds));
    }
    let date = "Fri, 20 Nov 2026 23:58:16 GMT";
    let until = "2026-11-20T23:58:16Z".parse().ok();
    let known = wait == date && !has(Flaw::WaitDate);
    until
        .filter(|_| known)
        .map(|until: notify_core::Timestamp| until.since(now))
}

fn parsed(text: &str) -> Option<(u16, &str, &str)> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length = headers
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length?.parse().ok()?;
    let whole = body.len() >= length || has(Flaw::HalfAnswer);
    whole.then_some((status, headers, body))
}

async fn exchange(server: SocketAddr, request: String, within: Duration) -> Ended {
    let until = Instant::now() + within;
    let opening = if has(Flaw::Unopened) {
        within
    } else {
        within / 2
    };
    let mut stream = match timeout(opening, TcpStream::connect(server)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(err)) => return Ended::NoConnection(err),
        Err(_) if has(Flaw::Unopened) => return Ended::Late(1),
        Err(_) => return Ended::NotOpened,
    };
    if let Err(err) = stream.write_all(request.as_bytes()).await {
        return Ended::Broke(err);
    }
    let mut answer = Vec::new();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let until = match () {
            () if has(Flaw::Drip) => Instant::now() + within,
            () if has(Flaw::Waits) && answer.is_empty() => until + Duration::from_hours(1),
            () => until,
        };
        match timeout_at(until, stream.read(&mut chunk)).await {
            Err(_) => return Ended::Late(answer.len()),
            Ok(Err(err)) => return Ended::Broke(err),
            Ok(Ok(0)) => return Ended::Closed(answer),
            Ok(Ok(count)) => answer.extend_from_slice(&chunk[..count]),
        }
        if answer.len() > MAX_ANSWER && !has(Flaw::ReadsAll) {
            return Ended::TooLarge;
        }
    }
}

#[async_trait]
impl Transport for ToyTransport {
    async fn deliver(&self, cx: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        if batch.is_empty() && has(Flaw::EmptyBatch) {
            let request = "POST /hello HTTP/1.1\r\ncontent-length: 0\r\n\r\n".to_owned();
            exchange(self.server, request, self.timeout).await;
        }
        let mut outcomes = Vec::new();
        for prepared in batch {
            let topic = batch[0].recipient.as_str();
            outcomes.push(self.attempt(cx, prepared, topic).await);
        }
        if has(Flaw::FirstOfBatch) {
            outcomes.truncate(1);
        }
        if has(Flaw::BatchOrder) {
            outcomes.reverse();
        }
        outcomes
    }

    async fn reconcile(&self, _: &DeliveryContext<'_>, delivery: &Prepared) -> Reconciled {
        if has(Flaw::Reconciles) {
            Reconciled::Delivered(Receipt::new(delivery.id.to_string()))
        } else {
            Reconciled::Unknown
        }
    }
}

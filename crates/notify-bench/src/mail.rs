//! P13: mails through the provider, and through a lettre connection that is driven by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lettre::Address;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use notify_core::content::{Block, Severity};
use notify_core::{
    Account, Delivery, DeliveryContext, DeliveryId, Email, Message, Notification, NotificationKind,
    Outcome, Prepared, Secrets, SystemClock, Timestamp, Transport, email, phases,
};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::table::{Bound, Row, Unit};
use crate::{Result, work};

/// Mails of a round for each connection.
const EACH: usize = 500;

/// Compares the provider with a connection driven by hand, on one connection and on sixteen.
pub(crate) async fn compare(rounds: usize, events: usize) -> Result<Vec<Row>> {
    let sink = sink().await?;
    let mut rows = Vec::new();
    for connections in [1, 16] {
        let count = events.min(EACH * (connections + 4));
        let client = Arc::new(Client::new(sink, connections)?);
        let (mut ready, mut composed, mut by_hand) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            ready.push(ours(&client, connections, count, false).await?);
            by_hand.push(theirs(&client, sink, connections, count).await?);
            composed.push(ours(&client, connections, count, true).await?);
        }
        let row = |at: String, ours: Vec<f64>, bound| Row {
            goal: "P13",
            at,
            unit: Unit::PerSecond,
            ours,
            other: "lettre by hand",
            theirs: by_hand.clone(),
            bound,
        };
        let (at, whole) = (
            format!("at {connections}"),
            format!("at {connections}, whole"),
        );
        rows.push(row(at, ready, Bound::AtLeast(0.85)));
        // The other side sends bytes that are made already.
        rows.push(row(whole, composed, Bound::None));
    }
    Ok(rows)
}

/// The provider's side: an account, and a mail of it.
struct Client {
    account: Arc<dyn Account>,
    transport: Arc<dyn Transport>,
    notification: Notification,
    message: Message,
    ready: Prepared,
}

impl Client {
    fn new(sink: SocketAddr, connections: usize) -> Result<Self> {
        let section = json!({
            "smtp": format!("smtp+plaintext://{sink}"),
            "from": "Workflows <workflows@example.com>",
            "connections": connections,
        });
        let id = "email.default".parse()?;
        let account = notify_email::DESCRIPTOR.load_account(id, &section)?;
        let transport = account.connect(&Secrets::default())?;
        let notification = Email::on(phases![Failed])
            .to(email!("jane@example.org"))
            .into();
        let message = Message::new("etl-000 failed", Severity::Error)
            .block(Block::text("It ran for 2h 5m."))
            .block(Block::Code("row 4: amount is not a number".to_owned()));
        let ready = prepared(&*account, &notification, &message)?;
        Ok(Self {
            account,
            transport,
            notification,
            message,
            ready,
        })
    }

    async fn send(&self, composing: bool) -> Result<()> {
        let prepared = if composing {
            prepared(&*self.account, &self.notification, &self.message)?
        } else {
            self.ready.clone()
        };
        let cx = DeliveryContext::new(1, &SystemClock);
        match &*self.transport.deliver(&cx, &[prepared]).await {
            [Outcome::Delivered(_)] => Ok(()),
            other => Err(format!("not delivered: {other:?}").into()),
        }
    }
}

fn prepared(
    account: &dyn Account,
    notification: &Notification,
    message: &Message,
) -> Result<Prepared> {
    let event = work::events(0..1, 1)?.remove(0);
    let id: DeliveryId = "ntf_00000000000000000000000000000007".parse()?;
    let at: Timestamp = "2026-11-20T23:57:46Z".parse()?;
    let recipient = notification.recipients().first().ok_or("nobody to tell")?;
    let delivery = Delivery::new(id, &event, notification, recipient, at);
    Ok(Prepared {
        id,
        recipient: recipient.clone(),
        payload: account.payload(&delivery, message),
    })
}

/// Sends so many mails by so many senders at once; gives mails per second.
async fn ours(
    client: &Arc<Client>,
    connections: usize,
    count: usize,
    composing: bool,
) -> Result<f64> {
    let send = move |client: Arc<Client>, mails: Mails| async move {
        while mails.next() {
            client.send(composing).await?;
        }
        Ok(())
    };
    // The first mails open the connections.
    all(client, connections, connections, send).await?;
    all(client, connections, count, send).await
}

async fn theirs(
    client: &Arc<Client>,
    sink: SocketAddr,
    connections: usize,
    count: usize,
) -> Result<f64> {
    let send = move |client: Arc<Client>, mails: Mails| async move {
        let mut connection = by_hand(sink).await?;
        let (from, to): (Address, Address) = (
            "workflows@example.com".parse()?,
            "jane@example.org".parse()?,
        );
        while mails.next() {
            let mail = Mail::new(Some(from.clone()), Vec::new());
            connection.command(mail).await?;
            connection
                .command(Rcpt::new(to.clone(), Vec::new()))
                .await?;
            connection.command(Data).await?;
            connection.message(&client.ready.payload.body).await?;
        }
        connection.quit().await?;
        Ok(())
    };
    all(client, connections, count, send).await
}

/// How many mails are still to be sent, by all senders together.
#[derive(Clone)]
struct Mails(Arc<AtomicUsize>);

impl Mails {
    fn next(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        let order = Ordering::Relaxed;
        self.0.fetch_update(order, order, less).is_ok()
    }
}

/// Runs so many senders until all mails are sent; gives mails per second.
#[expect(clippy::cast_precision_loss, reason = "counts of mails are small")]
async fn all<F>(
    client: &Arc<Client>,
    senders: usize,
    count: usize,
    send: impl Fn(Arc<Client>, Mails) -> F,
) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mails = Mails(Arc::new(AtomicUsize::new(count)));
    let begun = Instant::now();
    let mut sending = JoinSet::new();
    for _ in 0..senders {
        sending.spawn(send(Arc::clone(client), mails.clone()));
    }
    while let Some(ended) = sending.join_next().await {
        ended??;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

async fn by_hand(sink: SocketAddr) -> Result<AsyncSmtpConnection> {
    let tcp = TcpStream::connect(sink).await?;
    tcp.set_nodelay(true)?;
    let stream: Box<dyn AsyncTokioStream> = Box::new(tcp);
    let hello = ClientId::Domain("bench.example.com".to_owned());
    Ok(AsyncSmtpConnection::connect_with_transport(stream, &hello).await?)
}

/// Starts a server, on a thread of its own, that takes every mail and looks at none.
async fn sink() -> Result<SocketAddr> {
    let (started, start) = oneshot::channel();
    thread::Builder::new()
        .name("mail-sink".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(serve(started)).ok();
            }
        })?;
    Ok(tokio::time::timeout(Duration::from_secs(10), start).await??)
}

async fn serve(started: oneshot::Sender<SocketAddr>) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    started.send(listener.local_addr()?).ok();
    let mut sessions = JoinSet::new();
    loop {
        let (tcp, _) = listener.accept().await?;
        sessions.spawn(session(tcp));
    }
}

async fn session(tcp: TcpStream) -> Result<()> {
    tcp.set_nodelay(true)?;
    let mut tcp = BufReader::new(tcp);
    let mut replies = b"220 sink\r\n".to_vec();
    let mut line = Vec::new();
    loop {
        // What was said ahead is answered at once.
        if tcp.buffer().is_empty() && !replies.is_empty() {
            tcp.get_mut().write_all(&replies).await?;
            replies.clear();
        }
        line.clear();
        if tcp.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let reply: &[u8] = match line.get(..4) {
            Some(b"EHLO") => b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            Some(b"DATA") => {
                replies.extend_from_slice(b"354 go\r\n");
                tcp.get_mut().write_all(&replies).await?;
                replies.clear();
                loop {
                    line.clear();
                    match tcp.read_until(b'\n', &mut line).await? {
                        0 => return Ok(()),
                        _ if line == b".\r\n" => break,
                        _ => {}
                    }
                }
                b"250 taken\r\n"
            }
            Some(b"QUIT") => return Ok(tcp.get_mut().write_all(b"221 bye\r\n").await?),
            _ => b"250 ok\r\n",
        };
        replies.extend_from_slice(reply);
    }
}

//! An SMTP submission server (RFC 5321, AUTH after RFC 4954) that keeps what it is given.
//!
//! INVARIANT: what one client can make the server hold is bounded: the length of a command line,
//! the size of a message, the number of recipients and of sessions.

mod auth;
mod facts;
mod path;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mail_parser::{MessageParser, PartType};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::accounts::random_hex;
use crate::smtp::facts::facts;
use crate::smtp::path::{asked_refusal, is_address, path};
use crate::store::{Entry, Service, Store};

/// The only user.
pub(crate) const USERNAME: &str = "sandbox";

const MAX_MESSAGE_BYTES: usize = 10 * 1024 * 1024;
/// What is read of an oversized message before the connection is given up.
const MAX_DISCARDED_BYTES: usize = 8 * MAX_MESSAGE_BYTES;
/// More than the 512 of RFC 5321, for long addresses and initial AUTH responses.
const MAX_LINE_BYTES: usize = 2_048;
const MAX_RECIPIENTS: usize = 100;
const MAX_SESSIONS: usize = 64;
/// The least that RFC 5321 section 4.5.3.2.7 lets a server wait for the next command.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);

/// The mail service: one user, any recipient.
#[derive(Debug)]
pub(crate) struct Smtp {
    store: Arc<Store>,
    password: String,
    last_queue_id: AtomicU64,
}

impl Smtp {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            password: random_hex(24),
            last_queue_id: AtomicU64::new(0),
        }
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    fn accepts(&self, username: &[u8], password: &[u8]) -> bool {
        username == USERNAME.as_bytes() && password == self.password.as_bytes()
    }

    /// Keeps a message, once per recipient; returns its queue id.
    fn keep(&self, envelope: &Envelope, mail: &[u8]) -> String {
        let id = self.last_queue_id.fetch_add(1, Ordering::Relaxed) + 1;
        let raw = String::from_utf8_lossy(mail);
        let message = MessageParser::default().parse(mail).unwrap_or_default();
        let details = facts(&message, &envelope.sender);
        let html = message.html_bodies().find_map(|part| match &part.body {
            PartType::Html(html) => Some(html.to_string()),
            _ => None,
        });
        let text = message.body_text(0).unwrap_or_default();
        for recipient in &envelope.recipients {
            let headline = message.subject().unwrap_or("(no subject)");
            let mut entry = Entry::new(Service::Email, recipient, headline, raw.to_string());
            entry.message.text = text.to_string();
            entry.message.html.clone_from(&html);
            entry.message.details.clone_from(&details);
            entry.repeat_key = message
                .message_id()
                .map(|message_id| format!("email {message_id} {recipient}"));
            self.store.record(entry);
        }
        format!("SANDBOX{id:06}")
    }
}

/// Accepts connections until the task is aborted; the sessions end with it.
pub(crate) async fn serve(listener: TcpListener, smtp: Arc<Smtp>) {
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = sessions.join_next(), if !sessions.is_empty() => continue,
        };
        match accepted {
            Ok((mut stream, _)) if sessions.len() >= MAX_SESSIONS => {
                // The client is turned away either way.
                drop(stream.try_write(b"421 4.3.2 Too many connections\r\n"));
                drop(stream.shutdown().await);
            }
            Ok((stream, _)) => {
                let smtp = Arc::clone(&smtp);
                sessions.spawn(async move {
                    // A broken connection is the client's affair.
                    drop(Session::new(&smtp, stream).run().await);
                });
            }
            // Out of file descriptors, most likely: a session that ends gives one back.
            Err(_) => pause().await,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "keeps a failing accept from spinning"
)]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// One connection.
#[derive(Debug)]
struct Session<'a> {
    smtp: &'a Smtp,
    stream: BufReader<TcpStream>,
    is_greeted: bool,
    is_authenticated: bool,
    envelope: Option<Envelope>,
}

/// A mail transaction between `MAIL` and `DATA`.
#[derive(Debug)]
struct Envelope {
    sender: String,
    recipients: Vec<String>,
    is_utf8: bool,
}

/// A line as it came, without its end.
#[derive(Debug)]
enum Line {
    Text(Vec<u8>),
    TooLong,
}

/// How the conversation goes on.
#[derive(Debug)]
enum Next {
    Reply(&'static str),
    ReplyText(String),
    /// The reply, if any, is the last thing that is said.
    Close(Option<String>),
}

impl<'a> Session<'a> {
    fn new(smtp: &'a Smtp, stream: TcpStream) -> Self {
        Self {
            smtp,
            stream: BufReader::new(stream),
            is_greeted: false,
            is_authenticated: false,
            envelope: None,
        }
    }

    async fn run(mut self) -> io::Result<()> {
        self.reply("220 sandbox.example ESMTP").await?;
        loop {
            let line = match timeout(IDLE_TIMEOUT, self.read_line()).await {
                Ok(line) => line?,
                Err(_) => return self.reply("421 4.4.2 Idle for too long").await,
            };
            let next = match line {
                None => return Ok(()),
                Some(Line::TooLong) => Next::Reply("500 5.5.2 Line too long"),
                Some(Line::Text(line)) => match str::from_utf8(&line) {
                    Ok(line) => self.command(line).await?,
                    Err(_) => Next::Reply("500 5.5.2 Command is not UTF-8"),
                },
            };
            match next {
                Next::Reply(reply) => self.reply(reply).await?,
                Next::ReplyText(reply) => self.reply(&reply).await?,
                Next::Close(None) => return Ok(()),
                Next::Close(Some(reply)) => return self.reply(&reply).await,
            }
        }
    }

    async fn command(&mut self, line: &str) -> io::Result<Next> {
        let line = line.trim_end();
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let argument = argument.trim();
        Ok(match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" if argument.is_empty() => Next::Reply("501 5.5.4 Name missing"),
            "EHLO" => {
                self.is_greeted = true;
                self.envelope = None;
                Next::ReplyText(format!(
                    "250-sandbox.example\r\n250-PIPELINING\r\n250-SIZE {MAX_MESSAGE_BYTES}\r\n\
                     250-AUTH PLAIN LOGIN XOAUTH2\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n\
                     250 SMTPUTF8"
                ))
            }
            "HELO" => {
                self.is_greeted = true;
                self.envelope = None;
                Next::Reply("250 sandbox.example")
            }
            "AUTH" => self.auth(argument).await?,
            "MAIL" => self.mail(argument),
            "RCPT" => self.rcpt(argument),
            "DATA" => self.data(argument).await?,
            "RSET" => {
                self.envelope = None;
                Next::Reply("250 2.0.0 Ok")
            }
            "NOOP" => Next::Reply("250 2.0.0 Ok"),
            "VRFY" => Next::Reply("252 2.5.0 Send some mail, I will try"),
            "HELP" => Next::Reply("214 2.0.0 See RFC 5321"),
            "QUIT" => Next::Close(Some("221 2.0.0 Bye".to_owned())),
            "EXPN" | "TURN" | "STARTTLS" | "BDAT" => {
                Next::Reply("502 5.5.1 Command not implemented")
            }
            _ => Next::Reply("500 5.5.2 Command not recognised"),
        })
    }

    fn mail(&mut self, argument: &str) -> Next {
        if !self.is_greeted {
            return Next::Reply("503 5.5.1 Send EHLO first");
        }
        if !self.is_authenticated {
            return Next::Reply("530 5.7.0 Authentication required");
        }
        if self.envelope.is_some() {
            return Next::Reply("503 5.5.1 Nested MAIL command");
        }
        if let Some(status) = self.smtp.store.take_failure(Service::Email) {
            let reply = format!("{status} {}.3.0 The sandbox was told to fail", status / 100);
            // RFC 5321 section 3.8: 421 is said when the channel is about to close.
            return if status == 421 {
                Next::Close(Some(reply))
            } else {
                Next::ReplyText(reply)
            };
        }
        let Some((sender, parameters)) = path(argument, "FROM:") else {
            return Next::Reply("501 5.5.4 Syntax: MAIL FROM:<address>");
        };
        let mut is_utf8 = false;
        for parameter in parameters.split_ascii_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match (
                name.to_ascii_uppercase().as_str(),
                value.to_ascii_uppercase().as_str(),
            ) {
                ("SIZE", size) => match size.parse::<u64>() {
                    Ok(size) if size <= MAX_MESSAGE_BYTES as u64 => {}
                    Ok(_) => return Next::Reply(TOO_BIG),
                    Err(_) => return Next::Reply("501 5.5.4 Bad value of SIZE"),
                },
                ("BODY", "7BIT" | "8BITMIME") | ("AUTH", _) => {}
                ("SMTPUTF8", "") => is_utf8 = true,
                _ => return Next::Reply("555 5.5.4 Unsupported parameter"),
            }
        }
        // An empty sender is that of a bounce.
        if !sender.is_empty() && !is_address(sender) {
            return Next::Reply("553 5.1.7 Bad sender address");
        }
        if !sender.is_ascii() && !is_utf8 {
            return Next::Reply("553 5.6.7 Address needs SMTPUTF8");
        }
        self.envelope = Some(Envelope {
            sender: sender.to_owned(),
            recipients: Vec::new(),
            is_utf8,
        });
        Next::Reply("250 2.1.0 Ok")
    }

    fn rcpt(&mut self, argument: &str) -> Next {
        let Some(envelope) = &mut self.envelope else {
            return Next::Reply("503 5.5.1 Send MAIL first");
        };
        let Some((recipient, parameters)) = path(argument, "TO:") else {
            return Next::Reply("501 5.5.4 Syntax: RCPT TO:<address>");
        };
        if !parameters.is_empty() {
            return Next::Reply("555 5.5.4 Unsupported parameter");
        }
        if !is_address(recipient) {
            return Next::Reply("553 5.1.3 Bad recipient address");
        }
        if !recipient.is_ascii() && !envelope.is_utf8 {
            return Next::Reply("553 5.6.7 Address needs SMTPUTF8");
        }
        if let Some(refusal) = asked_refusal(recipient) {
            return Next::ReplyText(refusal);
        }
        if envelope.recipients.len() >= MAX_RECIPIENTS {
            return Next::Reply("452 4.5.3 Too many recipients");
        }
        if !envelope.recipients.iter().any(|known| known == recipient) {
            envelope.recipients.push(recipient.to_owned());
        }
        Next::Reply("250 2.1.5 Ok")
    }

    async fn data(&mut self, argument: &str) -> io::Result<Next> {
        if !argument.is_empty() {
            return Ok(Next::Reply("501 5.5.4 DATA takes no parameters"));
        }
        let Some(envelope) = self
            .envelope
            .take_if(|envelope| !envelope.recipients.is_empty())
        else {
            return Ok(Next::Reply(match self.envelope {
                None => "503 5.5.1 Send MAIL first",
                Some(_) => "554 5.5.1 No valid recipients",
            }));
        };
        self.reply("354 End data with <CR><LF>.<CR><LF>").await?;
        let Ok(read) = timeout(IDLE_TIMEOUT, self.read_mail()).await else {
            return Ok(Next::Close(Some("421 4.4.2 Idle for too long".to_owned())));
        };
        Ok(match read? {
            Some(mail) if mail.len() > MAX_MESSAGE_BYTES => Next::Reply(TOO_BIG),
            Some(mail) => {
                let id = self.smtp.keep(&envelope, &mail);
                Next::ReplyText(format!("250 2.0.0 Ok: queued as {id}"))
            }
            None => Next::Close(None),
        })
    }

    /// The next line; `None` at the end of the connection.
    async fn read_line(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut is_too_long = false;
        loop {
            // Never more than the limit is held, whatever the client sends.
            let limit = (MAX_LINE_BYTES + 1 - line.len()) as u64;
            if (&mut self.stream)
                .take(limit)
                .read_until(b'\n', &mut line)
                .await?
                == 0
            {
                return Ok(None);
            }
            if line.last() == Some(&b'\n') {
                break;
            }
            if line.len() > MAX_LINE_BYTES {
                is_too_long = true;
                line.clear();
            }
        }
        if is_too_long {
            return Ok(Some(Line::TooLong));
        }
        line.pop();
        line.pop_if(|byte| *byte == b'\r');
        Ok(Some(Line::Text(line)))
    }

    /// The text of a message with the dots of transparency removed.
    ///
    /// Of a message that is too long it gives more than the limit, but not all.
    /// `None` if the connection ended or too much had to be thrown away.
    async fn read_mail(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut mail = Vec::new();
        let mut discarded = 0;
        // RFC 5321 section 4.1.1.4: only CR LF ends a line, so that no message within the
        // message can be smuggled past another server.
        let mut is_line_start = true;
        loop {
            let mut piece = Vec::new();
            let limit = MAX_LINE_BYTES as u64;
            if (&mut self.stream)
                .take(limit)
                .read_until(b'\n', &mut piece)
                .await?
                == 0
            {
                return Ok(None);
            }
            // A piece that ends between CR and LF would hide the end of the line.
            if piece.last() == Some(&b'\r')
                && (&mut self.stream)
                    .take(1)
                    .read_until(b'\n', &mut piece)
                    .await?
                    == 0
            {
                return Ok(None);
            }
            if is_line_start && piece == b".\r\n" {
                return Ok(Some(mail));
            }
            let text = match piece.as_slice() {
                [b'.', rest @ ..] if is_line_start => rest,
                text => text,
            };
            is_line_start = piece.ends_with(b"\r\n");
            if mail.len() <= MAX_MESSAGE_BYTES {
                mail.extend_from_slice(text);
            } else {
                discarded += text.len();
                if discarded > MAX_DISCARDED_BYTES {
                    return Ok(None);
                }
            }
        }
    }

    async fn reply(&mut self, reply: &str) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        stream.flush().await
    }
}

const TOO_BIG: &str = "552 5.3.4 Message size exceeds fixed limit";

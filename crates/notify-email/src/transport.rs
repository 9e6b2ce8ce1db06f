//! One SMTP dialogue for each mail, over lettre's connection.
//!
//! Every stage gets what is left of the attempt's time. A connection that broke, or that said
//! something it may not say, is dropped where it is: what it would answer next belongs to no
//! command of ours.

use std::fmt;
use std::future::Future;
use std::net::Ipv4Addr;
use std::str;
use std::time::Duration;

use async_trait::async_trait;
use lettre::Address;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::commands::{Auth, Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use notify_core::outcome::clean;
use notify_core::{
    DeliveryContext, EmailAddress, Malformed, Outcome, Prepared, Reason, Receipt, Secrets,
    Transport,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};

use crate::account::EmailAccount;
use crate::address::{self, Mailbox};
use crate::config::{Security, Server};
use crate::fault::fault;
use crate::message::message_id;
use crate::smtp::{Fault, Stage, data_block, outcome};
use crate::stream::{ONE_ADDRESS, dial};

/// The most that parting may take: the outcome is known, and QUIT is a courtesy.
const PARTING: Duration = Duration::from_secs(1);

/// An account with its password.
#[derive(Debug)]
pub(crate) struct SmtpTransport {
    server: Server,
    from: Mailbox,
    login: Option<Login>,
    tls: Option<Tls>,
    hello: ClientId,
    timeout: Duration,
}

impl SmtpTransport {
    pub(crate) fn new(account: &EmailAccount, secrets: &Secrets) -> Result<Self, Malformed> {
        let server = account.server.clone();
        let tls = match server.security {
            Security::None => None,
            Security::Implicit | Security::StartTls => {
                let parameters = TlsParameters::new(server.host.clone());
                let parameters = parameters.map_err(|err| {
                    Malformed::new(format!("TLS cannot be set up: {err}"))
                        .help("see that the system's certificates (`ca-certificates`) are there")
                })?;
                Some(Tls(parameters))
            }
        };
        let login = account.login.as_ref().map(|login| {
            let password = secrets.get(&login.password)?.clone();
            Login::new(login.username.clone(), password)
        });
        Ok(Self {
            server,
            from: account.from.clone(),
            login: login.transpose()?,
            tls,
            hello: hello(ClientId::default()),
            timeout: account.timeout,
        })
    }

    /// Sends one mail and gives the server's last words.
    async fn send(&self, prepared: &Prepared, until: Instant) -> Result<String, Stopped> {
        let to = prepared
            .recipient
            .typed::<EmailAddress>()
            .and_then(|to| address::wire(&to))
            .map_err(|why| Stopped::refused(Stage::Rcpt, Reason::Destination, why.message))?;
        let mail = str::from_utf8(&prepared.payload.body)
            .map_err(|_| Stopped::refused(Stage::Data, Reason::Payload, "the mail is not UTF-8"))?;
        let block = data_block(mail);
        let mut connection = self.open(until).await?;
        let sent = self.converse(&mut connection, to, block, until).await;
        if sent.as_ref().err().is_none_or(Stopped::is_orderly) {
            part(&mut connection, until).await;
        }
        match &self.login {
            Some(login) => sent
                .map(|words| login.mask(&words))
                .map_err(|stopped| stopped.masked(login)),
            None => sent,
        }
    }

    /// Connects, and sees to TLS where there has to be some.
    async fn open(&self, until: Instant) -> Result<AsyncSmtpConnection, Stopped> {
        let Server {
            security,
            host,
            port,
        } = &self.server;
        let tls = self.tls.as_ref().map(|Tls(parameters)| parameters.clone());
        let at = Stage::Connect;
        if *security == Security::Implicit {
            let server = (host.as_str(), *port);
            let open = AsyncSmtpConnection::connect_tokio1(
                server,
                Some(ONE_ADDRESS),
                &self.hello,
                tls,
                None,
            );
            return step(at, until, open).await;
        }
        let tcp = timeout_at(until, dial(host, *port)).await;
        let tcp = tcp
            .map_err(|_| Stopped::new(at, Fault::Timeout))?
            .map_err(|fault| Stopped::new(at, fault))?;
        let stream: Box<dyn AsyncTokioStream> = Box::new(tcp);
        let open = AsyncSmtpConnection::connect_with_transport(stream, &self.hello);
        let mut connection = step(at, until, open).await?;
        if let Some(tls) = tls {
            let at = Stage::StartTls;
            if !connection.can_starttls() {
                part(&mut connection, until).await;
                let why = "the server does not offer STARTTLS, which `smtp://` requires";
                return Err(Stopped::refused(at, Reason::Config, why));
            }
            // Not to be parted from after an error: lettre's connection has no stream then.
            step(at, until, connection.starttls(tls, &self.hello)).await?;
        }
        Ok(connection)
    }

    /// Hands the mail over.
    async fn converse(
        &self,
        connection: &mut AsyncSmtpConnection,
        to: Address,
        block: String,
        until: Instant,
    ) -> Result<String, Stopped> {
        if let Some(login) = &self.login {
            login.authenticate(connection, until).await?;
        }
        let mut parameters = Vec::new();
        if !block.is_ascii() {
            // RFC 6531 3.1: an address in UTF-8 goes to servers that say they take one, with
            // 8BITMIME, which such servers offer too.
            if !connection
                .server_info()
                .supports_feature(Extension::SmtpUtfEight)
            {
                let why = "the address is not ASCII before its `@`, and the server does not offer SMTPUTF8";
                return Err(Stopped::refused(Stage::Rcpt, Reason::Destination, why));
            }
            parameters.push(MailParameter::SmtpUtfEight);
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let mail = Mail::new(Some(self.from.address().clone()), parameters);
        say(connection, Stage::Mail, until, mail, completed).await?;
        let rcpt = Rcpt::new(to, Vec::new());
        say(connection, Stage::Rcpt, until, rcpt, completed).await?;
        let ready = |reply: &Response| reply.has_code(354);
        say(connection, Stage::Data, until, Data, ready).await?;
        // One write for the mail and its final dot. In two, as lettre's own `message` does it, the
        // second waits for the first one's delayed acknowledgement wherever Nagle's algorithm is on.
        let taken = |reply: &Response| reply.has_code(250);
        let reply = say(connection, Stage::Message, until, block, taken).await?;
        Ok(said(&reply))
    }
}

#[async_trait]
impl Transport for SmtpTransport {
    async fn deliver(&self, _: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let until = Instant::now() + self.timeout;
        let mut outcomes = Vec::with_capacity(batch.len());
        for prepared in batch {
            outcomes.push(match self.send(prepared, until).await {
                Ok(reply) => {
                    let receipt = Receipt::new(message_id(prepared.id, &self.from));
                    Outcome::Delivered(receipt.fact("reply", clean(&reply)))
                }
                Err(Stopped { stage, fault }) => outcome(stage, &fault),
            });
        }
        outcomes
    }
}

/// Where a dialogue ended early, and why.
#[derive(Debug)]
struct Stopped {
    stage: Stage,
    fault: Fault,
}

impl Stopped {
    const fn new(stage: Stage, fault: Fault) -> Self {
        Self { stage, fault }
    }

    fn refused(stage: Stage, reason: Reason, why: impl Into<String>) -> Self {
        Self::new(stage, Fault::Refused(reason, why.into()))
    }

    /// Tells whether the connection is at a point where QUIT would be understood.
    fn is_orderly(&self) -> bool {
        match &self.fault {
            Fault::Reply(reply) => !reply.closes(),
            Fault::Refused(..) => true,
            Fault::Lost(_) | Fault::Garbled(_) | Fault::Timeout => false,
        }
    }

    /// Takes the password out of what the server said.
    fn masked(self, login: &Login) -> Self {
        let fault = match self.fault {
            Fault::Reply(reply) => Fault::Reply(reply.map_text(|text| login.mask(text))),
            Fault::Garbled(why) => Fault::Garbled(login.mask(&why)),
            other => other,
        };
        Self::new(self.stage, fault)
    }
}

/// Makes one step of the dialogue in what is left of the time.
async fn step<T>(
    stage: Stage,
    until: Instant,
    doing: impl Future<Output = Result<T, smtp::Error>>,
) -> Result<T, Stopped> {
    match timeout_at(until, doing).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(err)) => Err(Stopped::new(stage, fault(stage, &err))),
        Err(_) => Err(Stopped::new(stage, Fault::Timeout)),
    }
}

/// Says something and waits for the answer; a positive one that is not wanted here is a fault too.
async fn say(
    connection: &mut AsyncSmtpConnection,
    stage: Stage,
    until: Instant,
    words: impl fmt::Display,
    wanted: impl Fn(&Response) -> bool,
) -> Result<Response, Stopped> {
    let reply = step(stage, until, connection.command(words)).await?;
    if wanted(&reply) {
        return Ok(reply);
    }
    let why = format!("unexpected reply {}", said(&reply));
    Err(Stopped::new(stage, Fault::Garbled(why)))
}

/// Parts from a server that is in its senses. What comes of it changes nothing.
async fn part(connection: &mut AsyncSmtpConnection, until: Instant) {
    let by = until.min(Instant::now() + PARTING);
    timeout_at(by, connection.quit()).await.ok();
}

/// Tells whether a command was carried out (RFC 5321 4.2.1: the first digit decides).
fn completed(reply: &Response) -> bool {
    reply.code().severity == Severity::PositiveCompletion
}

/// Gives a reply as one text.
fn said(reply: &Response) -> String {
    let lines: Vec<&str> = reply.message().collect();
    format!("{} {}", reply.code(), lines.join(" "))
}

/// Names ourselves to the server.
///
/// RFC 5321 4.1.4 asks for a full name or an address literal; many servers refuse a bare name.
fn hello(own: ClientId) -> ClientId {
    let full = |name: &str| {
        name.split('.').count() > 1
            && name.split('.').all(|label| {
                !label.is_empty()
                    && label
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            })
    };
    match own {
        ClientId::Domain(name) if !full(&name) => ClientId::Ipv4(Ipv4Addr::LOCALHOST),
        own => own,
    }
}

/// Who logs in.
#[derive(Debug)]
struct Login {
    username: String,
    password: SecretString,
}

impl Login {
    fn new(username: String, password: SecretString) -> Result<Self, Malformed> {
        // RFC 4616 2: NUL separates the parts of AUTH PLAIN.
        if password.expose_secret().is_empty() || password.expose_secret().contains('\0') {
            return Err(Malformed::new("the password is empty or holds a NUL").sensitive());
        }
        Ok(Self { username, password })
    }

    fn credentials(&self) -> Credentials {
        let password = self.password.expose_secret().to_owned();
        Credentials::new(self.username.clone(), password)
    }

    /// Logs in. Not with lettre's own `auth`, which after a refusal waits for the answer to a QUIT.
    async fn authenticate(
        &self,
        connection: &mut AsyncSmtpConnection,
        until: Instant,
    ) -> Result<(), Stopped> {
        let at = Stage::Auth;
        // LOGIN is obsolete, and all that some servers have.
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        let Some(mechanism) = connection.server_info().get_auth_mechanism(&mechanisms) else {
            let why = "the server offers neither AUTH PLAIN nor AUTH LOGIN here";
            return Err(Stopped::refused(at, Reason::Config, why));
        };
        let unanswerable = |_| {
            Stopped::refused(
                at,
                Reason::Auth,
                "the server asks what the mechanism does not know",
            )
        };
        let asked = |reply: &Response| reply.has_code(334) || completed(reply);
        let auth = Auth::new(mechanism, self.credentials(), None).map_err(unanswerable)?;
        let mut reply = say(connection, at, until, auth, asked).await?;
        // LOGIN asks twice: for the name and for the password.
        for _ in 0..2 {
            if completed(&reply) {
                return Ok(());
            }
            let answer = Auth::new_from_response(mechanism, self.credentials(), &reply);
            let answer = answer.map_err(unanswerable)?;
            reply = say(connection, at, until, answer, asked).await?;
        }
        if completed(&reply) {
            return Ok(());
        }
        let why = "the server asks and asks".to_owned();
        Err(Stopped::new(at, Fault::Garbled(why)))
    }

    /// Takes the password out of a text, bare and in the forms that it had on the wire.
    ///
    /// One of fewer than four characters is left, as by [`Secrets::mask`]: it is in every reply.
    fn mask(&self, text: &str) -> String {
        let on_the_wire = [
            (Mechanism::Plain, None),
            (Mechanism::Login, Some("Password")),
        ]
        .into_iter()
        .filter_map(|(mechanism, challenge)| {
            let challenge = challenge.map(str::to_owned);
            let sent = Auth::new(mechanism, self.credentials(), challenge)
                .ok()?
                .to_string();
            sent.split_ascii_whitespace().last().map(str::to_owned)
        });
        on_the_wire
            .chain([self.password.expose_secret().to_owned()])
            .filter(|secret| secret.len() >= 4)
            .fold(text.to_owned(), |text, secret| {
                text.replace(&secret, "[secret]")
            })
    }
}

/// lettre's TLS settings, which have no `Debug` of their own; there is no secret in them.
struct Tls(TlsParameters);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_greet_with_a_full_name_or_an_address() {
        let table = [
            ("etl.example.com", "etl.example.com"),
            ("build-7", "[127.0.0.1]"),
            ("", "[127.0.0.1]"),
            ("etl..example", "[127.0.0.1]"),
            ("my_host.example.com", "[127.0.0.1]"),
            ("etl.example.com\r\nQUIT", "[127.0.0.1]"),
        ];
        for (own, expected) in table {
            assert_eq!(
                hello(ClientId::Domain(own.to_owned())).to_string(),
                expected
            );
        }
    }
}

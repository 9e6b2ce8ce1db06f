//! One connection to a server: how it is opened, and how mails are handed in over it.
//!
//! **Invariant.** A session is in step exactly while every reply that is on its way is the answer to
//! a command of ours. Whatever breaks that (a deadline, a reply that is none, a future that is
//! dropped in the middle) leaves it out of step, and then nothing is said over it any more.

use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt, Rset, Starttls};
use lettre::transport::smtp::extension::{ClientId, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use notify_core::Reason;
use tokio::time::Instant;

use crate::auth::Login;
use crate::config::Patience;
use crate::dialogue::{Dialogue, Stopped, completed, step, wanted, words};
use crate::server::{Security, Server};
use crate::smtp::{Fault, Stage};
use crate::stream::{Line, dial};
use crate::tls::Tls;

/// The most commands that go before their replies are heard.
const PIPELINED: usize = 100;

/// Where mail is handed in, as whom, and how long each step may take.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) tls: Option<Tls>,
    pub(crate) hello: ClientId,
    pub(crate) login: Option<Login>,
    pub(crate) patience: Patience,
}

/// A stage that was passed, and the server's words.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) stage: Stage,
    pub(crate) said: String,
}

/// What a server offers (RFC 5321 4.1.1.1).
#[derive(Debug, Default)]
pub(crate) struct Offers {
    starttls: bool,
    pub(crate) smtputf8: bool,
    pipelining: bool,
    /// The most bytes of a mail, where the server says (RFC 1870).
    pub(crate) size: Option<usize>,
    sizes: bool,
    pub(crate) mechanisms: Vec<Mechanism>,
}

impl Offers {
    fn of(reply: &Response) -> Self {
        let mut offers = Self::default();
        for line in reply.message().skip(1) {
            let mut parts = line.split_ascii_whitespace();
            let keyword = parts.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "STARTTLS" => offers.starttls = true,
                "SMTPUTF8" => offers.smtputf8 = true,
                "PIPELINING" => offers.pipelining = true,
                "SIZE" => {
                    offers.sizes = true;
                    let most = parts.next().and_then(|most| most.parse().ok());
                    offers.size = most.filter(|most| *most > 0);
                }
                "AUTH" => offers.mechanisms.extend(parts.filter_map(|name| {
                    match name.to_ascii_uppercase().as_str() {
                        "PLAIN" => Some(Mechanism::Plain),
                        "LOGIN" => Some(Mechanism::Login),
                        "XOAUTH2" => Some(Mechanism::Xoauth2),
                        _ => None,
                    }
                })),
                _ => {}
            }
        }
        offers
    }
}

/// A mail and its envelope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) from: &'a Address,
    /// At least one.
    pub(crate) to: &'a [Address],
    /// The mail's bytes, for the server's limit.
    pub(crate) size: usize,
    /// The mail as it is on the wire, the final dot included.
    pub(crate) block: &'a str,
}

/// One open connection, logged in where there is a login.
#[derive(Debug)]
pub(crate) struct Session {
    line: Line,
    pub(crate) offers: Offers,
    /// Whether the next reply is the answer to the next command.
    in_step: bool,
    /// Whether an earlier transaction is still open, so that RSET goes first.
    is_open: bool,
    pub(crate) transactions: u32,
    pub(crate) used: Instant,
}

impl Session {
    /// Connects, sees to TLS where there has to be some, and logs in.
    pub(crate) async fn open(
        site: &Site,
        until: Instant,
        passed: &mut Vec<Passed>,
    ) -> Result<Self, Stopped> {
        let Server {
            security,
            host,
            port,
        } = &site.server;
        let Patience {
            connect,
            greeting,
            tls: handshake,
            auth,
            ..
        } = site.patience;
        // Each address has a limit of its own.
        let dialled = dial(host, *port, connect);
        let mut line = step(Stage::Connect, Duration::MAX, until, dialled).await?;
        if let (Security::Implicit, Some(tls)) = (security, &site.tls) {
            line = step(Stage::Tls, handshake, until, line.begin_tls(tls)).await?;
        }
        let mut dialogue = Dialogue::new(&mut line, Stage::Connect, greeting, until);
        let banner = wanted(dialogue.hear().await?, |reply| reply.has_code(220))
            .map_err(|fault| Stopped::new(Stage::Connect, fault))?;
        passed.push(Passed {
            stage: Stage::Connect,
            said: words(&banner),
        });
        let mut hello = ehlo(&mut line, site, until).await?;
        if let (Security::StartTls, Some(tls)) = (security, &site.tls) {
            if !Offers::of(&hello).starttls {
                line.farewell();
                let why = "the server does not offer STARTTLS, which `smtp://` requires";
                return Err(Stopped::refused(Stage::StartTls, Reason::Config, why));
            }
            let mut dialogue =
                Dialogue::new(&mut line, Stage::StartTls, site.patience.command, until);
            let go = dialogue.say_and_hear(&Starttls.to_string()).await?;
            wanted(go, |reply| reply.has_code(220))
                .map_err(|fault| Stopped::new(Stage::StartTls, fault))?;
            line = step(Stage::StartTls, handshake, until, line.begin_tls(tls)).await?;
            hello = ehlo(&mut line, site, until).await?;
        }
        if let Some(said) = line.tls() {
            let stage = Stage::Tls;
            passed.push(Passed { stage, said });
        }
        passed.push(Passed {
            stage: Stage::Ehlo,
            said: words(&hello),
        });
        let offers = Offers::of(&hello);
        if let Some(login) = &site.login {
            let mut dialogue = Dialogue::new(&mut line, Stage::Auth, auth, until);
            let entered = login.authenticate(&offers, &mut dialogue).await;
            let said = match entered {
                Ok(said) => said,
                Err(fault) => {
                    if matches!(&fault, Fault::Reply(reply) if !reply.closes())
                        || matches!(&fault, Fault::Refused(Reason::Config, _))
                    {
                        line.farewell();
                    }
                    return Err(Stopped::new(Stage::Auth, fault));
                }
            };
            let stage = Stage::Auth;
            passed.push(Passed { stage, said });
        }
        Ok(Self {
            line,
            offers,
            in_step: true,
            is_open: false,
            transactions: 0,
            used: Instant::now(),
        })
    }

    /// Tells whether the session can be used again as far as can be seen from here.
    pub(crate) fn is_in_step(&mut self) -> bool {
        self.in_step && self.line.is_quiet()
    }

    /// Tells whether the server would have to be asked before the session is used again.
    pub(crate) fn wants_a_look(&self, idle: Duration) -> bool {
        self.is_open || self.used.elapsed() > idle
    }

    /// Asks the server whether it is still there, and ends what is open.
    pub(crate) async fn look(&mut self, site: &Site, until: Instant) -> bool {
        self.in_step = false;
        let limit = site.patience.command.min(Duration::from_secs(5));
        let mut dialogue = Dialogue::new(&mut self.line, Stage::Mail, limit, until);
        let reply = dialogue.ask(&Rset.to_string()).await;
        self.in_step = reply.is_ok_and(|reply| completed(&reply));
        self.is_open = !self.in_step;
        self.in_step
    }

    /// Hands a mail in, and says of each recipient what came of it: the server's last words, or where
    /// it ended.
    pub(crate) async fn hand_in(
        &mut self,
        envelope: Envelope<'_>,
        site: &Site,
        until: Instant,
    ) -> Vec<Result<String, Stopped>> {
        let mut refused = vec![None; envelope.to.len()];
        // Until the dialogue is at its end: a future that is dropped leaves it in the middle.
        self.in_step = false;
        let end = self.transaction(envelope, site, until, &mut refused).await;
        self.is_open = end.is_err();
        self.transactions = self.transactions.saturating_add(1);
        self.used = Instant::now();
        refused
            .into_iter()
            .map(|own| own.map_or_else(|| end.clone(), Err))
            .collect()
    }

    async fn transaction(
        &mut self,
        envelope: Envelope<'_>,
        site: &Site,
        until: Instant,
        refused: &mut [Option<Stopped>],
    ) -> Result<String, Stopped> {
        if let Some(most) = self.offers.size.filter(|most| envelope.size > *most) {
            self.in_step = true;
            let size = envelope.size;
            let why = format!("the mail has {size} bytes, and the server takes {most}");
            return Err(Stopped::refused(Stage::Mail, Reason::Payload, why));
        }
        let commands = self.commands(envelope);
        let ahead = if self.offers.pipelining { PIPELINED } else { 1 };
        let limit = site.patience.command;
        let mut number = 0;
        for group in commands.chunks(ahead) {
            let stage = group.first().map_or(Stage::Mail, |(stage, _)| *stage);
            let said: String = group.iter().map(|(_, command)| command.as_str()).collect();
            Dialogue::new(&mut self.line, stage, limit, until)
                .say(&said)
                .await?;
            for (stage, _) in group {
                let stage = *stage;
                let mut dialogue = Dialogue::new(&mut self.line, stage, limit, until);
                let reply = dialogue.hear().await;
                match (stage, reply) {
                    (Stage::Rcpt, Err(stopped)) if stopped.is_an_answer() => {
                        if let Some(place) = refused.get_mut(number) {
                            *place = Some(stopped.clone());
                        }
                        number += 1;
                        // Nobody is left to get the mail. With DATA under way, its answer is heard
                        // first.
                        if refused.iter().all(Option::is_some) && ahead == 1 {
                            self.in_step = true;
                            return Err(stopped);
                        }
                    }
                    (_, Err(stopped)) => {
                        // What was said ahead is still being answered.
                        self.in_step =
                            stopped.is_an_answer() && (ahead == 1 || stage == Stage::Data);
                        return Err(stopped);
                    }
                    (Stage::Data, Ok(reply)) => {
                        let go = wanted(reply, |reply| reply.has_code(354));
                        go.map_err(|fault| Stopped::new(stage, fault))?;
                        // The server waits for a mail that is for nobody: it does not get one.
                        if let Some(Some(stopped)) = refused.last()
                            && refused.iter().all(Option::is_some)
                        {
                            return Err(stopped.clone());
                        }
                    }
                    (_, Ok(reply)) => {
                        let done = wanted(reply, completed);
                        done.map_err(|fault| Stopped::new(stage, fault))?;
                        number += usize::from(stage == Stage::Rcpt);
                    }
                }
            }
        }
        if until.saturating_duration_since(Instant::now()) < site.patience.least {
            return Err(Stopped::new(Stage::Data, Fault::Timeout));
        }
        // One write for the mail and its final dot: in two, the second waits for the first one's
        // delayed acknowledgement wherever Nagle's algorithm is on.
        let stage = Stage::Message;
        let mut dialogue = Dialogue::new(&mut self.line, stage, site.patience.message, until);
        let reply = dialogue.say_and_hear(envelope.block).await;
        self.in_step = match &reply {
            Ok(reply) => reply.has_code(250),
            Err(stopped) => stopped.is_an_answer(),
        };
        wanted(reply?, |reply| reply.has_code(250))
            .map(|reply| words(&reply))
            .map_err(|fault| Stopped::new(stage, fault))
    }

    /// Lists the commands up to DATA.
    fn commands(&self, envelope: Envelope<'_>) -> Vec<(Stage, String)> {
        let mut parameters = Vec::new();
        if self.offers.sizes {
            parameters.push(MailParameter::Size(envelope.size));
        }
        let is_utf8 =
            !envelope.block.is_ascii() || envelope.to.iter().any(|to| !to.user().is_ascii());
        if is_utf8 {
            // RFC 6531 3.1: with 8BITMIME, which servers with SMTPUTF8 offer too.
            parameters.push(MailParameter::SmtpUtfEight);
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let mail = Mail::new(Some(envelope.from.clone()), parameters);
        let mut commands = vec![(Stage::Mail, mail.to_string())];
        let rcpt = |to: &Address| (Stage::Rcpt, Rcpt::new(to.clone(), Vec::new()).to_string());
        commands.extend(envelope.to.iter().map(rcpt));
        commands.push((Stage::Data, Data.to_string()));
        commands
    }
}

/// A session that ends says so, where it would be understood.
impl Drop for Session {
    fn drop(&mut self) {
        if self.in_step {
            self.line.farewell();
        }
    }
}

async fn ehlo(line: &mut Line, site: &Site, until: Instant) -> Result<Response, Stopped> {
    let mut dialogue = Dialogue::new(line, Stage::Ehlo, site.patience.greeting, until);
    let reply = dialogue
        .say_and_hear(&Ehlo::new(site.hello.clone()).to_string())
        .await?;
    wanted(reply, completed).map_err(|fault| Stopped::new(Stage::Ehlo, fault))
}

//! From prepared deliveries to mails that are handed in, and back to outcomes.

use std::net::Ipv4Addr;
use std::str;
use std::time::Duration;

use async_trait::async_trait;
use lettre::Address;
use lettre::transport::smtp::extension::ClientId;
use notify_core::outcome::clean;
use notify_core::{
    DeliveryContext, EmailAddress, Malformed, Outcome, Prepared, Reason, Receipt, Recipient,
    Secrets, Stage as Tried, Transport,
};
use tokio::time::Instant;

use crate::account::EmailAccount;
use crate::address::{self, Mailbox};
use crate::auth::Login;
use crate::dialogue::Stopped;
use crate::message::{message_id, without_unicode_addresses};
use crate::pool::Pool;
use crate::server::Security;
use crate::session::{Envelope, Passed, Session, Site};
use crate::smtp::{Fault, Stage, data_block, outcome};
use crate::tls::Tls;

/// How long those wait who were one too many for a transaction.
const NEXT_TRANSACTION: Duration = Duration::from_secs(1);

/// An account with its secrets.
#[derive(Debug)]
pub(crate) struct SmtpTransport {
    site: Site,
    from: Mailbox,
    pool: Pool,
    timeout: Duration,
}

impl SmtpTransport {
    pub(crate) fn new(account: &EmailAccount, secrets: &Secrets) -> Result<Self, Malformed> {
        let server = account.server.clone();
        let tls = match server.security {
            Security::None => None,
            Security::Implicit | Security::StartTls => {
                Some(Tls::new(&server.host, &account.tls, secrets)?)
            }
        };
        let login = account.login.as_ref();
        let login = login.map(|login| Login::new(login, secrets)).transpose()?;
        let hello = account.hello.clone().map(ClientId::Domain);
        Ok(Self {
            site: Site {
                server,
                tls,
                hello: hello.unwrap_or_else(|| own_name(ClientId::default())),
                login,
                patience: account.patience,
            },
            from: account.from.clone(),
            pool: Pool::new(account.connections),
            timeout: account.timeout,
        })
    }

    /// Hands in one mail for all these recipients; gives for each the server's last words, or where
    /// it ended.
    async fn send(
        &self,
        mail: &[u8],
        to: &[&Prepared],
        until: Instant,
    ) -> Vec<Result<String, Stopped>> {
        let all = |stopped: Stopped| vec![Err(stopped); to.len()];
        let Ok(mail) = str::from_utf8(mail) else {
            let why = "the mail is not UTF-8";
            return all(Stopped::refused(Stage::Data, Reason::Payload, why));
        };
        let mut taken = match self.pool.take(&self.site, until).await {
            Ok(taken) => taken,
            Err(stopped) => return all(stopped),
        };
        let mut said = self.hand_in(&mut taken.session, mail, to, until).await;
        // A server may close what it has waited on for long, and only then say so. It has taken
        // nothing by that.
        if taken.used_before && said.iter().any(hung_up_before_it_began) {
            taken = match Pool::replace(taken, &self.site, until).await {
                Ok(taken) => taken,
                Err(stopped) => return all(stopped),
            };
            said = self.hand_in(&mut taken.session, mail, to, until).await;
        }
        self.pool.keep(taken);
        said
    }

    async fn hand_in(
        &self,
        session: &mut Session,
        mail: &str,
        to: &[&Prepared],
        until: Instant,
    ) -> Vec<Result<String, Stopped>> {
        let takes_unicode = session.offers.smtputf8;
        let checked: Vec<_> = to
            .iter()
            .map(|prepared| address(prepared, takes_unicode))
            .collect();
        let envelope: Vec<Address> = checked.iter().flatten().cloned().collect();
        let mut said = Vec::new();
        if !envelope.is_empty() {
            // RFC 6531 3.1: an address in UTF-8 goes, in the mail too, to servers that say they
            // take one.
            let mail = if takes_unicode {
                mail.into()
            } else {
                without_unicode_addresses(mail)
            };
            let block = data_block(&mail);
            let envelope = Envelope {
                from: self.from.address(),
                to: &envelope,
                size: mail.len(),
                block: &block,
            };
            said = session.hand_in(envelope, &self.site, until).await;
        }
        let mut said = said.into_iter();
        let lost = || Stopped::new(Stage::Rcpt, Fault::Garbled("no answer".to_owned()));
        checked
            .into_iter()
            .map(|address| address.and_then(|_| said.next().unwrap_or_else(|| Err(lost()))))
            .collect()
    }

    fn masked(&self, text: &str) -> String {
        let login = self.site.login.as_ref();
        login.map_or_else(|| text.to_owned(), |login| login.mask(text))
    }

    fn outcome(&self, stopped: Stopped) -> Outcome {
        let Stopped { stage, fault } = match &self.site.login {
            Some(login) => stopped.masked(login),
            None => stopped,
        };
        outcome(stage, &fault)
    }

    /// Says what came of one mail for each of its recipients.
    fn outcomes(&self, mail: &[u8], said: Vec<Result<String, Stopped>>) -> Vec<Outcome> {
        let arrived = said.iter().any(Result::is_ok);
        let one = |said: Result<String, Stopped>| match said {
            Ok(words) => {
                let receipt = Receipt::new(message_id(mail).unwrap_or_default());
                Outcome::Delivered(receipt.fact("reply", clean(&self.masked(&words))))
            }
            Err(stopped) => {
                let next = arrived && stopped.is_for_the_next_transaction();
                match self.outcome(stopped) {
                    Outcome::NotDelivered {
                        cause,
                        detail,
                        scope,
                        ..
                    } if next => Outcome::NotDelivered {
                        cause,
                        detail,
                        retry_after: Some(NEXT_TRANSACTION),
                        scope,
                    },
                    outcome => outcome,
                }
            }
        };
        said.into_iter().map(one).collect()
    }
}

#[async_trait]
impl Transport for SmtpTransport {
    async fn deliver(&self, _: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let until = Instant::now() + self.timeout;
        let mut outcomes: Vec<Option<Outcome>> = vec![None; batch.len()];
        for (first, prepared) in batch.iter().enumerate() {
            if outcomes.get(first).is_none_or(Option::is_some) {
                continue;
            }
            // One mail to several is one transaction: its bytes are the same for all of them.
            let mail = &prepared.payload.body;
            let (places, group): (Vec<usize>, Vec<&Prepared>) = batch
                .iter()
                .enumerate()
                .skip(first)
                .filter(|(_, other)| other.payload.body == *mail)
                .unzip();
            let said = self.send(mail, &group, until).await;
            for (place, outcome) in places.into_iter().zip(self.outcomes(mail, said)) {
                if let Some(slot) = outcomes.get_mut(place) {
                    *slot = Some(outcome);
                }
            }
        }
        outcomes.into_iter().flatten().collect()
    }

    async fn check(&self, _: &DeliveryContext<'_>, _: &[Recipient]) -> Vec<Tried> {
        let until = Instant::now() + self.timeout;
        let mut passed = Vec::new();
        let opened = Session::open(&self.site, until, &mut passed).await;
        let mut tried: Vec<Tried> = passed
            .into_iter()
            .map(|Passed { stage, said }| Tried::passed(stage.name(), self.masked(&said)))
            .collect();
        if let Err(stopped) = opened {
            tried.push(Tried::failed(stopped.stage.name(), self.outcome(stopped)));
        }
        tried
    }
}

impl Stopped {
    fn is_for_the_next_transaction(&self) -> bool {
        let Fault::Reply(reply) = &self.fault else {
            return false;
        };
        self.stage == Stage::Rcpt && reply.is_too_many_recipients()
    }
}

/// Tells whether the server was gone before it had said anything about the mail.
fn hung_up_before_it_began(said: &Result<String, Stopped>) -> bool {
    match said {
        Err(Stopped {
            stage: Stage::Mail,
            fault: Fault::Lost(_),
        }) => true,
        Err(Stopped {
            stage: Stage::Mail,
            fault: Fault::Reply(reply),
        }) => reply.closes(),
        _ => false,
    }
}

/// Gives the address that a delivery goes to, in a form that the server takes.
fn address(prepared: &Prepared, takes_unicode: bool) -> Result<Address, Stopped> {
    let refused = |why: String| Stopped::refused(Stage::Rcpt, Reason::Destination, why);
    let to = prepared
        .recipient
        .typed::<EmailAddress>()
        .and_then(|to| address::wire(&to))
        .map_err(|why| refused(why.message))?;
    if to.user().is_ascii() || takes_unicode {
        return Ok(to);
    }
    let why = "the address is not ASCII before its `@`, and the server does not offer SMTPUTF8";
    Err(refused(why.to_owned()))
}

/// Names ourselves to the server.
///
/// RFC 5321 4.1.4 asks for a full name or an address literal; many servers refuse a bare name.
fn own_name(own: ClientId) -> ClientId {
    match own {
        ClientId::Domain(name) if !address::is_full_name(&name) => {
            ClientId::Ipv4(Ipv4Addr::LOCALHOST)
        }
        own => own,
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
                own_name(ClientId::Domain(own.to_owned())).to_string(),
                expected
            );
        }
    }
}

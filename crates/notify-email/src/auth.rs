//! Who logs in, and how.

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::Auth;
use notify_core::{Malformed, Reason, Secrets};
use secrecy::{ExposeSecret, SecretString};

use crate::config::LoginConfig;
use crate::session::{Dialogue, Offers, words};
use crate::smtp::Fault;

/// The most challenges that one login answers: LOGIN asks for the name and for the password.
const CHALLENGES: usize = 2;

/// A user with a password or an access token.
#[derive(Debug)]
pub(crate) struct Login {
    username: String,
    secret: SecretString,
    /// What the account allows, the best first.
    mechanisms: &'static [Mechanism],
}

impl Login {
    pub(crate) fn new(config: &LoginConfig, secrets: &Secrets) -> Result<Self, Malformed> {
        let secret = secrets.get(&config.secret)?.clone();
        let text = secret.expose_secret();
        // RFC 4616 2: NUL separates the parts of AUTH PLAIN. XOAUTH2 separates by ^A.
        let odd = |letter: char| letter == '\0' || config.is_token() && letter.is_control();
        if text.is_empty() || text.contains(odd) {
            let what = if config.is_token() {
                "token"
            } else {
                "password"
            };
            let why = format!("the {what} is empty or holds a character that no login has");
            return Err(Malformed::unquoting(why).sensitive());
        }
        Ok(Self {
            username: config.username.clone(),
            secret,
            mechanisms: config.mechanisms,
        })
    }

    fn credentials(&self) -> Credentials {
        let secret = self.secret.expose_secret().to_owned();
        Credentials::new(self.username.clone(), secret)
    }

    /// Logs in, and gives the server's words.
    pub(crate) async fn authenticate(
        &self,
        offers: &Offers,
        dialogue: &mut Dialogue<'_>,
    ) -> Result<String, Fault> {
        let offered = |mechanism: &&Mechanism| offers.mechanisms.contains(mechanism);
        let Some(mechanism) = self.mechanisms.iter().find(offered).copied() else {
            let names: Vec<String> = self.mechanisms.iter().map(ToString::to_string).collect();
            let why = format!(
                "the server does not offer AUTH {} here",
                names.join(" or AUTH ")
            );
            return Err(Fault::Refused(Reason::Config, why));
        };
        let unanswerable = |_| {
            let why = "the server asks what the mechanism does not know";
            Fault::Refused(Reason::Auth, why.to_owned())
        };
        let auth = Auth::new(mechanism, self.credentials(), None).map_err(unanswerable)?;
        let mut reply = dialogue.ask(&auth.to_string()).await?;
        for _ in 0..CHALLENGES {
            if !reply.has_code(334) {
                return Ok(words(&reply));
            }
            if mechanism == Mechanism::Xoauth2 {
                return Err(refused(dialogue).await);
            }
            let answer = Auth::new_from_response(mechanism, self.credentials(), &reply);
            reply = dialogue
                .ask(&answer.map_err(unanswerable)?.to_string())
                .await?;
        }
        if reply.has_code(334) {
            return Err(Fault::Garbled("the server asks and asks".to_owned()));
        }
        Ok(words(&reply))
    }

    /// Takes the secret out of a text, bare and in the forms that it had on the wire.
    ///
    /// One of fewer than four characters is left, as by [`Secrets::mask`]: it is in every reply.
    pub(crate) fn mask(&self, text: &str) -> String {
        let on_the_wire = [
            (Mechanism::Plain, None),
            (Mechanism::Login, Some("Password")),
            (Mechanism::Xoauth2, None),
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
            .chain([self.secret.expose_secret().to_owned()])
            .filter(|secret| secret.len() >= 4)
            .fold(text.to_owned(), |text, secret| {
                text.replace(&secret, "[secret]")
            })
    }
}

/// Hears why a token was refused.
///
/// The reason comes as a challenge, which is answered with nothing; only then comes the reply. Some
/// servers hang up instead.
async fn refused(dialogue: &mut Dialogue<'_>) -> Fault {
    match dialogue.ask("\r\n").await {
        Err(Fault::Reply(reply)) => Fault::Reply(reply),
        _ => Fault::Refused(
            Reason::Auth,
            "the server refuses the access token".to_owned(),
        ),
    }
}

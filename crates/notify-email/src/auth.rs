//! Who logs in, and how.

use std::collections::HashSet;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::Auth;
use notify_core::{Malformed, Reason, Secrets};
use secrecy::{ExposeSecret, SecretString};

use crate::config::LoginConfig;
use crate::dialogue::{Dialogue, completed, wanted, words};
use crate::session::Offers;
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
                break;
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
        wanted(reply, completed).map(|reply| words(&reply))
    }

    /// Takes the secret out of a text, bare and in the forms that it had on the wire, and whatever
    /// part of them is there: servers cut what they repeat, and break it into lines.
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
        let forms: Vec<String> = on_the_wire
            .chain([self.secret.expose_secret().to_owned()])
            .filter(|form| form.len() >= 4)
            .collect();
        without_parts(text, &forms)
    }
}

/// How many bytes of a secret, one after the other, are enough to tell something of it.
const PART: usize = 8;

/// Masks every run of a text that is one of these forms, or a part of one that tells something.
fn without_parts(text: &str, forms: &[String]) -> String {
    let mut told = vec![false; text.len()];
    // Long ones by their parts, and each length that is shorter by itself.
    for length in 1..=PART {
        let of_length = forms.iter().filter(|form| form.len().min(PART) == length);
        let parts: HashSet<&[u8]> = of_length
            .flat_map(|form| form.as_bytes().windows(length))
            .collect();
        if parts.is_empty() {
            continue;
        }
        for (at, window) in text.as_bytes().windows(length).enumerate() {
            if parts.contains(window) {
                let run = told.iter_mut().skip(at).take(length);
                run.for_each(|byte| *byte = true);
            }
        }
    }
    let mut masked = String::with_capacity(text.len());
    let mut within = false;
    for (at, letter) in text.char_indices() {
        // A letter of several bytes may be in a run with some of them.
        let is_told = told
            .iter()
            .skip(at)
            .take(letter.len_utf8())
            .any(|told| *told);
        if !is_told {
            masked.push(letter);
        } else if !within {
            masked.push_str("[secret]");
        }
        within = is_told;
    }
    masked
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

#[cfg(test)]
mod tests {
    use notify_core::secret::SecretError;
    use notify_core::{SecretRef, SecretSource};
    use proptest::{prop_assert, proptest};
    use serde_json::json;

    use super::*;
    use crate::config::EmailConfig;

    #[derive(Debug)]
    struct Fixed(String);

    impl SecretSource for Fixed {
        fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
            Ok(self.0.clone().into())
        }
    }

    fn login(key: &str, secret: &str) -> Login {
        let config: EmailConfig = serde_json::from_value(json!({
            "smtp": "smtps://smtp.example.com",
            "from": "ops@example.com",
            "username": "ops",
            key: {"env": "SECRET"},
        }))
        .unwrap();
        let config = config.validate().unwrap().login.unwrap();
        let secrets = Secrets::resolve(vec![&config.secret], &Fixed(secret.to_owned()));
        Login::new(&config, &secrets).unwrap()
    }

    /// Gives the last word of the command that logs in.
    fn sent(login: &Login, mechanism: Mechanism) -> String {
        let sent = Auth::new(mechanism, login.credentials(), None).unwrap();
        let sent = sent.to_string();
        sent.split_ascii_whitespace().last().unwrap().to_owned()
    }

    #[test]
    fn what_has_nothing_of_the_secret_is_left_as_it_is() {
        let login = login("password", "hunter2-and-more");
        let words = "535 5.7.8 größer: hunter2 and more are wrong";
        assert_eq!(login.mask(words), words);
        let text = login.mask("no: <AG9wcwBodW50ZXIyLWFuZC1tb3Jl>, hunter2-and-more");
        assert_eq!(text, "no: <[secret]>, [secret]");
    }

    proptest! {
        #[test]
        fn no_part_of_a_secret_is_told(
            secret in "[a-zA-Z0-9._é-]{16,80}",
            from in 0_usize..40,
            long in 12_usize..60,
        ) {
            let login = login("token", &secret);
            for mechanism in [Mechanism::Plain, Mechanism::Xoauth2] {
                let sent = sent(&login, mechanism);
                let cut = sent.get(from.min(sent.len() - 12)..).unwrap();
                let cut = cut.get(..long).unwrap_or(cut);
                let said = login.mask(&format!("500 what is {cut}…"));
                prop_assert!(said == "500 what is [secret]…", "{said}");
            }
        }
    }
}

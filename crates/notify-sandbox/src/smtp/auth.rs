//! `AUTH` after RFC 4954: PLAIN, LOGIN, and XOAUTH2 with the password for a token.

use std::io;

use mail_parser::decoders::base64::base64_decode;
use tokio::time::timeout;

use crate::smtp::{IDLE_TIMEOUT, Line, Next, Session};

/// `{"status":"401","schemes":"bearer","scope":"mail"}` in base64.
const XOAUTH2_REFUSAL: &str =
    "334 eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIiwic2NvcGUiOiJtYWlsIn0=";

impl Session<'_> {
    pub(super) async fn auth(&mut self, argument: &str) -> io::Result<Next> {
        if !self.is_greeted {
            return Ok(Next::Reply("503 5.5.1 Send EHLO first"));
        }
        if self.is_authenticated {
            return Ok(Next::Reply("503 5.5.1 Already authenticated"));
        }
        if self.envelope.is_some() {
            return Ok(Next::Reply("503 5.5.1 Not during a mail transaction"));
        }
        let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
        let initial = match initial.trim() {
            "" => None,
            // RFC 4954 section 4: a lone `=` is an empty response.
            "=" => Some(String::new()),
            initial => Some(initial.to_owned()),
        };
        let credentials = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => self.response(initial, "334 ").await?.and_then(|response| {
                let mut parts = response
                    .split(|byte| *byte == 0)
                    .skip(1)
                    .map(<[u8]>::to_vec);
                Some((parts.next()?, parts.next()?))
            }),
            "LOGIN" => {
                // "Username:" and "Password:" in base64.
                let Some(username) = self.response(initial, "334 VXNlcm5hbWU6").await? else {
                    return Ok(Next::Reply("501 5.5.2 Cannot read the response"));
                };
                let password = self.response(None, "334 UGFzc3dvcmQ6").await?;
                password.map(|password| (username, password))
            }
            "XOAUTH2" => {
                let response = self.response(initial, "334 ").await?;
                let credentials = response.as_deref().and_then(xoauth2);
                if credentials
                    .as_ref()
                    .is_some_and(|(user, token)| !self.smtp.accepts(user, token))
                {
                    // The reason comes as a challenge; the client answers it with nothing.
                    self.response(None, XOAUTH2_REFUSAL).await?;
                }
                credentials
            }
            _ => return Ok(Next::Reply("504 5.5.4 Mechanism not supported")),
        };
        Ok(Next::Reply(match credentials {
            None => "501 5.5.2 Cannot read the response",
            Some((username, password)) if self.smtp.accepts(&username, &password) => {
                self.is_authenticated = true;
                "235 2.7.0 Authentication successful"
            }
            Some(_) => "535 5.7.8 Authentication credentials invalid",
        }))
    }

    /// A decoded response of the client, asked for unless it came with the command.
    async fn response(
        &mut self,
        initial: Option<String>,
        challenge: &str,
    ) -> io::Result<Option<Vec<u8>>> {
        let encoded = if let Some(initial) = initial {
            initial.into_bytes()
        } else {
            self.reply(challenge).await?;
            match timeout(IDLE_TIMEOUT, self.read_line()).await {
                Ok(line) => match line? {
                    Some(Line::Text(line)) => line,
                    Some(Line::TooLong) => return Ok(None),
                    None => return Err(io::ErrorKind::UnexpectedEof.into()),
                },
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        };
        // `*` cancels, and is no base64 either.
        Ok(if encoded.is_empty() {
            Some(encoded)
        } else {
            base64_decode(&encoded)
        })
    }
}

/// User and token of `user=…^Aauth=Bearer …^A^A`.
fn xoauth2(response: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let response = str::from_utf8(response).ok()?;
    let field = |start: &str| {
        let mut fields = response.split('\u{1}');
        fields.find_map(|field| field.strip_prefix(start))
    };
    let (user, token) = (field("user=")?, field("auth=Bearer ")?);
    Some((user.into(), token.into()))
}

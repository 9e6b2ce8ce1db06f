//! The account: one configured server and sender.

use std::sync::Arc;
use std::time::Duration;

use notify_core::email::{EmailOptions, MailHeaders};
use notify_core::{
    Account, Capabilities, Code, Delivery, EmailAddress, Malformed, Message, Notification, Outcome,
    Path, Payload, Problem, Recipient, SecretRef, Secrets, Target, Transport,
};

use crate::address::{self, Mailbox};
use crate::config::{LoginConfig, Patience, TlsConfig};
use crate::explain::explain;
use crate::message;
use crate::server::{Security, Server};
use crate::transport::SmtpTransport;

/// A validated `[accounts.email.NAME]`.
#[derive(Clone, Debug)]
pub(crate) struct EmailAccount {
    pub(crate) server: Server,
    pub(crate) from: Mailbox,
    pub(crate) reply_to: Option<Mailbox>,
    pub(crate) to: Vec<EmailAddress>,
    pub(crate) login: Option<LoginConfig>,
    pub(crate) tls: TlsConfig,
    pub(crate) hello: Option<String>,
    pub(crate) connections: usize,
    pub(crate) headers: MailHeaders,
    pub(crate) patience: Patience,
    pub(crate) timeout: Duration,
}

/// Tells whether all recipients of a notification get one mail.
///
/// A copy is a copy of a mail that the others see, so with one there is one mail.
pub(crate) fn is_together(notification: &Notification) -> bool {
    let options = notification.options::<EmailOptions>();
    options.is_some_and(|options| options.together) || !notification.copies().is_empty()
}

impl Account for EmailAccount {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none().batches()
    }

    /// One server takes all mail of an account, so there is one lane.
    fn target(&self, notification: &Notification, to: &Recipient) -> Result<Target, Problem> {
        to.typed::<EmailAddress>()
            .and_then(|to| address::wire(&to))
            .map_err(|why| Problem::malformed(Code::UNREACHABLE_RECIPIENT, Path::root(), why))?;
        let options = notification.options::<EmailOptions>();
        let together = options.is_some_and(|options| options.together);
        let recipients = notification.recipients();
        let in_flytes_words = options.is_some_and(|options| options.flyte.is_some());
        if in_flytes_words && notification.template().is_some() && recipients.first() == Some(to) {
            let message = "`flyte` and `template` both say what the mail says";
            return Err(Problem::new(Code::WRONG_VALUE, Path::root(), message)
                .help("keep one of `flyte` and `template`"));
        }
        let copies = notification.copies().into_iter().map(|(_, copy)| copy);
        // Told once, at the first of them.
        let first = copies.into_iter().find(|copy| !recipients.contains(copy));
        if first.as_ref() == Some(to) && !together && recipients.len() > 1 {
            let message = "a copy of which mail? Each recipient gets one";
            return Err(Problem::new(Code::WRONG_VALUE, Path::root(), message)
                .help("add `together: true`: one mail for all recipients and their copies"));
        }
        Ok(Target::lane(""))
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        Payload {
            content_type: "message/rfc822",
            body: message::compose(self, delivery, message).into(),
        }
    }

    fn warnings(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        let mut warn = |path: Path, message: &'static str, help: &'static str| {
            warnings.push(Problem::new(Code::WRONG_VALUE, path, message).help(help));
        };
        let at = |key: &str| Path::root().then(key);
        if self.tls.insecure_skip_verify {
            warn(
                at("tls").then("insecure_skip_verify"),
                "anybody on the way can read the mails and the login",
                "name the server's own authority with `ca_file` instead",
            );
        }
        if self.server.security == Security::None && !self.server.is_loopback() {
            warn(
                at("smtp"),
                "the mails cross the network unencrypted",
                "write `smtps://…` or `smtp://…` (STARTTLS) where the server can do it",
            );
        }
        let login = self.login.as_ref();
        if login.is_some_and(|login| login.is_token() && matches!(login.secret, SecretRef::Env(_)))
        {
            warn(
                at("token"),
                "a variable does not change while the program runs, and tokens end within the hour",
                "write `{ command = [\"PROGRAM\"] }` or `{ file = \"/path\" }`: they are read again",
            );
        }
        warnings
    }

    fn default_recipients(&self) -> Vec<Recipient> {
        self.to.iter().map(Recipient::of).collect()
    }

    fn together(&self, notification: &Notification) -> bool {
        is_together(notification)
    }

    fn explain(&self, outcome: &Outcome) -> Option<String> {
        explain(self, outcome)
    }

    /// A little longer than the transport's own limit, so that it is the dialogue that ends the
    /// attempt and says how far it had come: "before the final dot" is worth knowing.
    fn deadline(&self) -> Duration {
        self.timeout + Duration::from_secs(1)
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        let login = self.login.iter().map(|login| &login.secret);
        login.chain(&self.tls.key).collect()
    }

    fn connect(&self, secrets: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        Ok(Arc::new(SmtpTransport::new(self, secrets)?))
    }
}

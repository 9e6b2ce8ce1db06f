//! The account: one configured server and sender.

use std::sync::Arc;
use std::time::Duration;

use notify_core::{
    Account, Capabilities, Code, Delivery, EmailAddress, Malformed, Message, Notification, Path,
    Payload, Problem, Recipient, SecretRef, Secrets, Target, Transport,
};

use crate::address::{self, Mailbox};
use crate::config::Server;
use crate::message;
use crate::transport::SmtpTransport;

/// A validated `[accounts.email.NAME]`.
#[derive(Clone, Debug)]
pub(crate) struct EmailAccount {
    pub(crate) server: Server,
    pub(crate) from: Mailbox,
    pub(crate) login: Option<Login>,
    pub(crate) timeout: Duration,
}

/// Who logs in, and where the password is.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: SecretRef,
}

impl Account for EmailAccount {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    /// One server takes all mail of an account, so there is one lane.
    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        to.typed::<EmailAddress>()
            .and_then(|to| address::wire(&to))
            .map(|_| Target::lane(""))
            .map_err(|why| Problem::malformed(Code::UNREACHABLE_RECIPIENT, Path::root(), why))
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        Payload {
            content_type: "message/rfc822",
            body: message::compose(&self.from, delivery, message).into(),
        }
    }

    /// A little longer than the transport's own limit, so that it is the dialogue that ends the
    /// attempt and says how far it had come: "before the final dot" is worth knowing.
    fn deadline(&self) -> Duration {
        self.timeout + Duration::from_secs(1)
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        self.login.iter().map(|login| &login.password).collect()
    }

    fn connect(&self, secrets: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        Ok(Arc::new(SmtpTransport::new(self, secrets)?))
    }
}

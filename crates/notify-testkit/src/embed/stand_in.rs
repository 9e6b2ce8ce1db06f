//! A stand-in for every vendor: accounts as they are configured, and nothing that leaves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use notify_core::secret::SecretString;
use notify_core::{
    Account, AccountId, Accounts, Capabilities, Delivery, DeliveryContext, Limits, Malformed,
    Message, Notification, Outcome, Payload, Prepared, Problem, Receipt, Recipient, SecretError,
    SecretRef, SecretSource, Secrets, Target, Transport,
};

/// Takes everything that is sent, for a test to look at. Clones share what they took.
///
/// Accounts stay what they are but for the wire: they reach the same recipients, make the same
/// payloads, and hold the same conversations. Rates are left out, so that no test waits for them.
#[derive(Clone, Debug, Default)]
pub struct StandIn(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    sent: Vec<(String, String, String)>,
    answers: BTreeMap<(String, String), Outcome>,
}

impl StandIn {
    /// Gives the accounts with this in place of their vendors.
    ///
    /// Those that are switched off are not among them.
    #[must_use]
    pub fn instead_of(&self, accounts: &Accounts) -> Accounts {
        let replaced = |known: Accounts, (id, account): (&AccountId, &Arc<dyn Account>)| {
            let account = Replaced {
                kind: id.kind.to_string(),
                account: Arc::clone(account),
                taken: self.clone(),
            };
            known.with(id.clone(), Arc::new(account))
        };
        accounts.iter().fold(accounts.clone(), replaced)
    }

    /// Gives a source of secrets that is never asked: nothing here needs one.
    pub fn secrets(&self) -> Arc<dyn SecretSource> {
        Arc::new(NoSecrets)
    }

    /// Answers every attempt for this recipient in this way, from now on.
    pub fn answer(&self, kind: &str, recipient: &str, outcome: Outcome) {
        let to = (kind.to_owned(), recipient.to_owned());
        self.0.lock().unwrap().answers.insert(to, outcome);
    }

    /// Returns the payloads that were sent to a recipient, attempts that failed included.
    pub fn sent_to(&self, kind: &str, recipient: &str) -> Vec<String> {
        let taken = self.0.lock().unwrap();
        let to_him = taken
            .sent
            .iter()
            .filter(|(of, to, _)| of == kind && to == recipient);
        to_him.map(|(_, _, payload)| payload.clone()).collect()
    }

    fn take(&self, kind: &str, prepared: &Prepared) -> Outcome {
        let payload = String::from_utf8_lossy(&prepared.payload.body).into_owned();
        let to = (kind.to_owned(), prepared.recipient.as_str().to_owned());
        let mut taken = self.0.lock().unwrap();
        let taken_so = Outcome::Delivered(Receipt::new(prepared.id.to_string()));
        let outcome = taken.answers.get(&to).cloned().unwrap_or(taken_so);
        taken.sent.push((to.0, to.1, payload));
        outcome
    }
}

#[derive(Debug)]
struct NoSecrets;

impl SecretSource for NoSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        Err(SecretError {
            reference: reference.clone(),
            why: "a stand-in needs no secret".to_owned(),
        })
    }
}

#[derive(Debug)]
struct Replaced {
    kind: String,
    account: Arc<dyn Account>,
    taken: StandIn,
}

impl Account for Replaced {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.account.capabilities();
        // There is nobody to ask.
        capabilities.reconciles = false;
        capabilities
    }

    fn target(&self, notification: &Notification, to: &Recipient) -> Result<Target, Problem> {
        self.account.target(notification, to)
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        self.account.payload(delivery, message)
    }

    fn limits(&self) -> Limits {
        Limits::none()
    }

    fn default_recipients(&self) -> Vec<Recipient> {
        self.account.default_recipients()
    }

    fn together(&self, notification: &Notification) -> bool {
        self.account.together(notification)
    }

    fn deadline(&self) -> Duration {
        self.account.deadline()
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        Vec::new()
    }

    fn connect(&self, _: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        Ok(Arc::new(Taking {
            kind: self.kind.clone(),
            taken: self.taken.clone(),
        }))
    }
}

#[derive(Debug)]
struct Taking {
    kind: String,
    taken: StandIn,
}

#[async_trait]
impl Transport for Taking {
    async fn deliver(&self, _: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let take = |prepared| self.taken.take(&self.kind, prepared);
        batch.iter().map(take).collect()
    }
}

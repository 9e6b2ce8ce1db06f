//! Connect: accounts become transports when the first delivery needs them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify_core::{Account, AccountId, Config, Outcome, Reason, SecretSource, Secrets, Transport};

/// One account and its transport, once there is one.
#[derive(Debug)]
struct Connection {
    account: Arc<dyn Account>,
    transport: Mutex<Option<Arc<dyn Transport>>>,
}

/// An account and the way to its vendor.
type Connected<'a> = (&'a Arc<dyn Account>, Arc<dyn Transport>);

/// Every account that this engine serves.
#[derive(Debug)]
pub(crate) struct Connections(BTreeMap<AccountId, Connection>);

impl Connections {
    pub(crate) fn new(config: &Config) -> Self {
        let connection = |(id, account): (&AccountId, &Arc<dyn Account>)| {
            let account = Arc::clone(account);
            let transport = Mutex::new(None);
            (id.clone(), Connection { account, transport })
        };
        Self(config.accounts().iter().map(connection).collect())
    }

    /// Walks the accounts with the time that one attempt may take.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = (&AccountId, Duration)> {
        self.0
            .iter()
            .map(|(id, connection)| (id, connection.account.deadline()))
    }

    /// Returns the names of the accounts.
    pub(crate) fn ids(&self) -> Vec<AccountId> {
        self.0.keys().cloned().collect()
    }

    /// Returns an account with its transport, which is made where there is none yet.
    ///
    /// # Errors
    ///
    /// What a delivery comes to when there is no way to connect: the account is at fault.
    pub(crate) fn get(
        &self,
        id: &AccountId,
        source: &dyn SecretSource,
    ) -> Result<Connected<'_>, Outcome> {
        let misconfigured = |why: String| Outcome::rejected(Reason::Config, why);
        let connection = self
            .0
            .get(id)
            .ok_or_else(|| misconfigured(format!("no account `{id}` is configured")))?;
        let account = &connection.account;
        // Another thread that panicked here left either no transport or a whole one.
        let mut kept = connection
            .transport
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = &*kept {
            return Ok((account, Arc::clone(transport)));
        }
        let secrets = Secrets::resolve(account.secrets(), source);
        let transport = account
            .connect(&secrets)
            .map_err(|err| misconfigured(err.to_string()))?;
        *kept = Some(Arc::clone(&transport));
        Ok((account, transport))
    }

    /// Forgets a transport, so that the next delivery reads the secret again.
    pub(crate) fn forget(&self, id: &AccountId) {
        if let Some(connection) = self.0.get(id) {
            connection
                .transport
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
        }
    }
}

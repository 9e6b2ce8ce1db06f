//! Connect: accounts become transports when the first delivery needs them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify_core::secret::ExposeSecret;
use notify_core::{
    Account, AccountId, Config, Malformed, Outcome, Reason, SecretSource, Secrets, Transport,
};
use sha2::{Digest, Sha256};

/// One account and its transport, once there is one.
#[derive(Debug)]
pub(crate) struct Connection {
    account: Arc<dyn Account>,
    connected: Mutex<Option<Kept>>,
}

/// A transport, and the secrets that it was made of in a form that tells nothing but a change.
#[derive(Debug)]
struct Kept {
    transport: Arc<dyn Transport>,
    seal: Seal,
}

/// A digest of an account's secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seal([u8; 32]);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    fn of(account: &dyn Account, secrets: &Secrets) -> Self {
        let mut hash = Sha256::new();
        for reference in account.secrets() {
            let secret = secrets.get(reference).ok();
            let bytes = secret.map(|secret| secret.expose_secret().as_bytes());
            // The length before each one: two secrets are not taken for one longer one.
            hash.update(
                bytes
                    .map_or(u64::MAX, |bytes| bytes.len() as u64)
                    .to_be_bytes(),
            );
            hash.update(bytes.unwrap_or_default());
        }
        Self(hash.finalize().into())
    }
}

impl Connection {
    pub(crate) fn account(&self) -> &dyn Account {
        &*self.account
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        // Another thread that panicked here left either no transport or a whole one.
        self.connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self, source: &dyn SecretSource) -> Result<Kept, Malformed> {
        let secrets = Secrets::resolve(self.account.secrets(), source);
        Ok(Kept {
            transport: self.account.connect(&secrets)?,
            seal: Seal::of(self.account(), &secrets),
        })
    }
}

/// An account and the way to its vendor.
pub(crate) struct Connected<'a> {
    pub(crate) account: &'a dyn Account,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) seal: Seal,
}

/// Every account that this engine serves.
#[derive(Debug)]
pub(crate) struct Connections(BTreeMap<AccountId, Connection>);

impl Connections {
    pub(crate) fn new(config: &Config) -> Self {
        let connection = |(id, account): (&AccountId, &Arc<dyn Account>)| {
            let account = Arc::clone(account);
            let connected = Mutex::new(None);
            (id.clone(), Connection { account, connected })
        };
        Self(config.accounts().iter().map(connection).collect())
    }

    /// Walks the accounts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&AccountId, &Connection)> {
        self.0.iter()
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
        let mut kept = connection.kept();
        let known = match kept.take() {
            Some(known) => known,
            None => connection
                .connect(source)
                .map_err(|err| misconfigured(err.to_string()))?,
        };
        let connected = Connected {
            account: connection.account(),
            transport: Arc::clone(&known.transport),
            seal: known.seal,
        };
        *kept = Some(known);
        Ok(connected)
    }

    /// Reads the secrets of an account again after an attempt with the `used` ones was refused;
    /// tells whether they have changed, so that another attempt is worth while.
    pub(crate) fn renew(
        &self,
        id: &AccountId,
        source: &dyn SecretSource,
        used: Option<Seal>,
    ) -> bool {
        let Some(connection) = self.0.get(id) else {
            return false;
        };
        let renewed = connection.connect(source).ok();
        let now = renewed.as_ref().map(|renewed| renewed.seal);
        *connection.kept() = renewed;
        now.is_some() && now != used
    }
}

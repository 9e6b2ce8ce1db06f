//! Connect: accounts become transports when the first delivery needs them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use notify_core::secret::ExposeSecret;
use notify_core::{
    Account, AccountId, Config, Malformed, Outcome, Reason, SecretRef, SecretSource, Secrets,
    Transport,
};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

/// One account and its transport, once there is one.
#[derive(Debug)]
pub(crate) struct Connection {
    account: Arc<dyn Account>,
    connected: Arc<Mutex<Option<Kept>>>,
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

impl Kept {
    fn make(account: &dyn Account, source: &dyn SecretSource) -> Result<Self, Malformed> {
        let secrets = Secrets::resolve(account.secrets(), source);
        Ok(Self {
            transport: account.connect(&secrets)?,
            seal: Seal::of(account, &secrets),
        })
    }
}

/// The way to change what is kept of one account.
type Slot = OwnedMutexGuard<Option<Kept>>;

impl Connection {
    pub(crate) fn account(&self) -> &dyn Account {
        &*self.account
    }

    /// Makes a transport and keeps it. A command that gives a secret is waited for elsewhere, and
    /// what it gave is kept even where nobody waits any more.
    async fn connect(
        &self,
        source: &Arc<dyn SecretSource>,
        mut slot: Slot,
    ) -> Result<Slot, Malformed> {
        let (account, source) = (Arc::clone(&self.account), Arc::clone(source));
        let is_slow = |secret: &&SecretRef| matches!(secret, SecretRef::Command(_));
        let slow = account.secrets().iter().any(is_slow);
        let connect = move || {
            *slot = None;
            *slot = Some(Kept::make(&*account, &*source)?);
            Ok(slot)
        };
        if !slow {
            return connect();
        }
        let ended = spawn_blocking(connect).await;
        ended.unwrap_or_else(|_| Err(Malformed::new("reading the secrets ended in a panic")))
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
            let (account, connected) = (Arc::clone(account), Arc::default());
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

    /// Returns an account.
    pub(crate) fn account(&self, id: &AccountId) -> Option<&dyn Account> {
        self.0.get(id).map(Connection::account)
    }

    /// Returns an account with its transport, which is made where there is none yet.
    ///
    /// # Errors
    ///
    /// What a delivery comes to when there is no way to connect: the account is at fault.
    pub(crate) async fn get(
        &self,
        id: &AccountId,
        source: &Arc<dyn SecretSource>,
    ) -> Result<Connected<'_>, Outcome> {
        let misconfigured = |why: String| Outcome::rejected(Reason::Config, why);
        let connection = self
            .0
            .get(id)
            .ok_or_else(|| misconfigured(format!("no account `{id}` is configured")))?;
        let mut slot = Arc::clone(&connection.connected).lock_owned().await;
        if slot.is_none() {
            slot = connection
                .connect(source, slot)
                .await
                .map_err(|err| misconfigured(err.to_string()))?;
        }
        let missing = || misconfigured("there is no way to connect".to_owned());
        let kept = slot.as_ref().ok_or_else(missing)?;
        Ok(Connected {
            account: connection.account(),
            transport: Arc::clone(&kept.transport),
            seal: kept.seal,
        })
    }

    /// Reads the secrets of an account again after an attempt with the `used` ones was refused;
    /// tells whether they have changed, so that another attempt is worth while.
    pub(crate) async fn renew(
        &self,
        id: &AccountId,
        source: &Arc<dyn SecretSource>,
        used: Option<Seal>,
    ) -> bool {
        let Some(connection) = self.0.get(id) else {
            return false;
        };
        let slot = Arc::clone(&connection.connected).lock_owned().await;
        let renewed = connection.connect(source, slot).await.ok();
        let now = renewed.and_then(|slot| slot.as_ref().map(|kept| kept.seal));
        now.is_some() && now != used
    }
}

//! What is in force: one configuration with its connections, swapped as a whole on reload.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use notify_core::{AccountId, Config, Notification, Problems, Registry, WorkflowEnded};
use notify_outbox::{EventId, Leased, Spec, SpecDigest, StoredEvent};
use notify_template::{Template, check_workflow};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::accept::Recorded;
use crate::connect::Connections;
use crate::plan::Declared;

/// One configuration. What has begun under it ends under it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) declared: Declared,
    pub(crate) connections: Connections,
}

impl Snapshot {
    /// Checks a configuration and makes it ready; nothing is connected yet.
    pub(crate) fn new(config: Config) -> Result<Self, Problems> {
        for workflow in config.workflows() {
            check_workflow(workflow)?;
        }
        Ok(Self {
            connections: Connections::new(&config),
            declared: Declared::new(config),
        })
    }
}

/// The places of each account: how many deliveries may be on the wire at once.
///
/// They are the account's own, so that a vendor that hangs takes nobody else's.
#[derive(Debug)]
pub(crate) struct Places {
    each: usize,
    taken: Mutex<BTreeMap<AccountId, Arc<Semaphore>>>,
}

impl Places {
    pub(crate) fn new(each: usize) -> Self {
        Self {
            each: each.clamp(1, Semaphore::MAX_PERMITS),
            taken: Mutex::default(),
        }
    }

    /// Counts an account's free places.
    pub(crate) fn free(&self, account: &AccountId) -> usize {
        self.of(account).available_permits()
    }

    /// Takes a place until what is given is dropped; `None` where there is none.
    pub(crate) fn take(&self, account: &AccountId) -> Option<OwnedSemaphorePermit> {
        self.of(account).try_acquire_owned().ok()
    }

    fn of(&self, account: &AccountId) -> Arc<Semaphore> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = taken.get(account) {
            return Arc::clone(places);
        }
        let places = Arc::new(Semaphore::new(self.each));
        taken.insert(account.clone(), Arc::clone(&places));
        places
    }
}

/// A frozen notification as it is used: typed, with its template compiled.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) notification: Notification,
    pub(crate) template: Option<Template>,
}

/// How long the text of an event may be that is remembered: a few megabytes for all of them.
const SMALL: usize = 4 * 1024;

/// What was read from the ledger before. Both are immutable there, so reading again gives the same.
#[derive(Debug, Default)]
pub(crate) struct Known {
    specs: Mutex<Recent<SpecDigest, Arc<Ready>>>,
    events: Mutex<Recent<EventId, Arc<WorkflowEnded>>>,
}

impl Known {
    /// Gives a frozen notification.
    pub(crate) fn spec(&self, registry: &Registry, spec: &Spec) -> Result<Arc<Ready>, Problems> {
        recall(&self.specs, spec.digest, || {
            let notification = registry.load_notification(&spec.body)?;
            let template = Template::of(&notification)?;
            Ok(Ready {
                notification,
                template,
            })
        })
    }

    /// Takes note of an event that was just recorded, so that it need not be read again.
    pub(crate) fn accepted(&self, registry: &Registry, id: EventId, recorded: Recorded) {
        if recorded.bytes > SMALL {
            return;
        }
        // What does not load is not planned either: whoever plans it says why.
        if let Ok(event) = recorded.wire.load(registry) {
            let mut kept = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            kept.put(id, Arc::new(event));
        }
    }

    /// Gives an event.
    pub(crate) fn event(
        &self,
        registry: &Registry,
        stored: &StoredEvent,
    ) -> Result<Arc<WorkflowEnded>, Problems> {
        if stored.body.len() > SMALL {
            return stored.load(registry).map(Arc::new);
        }
        let event = recall(&self.events, stored.id, || stored.load(registry))?;
        if event.ended_at == Some(stored.ended_at) {
            return Ok(event);
        }
        // The ledger stamped the end after the event was noted here.
        let mut event = Arc::unwrap_or_clone(event);
        event.ended_at = Some(stored.ended_at);
        let event = Arc::new(event);
        let mut kept = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        kept.put(stored.id, Arc::clone(&event));
        Ok(event)
    }

    /// Gives the event and the notification of a delivery.
    pub(crate) fn of(
        &self,
        registry: &Registry,
        leased: &Leased,
    ) -> Result<(Arc<WorkflowEnded>, Arc<Ready>), Problems> {
        Ok((
            self.event(registry, &leased.event)?,
            self.spec(registry, &leased.spec)?,
        ))
    }
}

fn recall<K: Ord + Copy, V>(
    kept: &Mutex<Recent<K, Arc<V>>>,
    key: K,
    read: impl FnOnce() -> Result<V, Problems>,
) -> Result<Arc<V>, Problems> {
    let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lock().get(&key) {
        return Ok(Arc::clone(known));
    }
    let value = Arc::new(read()?);
    lock().put(key, Arc::clone(&value));
    Ok(value)
}

/// A map that forgets: when half of its room is filled with newer entries, what nobody asked for
/// meanwhile goes.
#[derive(Debug)]
struct Recent<K, V> {
    newer: BTreeMap<K, V>,
    older: BTreeMap<K, V>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        let (newer, older) = (BTreeMap::new(), BTreeMap::new());
        Self { newer, older }
    }
}

impl<K: Ord + Copy, V> Recent<K, V> {
    /// How many entries half of the room holds.
    const HALF: usize = 500;

    fn get(&mut self, key: &K) -> Option<&V> {
        if let Some(value) = self.older.remove(key) {
            self.put(*key, value);
        }
        self.newer.get(key)
    }

    fn put(&mut self, key: K, value: V) {
        if self.newer.len() >= Self::HALF {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_remembered_and_the_rest_is_forgotten() {
        let mut recent: Recent<usize, usize> = Recent::default();
        for key in 0..10 * Recent::<usize, usize>::HALF {
            recent.put(key, key);
            assert_eq!(recent.get(&0), Some(&0));
        }
        assert_eq!(recent.get(&1), None);
        assert!(recent.newer.len() + recent.older.len() <= 2 * Recent::<usize, usize>::HALF);
    }
}

//! Frozen specs, which are read once: their rows never change.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use notify_outbox::{OutboxError, Spec, SpecDigest};

use crate::ledger::Ledger;
use crate::row::VERSION;

/// How many specs are kept in memory.
const KEPT: usize = 1_024;

/// The specs that were read or stored lately.
#[derive(Default)]
pub(crate) struct Specs {
    kept: RefCell<HashMap<SpecDigest, Arc<Spec>>>,
}

impl Specs {
    fn get(&self, digest: &SpecDigest) -> Option<Arc<Spec>> {
        self.kept.borrow().get(digest).cloned()
    }

    fn keep(&self, spec: &Arc<Spec>) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(spec.digest, Arc::clone(spec));
    }
}

/// Reads a spec.
pub(crate) fn read(ledger: &Ledger<'_>, digest: SpecDigest) -> Result<Arc<Spec>, OutboxError> {
    if let Some(spec) = ledger.specs.get(&digest) {
        return Ok(spec);
    }
    let spec = ledger
        .one(
            "read a spec",
            "SELECT body, options_version FROM notify_spec WHERE digest = ?1",
            [digest.as_bytes()],
            |columns| {
                Ok(Spec {
                    digest,
                    body: columns.parse("body")?,
                    options_version: columns.get("options_version")?,
                })
            },
        )?
        .map(Arc::new)
        .ok_or_else(|| OutboxError::Row(format!("there is no spec {digest:?}")))?;
    ledger.specs.keep(&spec);
    Ok(spec)
}

/// Stores a spec, unless it is there.
pub(crate) fn store(ledger: &Ledger<'_>, spec: &Arc<Spec>) -> Result<(), OutboxError> {
    let doing = "store a spec";
    let digest = spec.digest.as_bytes();
    let known = "SELECT 1 FROM notify_spec WHERE digest = ?1";
    if ledger.number(doing, known, [digest])? == 1 {
        return Ok(());
    }
    let sql =
        "INSERT INTO notify_spec (digest, version, options_version, body) VALUES (?1, ?2, ?3, ?4)";
    let row = (digest, VERSION, spec.options_version, spec.body.to_string());
    ledger.change(doing, sql, row).map(drop)
}

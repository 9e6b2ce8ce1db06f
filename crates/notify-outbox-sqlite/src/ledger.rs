//! The open transaction, as the jobs see it.

use std::cell::Cell;

use notify_core::Timestamp;
use notify_outbox::OutboxError;
use rusqlite::{Connection, Params};

use crate::row::Columns;
use crate::spec::Specs;
use crate::trouble::doing;

/// The open transaction, the instant of everything in it, and what is kept between transactions.
#[derive(Clone, Copy)]
pub(crate) struct Ledger<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) now: Timestamp,
    pub(crate) specs: &'a Specs,
    /// When the last event ended that did not say when.
    pub(crate) stamped: &'a Cell<Timestamp>,
}

impl Ledger<'_> {
    /// Runs a statement and gives how many rows it changed.
    pub(crate) fn change(
        &self,
        what: &'static str,
        sql: &str,
        values: impl Params,
    ) -> Result<usize, OutboxError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map_err(doing(what))
    }

    /// Reads the first row.
    pub(crate) fn one<T>(
        &self,
        what: &'static str,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Columns<'_>) -> Result<T, OutboxError>,
    ) -> Result<Option<T>, OutboxError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(doing(what))?;
        let mut rows = statement.query(values).map_err(doing(what))?;
        let row = rows.next().map_err(doing(what))?;
        row.map(|row| read(&Columns(row))).transpose()
    }

    /// Reads every row.
    pub(crate) fn list<T>(
        &self,
        what: &'static str,
        sql: &str,
        values: impl Params,
        mut read: impl FnMut(&Columns<'_>) -> Result<T, OutboxError>,
    ) -> Result<Vec<T>, OutboxError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(doing(what))?;
        let mut rows = statement.query(values).map_err(doing(what))?;
        let mut values = Vec::new();
        while let Some(row) = rows.next().map_err(doing(what))? {
            values.push(read(&Columns(row))?);
        }
        Ok(values)
    }

    /// Reads a number; no row is zero.
    pub(crate) fn number(
        &self,
        what: &'static str,
        sql: &str,
        values: impl Params,
    ) -> Result<i64, OutboxError> {
        let read = |columns: &Columns<'_>| columns.at(0);
        Ok(self.one(what, sql, values, read)?.unwrap_or(0))
    }
}

/// Turns a count into what SQL takes as a limit.
pub(crate) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

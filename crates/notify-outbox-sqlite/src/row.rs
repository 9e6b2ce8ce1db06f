//! Between columns and values.

use std::str::FromStr;

use notify_core::{Action, DeliveryId, Timestamp};
use notify_outbox::{EventId, OutboxError, SpecDigest};
use rusqlite::Row;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// The version of the rows that this program writes.
pub(crate) const VERSION: i64 = 1;

/// Reads columns by name and says which one does not read.
pub(crate) struct Columns<'a>(pub(crate) &'a Row<'a>);

impl Columns<'_> {
    pub(crate) fn get<T: rusqlite::types::FromSql>(&self, name: &str) -> Result<T, OutboxError> {
        self.0.get(name).map_err(|err| unreadable(name, &err))
    }

    /// Reads a text that stands for a typed value.
    pub(crate) fn parse<T: FromStr>(&self, name: &str) -> Result<T, OutboxError>
    where
        T::Err: std::fmt::Display,
    {
        let text: String = self.get(name)?;
        text.parse().map_err(|err: T::Err| unreadable(name, &err))
    }

    /// Reads JSON that may be absent.
    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, OutboxError> {
        let text: Option<String> = self.get(name)?;
        text.map(|text| serde_json::from_str(&text).map_err(|err| unreadable(name, &err)))
            .transpose()
    }

    pub(crate) fn instant(&self, name: &str) -> Result<Timestamp, OutboxError> {
        Ok(Timestamp::from_micros(self.get(name)?))
    }

    pub(crate) fn event_id(&self, name: &str) -> Result<EventId, OutboxError> {
        Ok(EventId::from_uuid(Uuid::from_bytes(self.get(name)?)))
    }

    pub(crate) fn delivery_id(&self, name: &str) -> Result<DeliveryId, OutboxError> {
        Ok(DeliveryId::from_uuid(Uuid::from_bytes(self.get(name)?)))
    }

    pub(crate) fn digest(&self, name: &str) -> Result<SpecDigest, OutboxError> {
        Ok(SpecDigest::from_bytes(self.get(name)?))
    }

    pub(crate) fn action(&self, name: &str) -> Result<Action, OutboxError> {
        let text: String = self.get(name)?;
        [Action::Send, Action::Open, Action::Close]
            .into_iter()
            .find(|action| action.name() == text)
            .ok_or_else(|| unreadable(name, &format!("`{text}` is not an action")))
    }
}

fn unreadable(column: &str, why: &dyn std::fmt::Display) -> OutboxError {
    OutboxError::Row(format!("column `{column}`: {why}"))
}

/// Reads every row of a query.
pub(crate) fn all<T>(
    mut rows: rusqlite::Rows<'_>,
    read: impl Fn(Columns<'_>) -> Result<T, OutboxError>,
) -> Result<Vec<T>, OutboxError> {
    let mut values = Vec::new();
    while let Some(row) = rows.next().map_err(crate::writer::doing("read a row"))? {
        values.push(read(Columns(row))?);
    }
    Ok(values)
}

//! Between columns and values.

use std::str::FromStr;

use notify_core::{Action, DeliveryId, IfUnknown, Timestamp};
use notify_outbox::settle::Release;
use notify_outbox::{EventId, OutboxError, SpecDigest};
use rusqlite::Row;
use rusqlite::types::ValueRef;
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

    /// Reads a column by its place, where names would be looked for too often.
    pub(crate) fn at<T: rusqlite::types::FromSql>(&self, place: usize) -> Result<T, OutboxError> {
        self.0
            .get(place)
            .map_err(|err| unreadable(&place.to_string(), &err))
    }

    /// Gives a column as it is stored.
    pub(crate) fn raw(&self, place: usize) -> Result<ValueRef<'_>, OutboxError> {
        self.0
            .get_ref(place)
            .map_err(|err| unreadable(&place.to_string(), &err))
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

    pub(crate) fn if_unknown(&self, name: &str) -> Result<IfUnknown, OutboxError> {
        let text: String = self.get(name)?;
        [IfUnknown::Resend, IfUnknown::Hold]
            .into_iter()
            .find(|choice| if_unknown(*choice) == text)
            .ok_or_else(|| unreadable(name, &format!("`{text}` is not a choice")))
    }

    /// Reads what sets a delivery free, where it is held.
    pub(crate) fn release(&self, name: &str) -> Result<Option<Release>, OutboxError> {
        let text: Option<String> = self.get(name)?;
        let Some(text) = text else {
            return Ok(None);
        };
        [Release::Account, Release::Replay]
            .into_iter()
            .find(|choice| release(*choice) == text)
            .map(Some)
            .ok_or_else(|| unreadable(name, &format!("`{text}` sets nothing free")))
    }
}

/// Returns the column's text for what is done when nobody knows whether a delivery arrived.
pub(crate) const fn if_unknown(choice: IfUnknown) -> &'static str {
    match choice {
        IfUnknown::Resend => "resend",
        IfUnknown::Hold => "hold",
    }
}

/// Returns the column's text for what sets a held delivery free.
pub(crate) const fn release(release: Release) -> &'static str {
    match release {
        Release::Account => "account",
        Release::Replay => "replay",
    }
}

fn unreadable(column: &str, why: &dyn std::fmt::Display) -> OutboxError {
    OutboxError::Row(format!("column `{column}`: {why}"))
}

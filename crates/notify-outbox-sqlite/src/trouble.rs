//! What SQLite says when it fails, and what can be done about it.

use std::fmt;

use notify_outbox::OutboxError;
use rusqlite::ErrorCode;

/// Why SQLite did not do what it was asked, and the way out where there is one.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    said: String,
    help: Option<&'static str>,
    pub(crate) disk_full: bool,
    pub(crate) busy: bool,
    /// The file is not where it was; what is said is its place.
    gone: bool,
}

impl Trouble {
    /// States what is wrong and what to do.
    pub(crate) fn new(said: impl Into<String>, help: &'static str) -> Self {
        Self {
            said: said.into(),
            help: Some(help),
            disk_full: false,
            busy: false,
            gone: false,
        }
    }

    /// States that the file is not at its place any more.
    pub(crate) fn gone(place: String) -> Self {
        Self {
            said: place,
            help: None,
            disk_full: false,
            busy: false,
            gone: true,
        }
    }

    /// Says what the store was doing.
    pub(crate) fn while_doing(self, doing: &'static str) -> OutboxError {
        if self.gone {
            return OutboxError::Gone { place: self.said };
        }
        let source = self.into();
        OutboxError::Storage { doing, source }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(err: rusqlite::Error) -> Self {
        let code = err.sqlite_error_code();
        Self {
            said: err.to_string(),
            help: code.and_then(help),
            disk_full: code == Some(ErrorCode::DiskFull),
            busy: code == Some(ErrorCode::DatabaseBusy),
            gone: false,
        }
    }
}

impl From<OutboxError> for Trouble {
    fn from(err: OutboxError) -> Self {
        let said = match err {
            OutboxError::Storage { doing, source } => format!("failed to {doing}: {source}"),
            other => other.to_string(),
        };
        Self {
            said,
            help: None,
            disk_full: false,
            busy: false,
            gone: false,
        }
    }
}

/// Says what can be done about a failure of SQLite.
fn help(code: ErrorCode) -> Option<&'static str> {
    let help = match code {
        ErrorCode::NotADatabase => "name another file, or move this one away",
        ErrorCode::DatabaseCorrupt => {
            "the file is damaged: put a copy in its place, or move it away to begin anew"
        }
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly => {
            "the program must be able to write the file and its folder: look at their owner and \
             permissions"
        }
        ErrorCode::DiskFull => "make room on the disk",
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "another process has been writing to the file all the time: keep transactions short"
        }
        ErrorCode::SystemIoFailure => "the disk or its file system fails: look at the system's log",
        _ => return None,
    };
    Some(help)
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)?;
        match self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Trouble {}

/// Says what the store was doing when SQLite failed.
pub(crate) fn doing(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> OutboxError {
    move |err| Trouble::from(err).while_doing(doing)
}

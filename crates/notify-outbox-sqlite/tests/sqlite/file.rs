//! One ledger in a file of its own, with another program's connection to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify_core::SystemClock;
use notify_outbox::{Outbox, OutboxError};
use notify_outbox_sqlite::SqliteOutbox;
use notify_testkit::outbox::Bench;
use rusqlite::Connection;
use tempfile::TempDir;

/// A folder for one ledger.
pub(crate) struct File {
    folder: TempDir,
}

impl File {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("notify.db")
    }

    /// Opens the ledger with a clock that stands still.
    pub(crate) fn bench(&self) -> Bench {
        let path = self.path();
        Bench::new(move |clock| Arc::new(SqliteOutbox::open(&path, clock).unwrap()))
    }

    /// Connects as another program does.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// Lists the files of the folder with their bytes.
    pub(crate) fn bytes(&self) -> Vec<(PathBuf, Vec<u8>)> {
        bytes_in(self.folder.path())
    }
}

/// Lists the files of a folder with their bytes.
pub(crate) fn bytes_in(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Opens a file with the machine's clock.
pub(crate) fn open(path: &Path) -> Result<Arc<dyn Outbox>, OutboxError> {
    let outbox = SqliteOutbox::open(path, Arc::new(SystemClock))?;
    Ok(Arc::new(outbox))
}

/// Opens a file that is refused and gives the error with its causes.
#[track_caller]
pub(crate) fn refusal(path: &Path) -> String {
    let refused = open(path).unwrap_err();
    let mut said = vec![refused.to_string()];
    let mut source = std::error::Error::source(&refused);
    while let Some(cause) = source {
        said.push(cause.to_string());
        source = cause.source();
    }
    said.join(": ")
}

//! Opening the file.
//!
//! **Invariant.** A file that is refused is left as it was, byte for byte: it is read first, and
//! written only once everything about it is known to be good.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use notify_outbox::OutboxError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::migrate::{self, Schema};
use crate::trouble::Trouble;

/// How long is waited between two looks whether another process is done writing.
const LOOK: Duration = Duration::from_millis(1);

/// How many looks there are: four seconds in all.
const LOOKS: i32 = 4_000;

/// How many statements stay prepared.
const STATEMENTS: usize = 128;

/// What a connection keeps to. Deliveries are found by ids that lie anywhere, so that a small cache
/// (in KiB) would be read and written again and again, and so would the file (in pages). The checks
/// of the columns are for other programs, and cost a table of their own at every change: what is
/// written here is typed.
const SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA ignore_check_constraints = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -16384;
    PRAGMA wal_autocheckpoint = 4000;
";

/// Opens a file, which is made where there is none, and brings its schema up to date.
pub(crate) fn open(path: &Path) -> Result<Connection, OutboxError> {
    let place = format!("`{}`", path.display());
    let is_new = !path.exists();
    let result = connect(path).and_then(|mut connection| {
        prepare(&mut connection)?;
        Ok(connection)
    });
    result.map_err(|stop| match stop {
        Stop::Newer { found, known } => OutboxError::Newer {
            place,
            found,
            known,
        },
        Stop::Trouble(trouble) => {
            if is_new && trouble.disk_full {
                remove_empty(path);
            }
            let source = trouble.into();
            OutboxError::Open { place, source }
        }
    })
}

/// Why a file is not opened.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It was written by a newer program.
    Newer { found: i64, known: i64 },
    /// Something failed.
    Trouble(Trouble),
}

impl<T: Into<Trouble>> From<T> for Stop {
    fn from(trouble: T) -> Self {
        Self::Trouble(trouble.into())
    }
}

/// Connects to a file without changing anything in it.
pub(crate) fn connect(path: &Path) -> Result<Connection, Stop> {
    let path = usable(path)?;
    // Not `Connection::open`: a name that begins with `file:` is a name.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let has_log = fs::metadata(log_of(&path)).is_ok_and(|log| log.len() > 0);
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(wait))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A statement keeps its plan whatever is asked with it; SQLite would prepare it anew.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // What another program left in the write-ahead log stays there if the file is refused.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
    Ok(connection)
}

/// Names the write-ahead log of a file.
fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Gives the file's place in full, so that no name means something else to SQLite.
fn usable(path: &Path) -> Result<PathBuf, Trouble> {
    let nameless = |_| Trouble::new("the outbox has no name", "name a file");
    let path = std::path::absolute(path).map_err(nameless)?;
    if path.is_dir() {
        return Err(Trouble::new("it is a folder", "name a file in it"));
    }
    match path.parent() {
        Some(folder) if !folder.is_dir() => {
            let said = format!("there is no folder `{}`", folder.display());
            Err(Trouble::new(said, "make it first, or name another place"))
        }
        _ => Ok(path),
    }
}

/// Waits a moment for another process that writes. SQLite's own waits grow to a tenth of a second,
/// in which a busy process takes the lock again and again.
#[expect(
    clippy::disallowed_methods,
    reason = "SQLite asks until the lock is free or the looks are used up; nothing could wake it"
)]
fn wait(looks: i32) -> bool {
    thread::sleep(LOOK);
    looks < LOOKS
}

/// Reads what there is, brings it up to date and sets the connection up.
pub(crate) fn prepare(connection: &mut Connection) -> Result<(), Stop> {
    // A file that is no database, or not a whole one, is found here.
    let schema = migrate::read(connection)?;
    if let Schema::Newer { found, known } = schema {
        return Err(Stop::Newer { found, known });
    }
    if connection.is_readonly("main")? {
        let help = "the program must be able to write it: look at its owner and permissions";
        return Err(Trouble::new("the file can only be read", help).into());
    }
    if schema == Schema::Older {
        migrate::run(connection)?;
    }
    write_ahead(connection)?;
    connection.execute_batch(SETTINGS)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// Turns the write-ahead log on.
fn write_ahead(connection: &Connection) -> Result<(), Trouble> {
    let turn_on = || connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()));
    // SQLite does not wait here where two processes might wait for each other.
    for _ in 0..LOOKS {
        match turn_on().map_err(Trouble::from) {
            Err(trouble) if trouble.busy => wait(0),
            settled => return settled,
        };
    }
    turn_on().map_err(Trouble::from)
}

/// Removes the empty file that an attempt to make one left behind.
fn remove_empty(path: &Path) {
    if fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        // Where it cannot be removed, an empty file stays: the next attempt begins with it.
        fs::remove_file(path).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_for_the_schema_leaves_an_empty_file_that_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify.db");
        let mut connection = connect(&path).unwrap();
        connection
            .pragma_update_and_check(None, "max_page_count", 5, |_| Ok(()))
            .unwrap();
        let Err(Stop::Trouble(trouble)) = prepare(&mut connection) else {
            panic!("the schema needs more than five pages");
        };
        assert!(trouble.disk_full);
        assert!(trouble.to_string().contains("make room"), "{trouble}");
        drop(connection);
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        remove_empty(&path);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

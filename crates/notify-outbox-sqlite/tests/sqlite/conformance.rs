//! The rules that every outbox keeps.

use std::sync::Arc;

use notify_outbox_sqlite::SqliteOutbox;

notify_testkit::outbox_suite!({
    let folder = tempfile::tempdir().unwrap();
    move |clock| Arc::new(SqliteOutbox::open(&folder.path().join("notify.db"), clock).unwrap())
});

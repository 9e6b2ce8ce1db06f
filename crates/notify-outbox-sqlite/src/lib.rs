//! The embedded outbox on SQLite.

-- A small scheduler's own table, in the file that holds the outbox as well.
CREATE TABLE IF NOT EXISTS run (
    name        TEXT PRIMARY KEY,
    workflow    TEXT NOT NULL,
    state       TEXT NOT NULL DEFAULT 'running',
    started_at  TEXT NOT NULL,
    ended_at    TEXT,
    error       TEXT
);

-- The ledger. Instants are microseconds since 1970 in UTC; ids are the 16 bytes of a UUID.

CREATE TABLE notify_event (
    seq          INTEGER PRIMARY KEY,
    id           BLOB    NOT NULL UNIQUE,
    version      INTEGER NOT NULL,             -- of this row
    state        TEXT    NOT NULL CHECK (state IN ('accepted', 'planned', 'unmatched', 'conflict', 'malformed')),
    reason       TEXT,                         -- why it is not planned
    project      TEXT    NOT NULL,
    domain       TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    attempt      INTEGER NOT NULL,
    workflow     TEXT    NOT NULL,
    phase        TEXT    NOT NULL,
    ended_at     INTEGER NOT NULL,
    accepted_at  INTEGER NOT NULL,
    body         TEXT    NOT NULL,             -- the event's wire form
    past         TEXT                          -- what plan found in the history, frozen
);
-- The first end of an attempt wins.
CREATE UNIQUE INDEX notify_event_key ON notify_event (project, domain, name, attempt)
    WHERE state <> 'conflict';
CREATE INDEX notify_event_accepted ON notify_event (seq) WHERE state = 'accepted';
CREATE INDEX notify_event_aside ON notify_event (state) WHERE state IN ('unmatched', 'malformed');

CREATE TABLE notify_spec (
    digest           BLOB    PRIMARY KEY,      -- SHA-256 of the content
    version          INTEGER NOT NULL,
    options_version  INTEGER NOT NULL,
    body             TEXT    NOT NULL          -- the notification's long form
) WITHOUT ROWID;

CREATE TABLE notify_account (
    account    TEXT    PRIMARY KEY,            -- kind.name; a row only while it is paused
    paused_at  INTEGER NOT NULL,
    reason     TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE notify_lane (
    seq      INTEGER PRIMARY KEY,
    account  TEXT    NOT NULL,
    lane     TEXT    NOT NULL,
    gate_at  INTEGER NOT NULL DEFAULT 0,       -- nothing is sent before: the vendor's Retry-After
    due_at   INTEGER,                          -- when there is something to claim; NULL while there is nothing
    UNIQUE (account, lane)
);
CREATE INDEX notify_lane_due ON notify_lane (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE notify_conversation (
    seq        INTEGER PRIMARY KEY,
    account    TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('planned', 'open', 'closed')),
    project    TEXT    NOT NULL,
    domain     TEXT    NOT NULL,
    workflow   TEXT    NOT NULL,
    lane       TEXT    NOT NULL,
    recipient  TEXT    NOT NULL,
    spec       BLOB    NOT NULL REFERENCES notify_spec,
    receipt    TEXT,                           -- of the delivery that opened it
    opened_at  INTEGER NOT NULL,               -- end time and event of the last opening that was planned:
    opened_by  BLOB    NOT NULL,               -- an older end does not close it
    closed_at  INTEGER,                        -- end time and event of the last close that was planned:
    closed_by  BLOB,                           -- an older opening is superseded on arrival
    UNIQUE (account, key)
);
CREATE INDEX notify_conversation_workflow ON notify_conversation (project, domain, workflow)
    WHERE state <> 'closed';

CREATE TABLE notify_delivery (
    seq           INTEGER PRIMARY KEY,
    id            BLOB    NOT NULL UNIQUE,     -- derived from event, spec and recipient
    version       INTEGER NOT NULL,
    event         INTEGER NOT NULL REFERENCES notify_event,
    spec          BLOB    NOT NULL REFERENCES notify_spec,
    account       TEXT    NOT NULL,
    lane          INTEGER NOT NULL REFERENCES notify_lane,
    recipient     TEXT    NOT NULL,
    action        TEXT    NOT NULL CHECK (action IN ('send', 'open', 'close')),
    conversation  INTEGER REFERENCES notify_conversation,
    ended_at      INTEGER NOT NULL,            -- of the event; with the event's id the order in a conversation
    event_id      BLOB    NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('pending', 'leased', 'delivered', 'rejected', 'expired', 'held', 'superseded', 'skipped')),
    reason        TEXT,                        -- why it is not delivered
    blocked       INTEGER NOT NULL DEFAULT 0,  -- waits for an earlier one of its conversation
    attempts      INTEGER NOT NULL DEFAULT 0,  -- that count against it
    tries         INTEGER NOT NULL DEFAULT 0,  -- of any kind
    not_before    INTEGER NOT NULL,
    lease_token   INTEGER NOT NULL DEFAULT 0,  -- fences a lost lease off
    lease_until   INTEGER,
    receipt       TEXT,
    created_at    INTEGER NOT NULL,
    settled_at    INTEGER
);
CREATE INDEX notify_delivery_event ON notify_delivery (event);
CREATE INDEX notify_delivery_due ON notify_delivery (lane, not_before, seq)
    WHERE state = 'pending' AND blocked = 0;
CREATE INDEX notify_delivery_leased ON notify_delivery (lane) WHERE state = 'leased';
CREATE INDEX notify_delivery_lease ON notify_delivery (lease_until) WHERE state = 'leased';
CREATE INDEX notify_delivery_open ON notify_delivery (state) WHERE state IN ('pending', 'leased', 'held');
CREATE INDEX notify_delivery_conversation ON notify_delivery (conversation, ended_at, event_id, seq)
    WHERE state IN ('pending', 'leased', 'held');

CREATE TABLE notify_attempt (
    seq         INTEGER PRIMARY KEY,
    delivery    INTEGER NOT NULL REFERENCES notify_delivery,
    number      INTEGER NOT NULL,
    settled_at  INTEGER NOT NULL,
    took        INTEGER NOT NULL,              -- microseconds
    outcome     TEXT    NOT NULL,
    detail      TEXT                           -- cause or reason, and what the vendor said
);
CREATE INDEX notify_attempt_delivery ON notify_attempt (delivery);

CREATE TABLE notify_history (
    project   TEXT    NOT NULL,
    domain    TEXT    NOT NULL,
    workflow  TEXT    NOT NULL,
    version   INTEGER NOT NULL,                -- compared and set
    ends      TEXT    NOT NULL,
    PRIMARY KEY (project, domain, workflow)
) WITHOUT ROWID;

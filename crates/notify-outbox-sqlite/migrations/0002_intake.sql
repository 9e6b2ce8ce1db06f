-- The intake in other programs' transactions; rates, silence, summaries; the clock.

-- Rows come from anybody who can write to the file; whoever delivers moves them into notify_event.
-- What is refused here fails the transaction of the program that writes, so it is only what could
-- never be told apart or told of. Everything else that does not read is put on record as malformed.
CREATE TABLE notify_inbox (
    seq          INTEGER PRIMARY KEY,
    event        TEXT    NOT NULL,             -- the event's wire form
    inserted_at  INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)),
    CONSTRAINT "the event is not JSON text"
        CHECK (typeof(event) = 'text' AND json_valid(event)),
    CONSTRAINT "the event names no execution: `execution.name` is a text that is not empty"
        CHECK (CASE WHEN typeof(event) = 'text' AND json_valid(event)
               THEN json_type(event, '$.execution.name') IS 'text' AND json_extract(event, '$.execution.name') <> ''
               ELSE 0 END),
    CONSTRAINT "the event has no terminal phase: `phase` is one of succeeded, failed, aborted, timed_out"
        CHECK (CASE WHEN typeof(event) = 'text' AND json_valid(event)
               THEN coalesce(json_extract(event, '$.phase') IN ('succeeded', 'failed', 'aborted', 'timed_out'), 0)
               ELSE 0 END)
);

-- The first end of an attempt wins. What does not read is no end.
DROP INDEX notify_event_key;
CREATE UNIQUE INDEX notify_event_key ON notify_event (project, domain, name, attempt)
    WHERE state <> 'conflict' AND state <> 'malformed';
CREATE INDEX notify_event_conflict ON notify_event (project, domain, name, attempt, phase)
    WHERE state = 'conflict';

ALTER TABLE notify_delivery ADD COLUMN if_unknown TEXT NOT NULL DEFAULT 'resend'
    CHECK (if_unknown IN ('resend', 'hold'));
ALTER TABLE notify_delivery ADD COLUMN unsure INTEGER NOT NULL DEFAULT 0;  -- an earlier attempt may have arrived
ALTER TABLE notify_delivery ADD COLUMN release TEXT                        -- what sets a held one free
    CHECK (release IN ('account', 'replay'));
ALTER TABLE notify_delivery ADD COLUMN summary INTEGER                     -- the one that is sent for the whole group
    REFERENCES notify_delivery;
CREATE INDEX notify_delivery_summary ON notify_delivery (summary, ended_at, event_id, seq)
    WHERE summary IS NOT NULL;
DROP INDEX notify_delivery_open;
-- Not "state IN (…)": a list in the condition of an index costs a table of its own at every change.
CREATE INDEX notify_delivery_open ON notify_delivery (account, state, created_at) WHERE settled_at IS NULL;
DROP INDEX notify_delivery_conversation;
CREATE INDEX notify_delivery_conversation ON notify_delivery (conversation, ended_at, event_id, seq)
    WHERE settled_at IS NULL;
UPDATE notify_delivery SET release = 'account' WHERE state = 'held';
UPDATE notify_delivery SET unsure = 1
    WHERE state IN ('pending', 'leased', 'held')
      AND seq IN (SELECT delivery FROM notify_attempt WHERE outcome = 'unknown');

ALTER TABLE notify_lane ADD COLUMN next_at INTEGER NOT NULL DEFAULT 0;     -- the rate: when the next one may go
ALTER TABLE notify_lane ADD COLUMN silent INTEGER NOT NULL DEFAULT 0;      -- attempts in a row that nobody answered
ALTER TABLE notify_lane ADD COLUMN full INTEGER;                           -- a claim of up to so many finds no room
DROP INDEX notify_lane_due;
CREATE INDEX notify_lane_due ON notify_lane (account, due_at) WHERE due_at IS NOT NULL;
UPDATE notify_lane
SET due_at = (SELECT max(gate_at, not_before) FROM notify_delivery
              WHERE lane = notify_lane.seq AND state = 'pending' AND blocked = 0
              ORDER BY not_before LIMIT 1);

CREATE TABLE notify_gate (
    account  TEXT    PRIMARY KEY,              -- kind.name
    gate_at  INTEGER NOT NULL                  -- nothing is sent before, through lanes that are new either
) WITHOUT ROWID;

CREATE TABLE notify_clock (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    seen_at     INTEGER NOT NULL,              -- the latest instant that was seen
    turns       INTEGER NOT NULL,              -- how often the clock was set back
    stamped_at  INTEGER NOT NULL               -- the latest end of an event that did not say when it ended
);
INSERT INTO notify_clock (one, seen_at, turns, stamped_at) VALUES (1, 0, 0, 0);

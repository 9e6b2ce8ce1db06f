-- A run that ends, and the statement that people are to be told, in one transaction:
-- sqlite3 notify.db < schema.sql; sqlite3 notify.db < scheduler.sql
.bail on
.timeout 5000

INSERT INTO run (name, workflow, started_at)
VALUES ('nightly-2026-11-20', 'nightly-etl', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));

BEGIN IMMEDIATE;

UPDATE run
SET state = 'failed', ended_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), error = 'row 4: bad amount'
WHERE name = 'nightly-2026-11-20';

INSERT INTO notify_inbox (event)
SELECT json_object(
    'version', 1,
    'workflow', workflow,
    'execution', json_object('project', 'analytics', 'domain', 'production', 'name', name),
    'phase', state,
    'started_at', started_at,
    'ended_at', ended_at,
    'failure', json_object('message', error)
)
FROM run WHERE name = 'nightly-2026-11-20';

COMMIT;

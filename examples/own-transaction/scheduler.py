"""A scheduler that ends a run and has people told of it, in one transaction of its own.

usage: scheduler.py FILE RUN [ERROR]
"""

import datetime
import json
import pathlib
import sqlite3
import sys

INTAKE = "INSERT INTO notify_inbox (event) VALUES (?1)"


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def start(connection, run):
    with connection:
        connection.execute(
            "INSERT INTO run (name, workflow, started_at) VALUES (?, 'nightly-etl', ?)",
            (run, now()),
        )


def end(connection, run, state, error=None):
    # Commits at its end, and rolls everything back when something in it fails.
    with connection:
        workflow, started_at, ended_at = connection.execute(
            "UPDATE run SET state = ?, ended_at = ?, error = ? WHERE name = ?"
            " RETURNING workflow, started_at, ended_at",
            (state, now(), error, run),
        ).fetchone()
        event = {
            "version": 1,
            "workflow": workflow,
            "execution": {"project": "analytics", "domain": "production", "name": run},
            "phase": state,
            "started_at": started_at,
            "ended_at": ended_at,
        }
        if error is not None:
            event["failure"] = {"message": error}
        connection.execute(INTAKE, (json.dumps(event),))


if __name__ == "__main__":
    file, run, *error = sys.argv[1:]
    connection = sqlite3.connect(file)
    connection.executescript(pathlib.Path(__file__).with_name("schema.sql").read_text())
    start(connection, run)
    end(connection, run, "failed" if error else "succeeded", *error)
    connection.close()

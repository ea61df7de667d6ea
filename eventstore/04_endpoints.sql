-- What each endpoint of an instance has not been told yet. `chat` is the same number for events of one chat, and 0 for
-- those of none; `round` is the position of the event that asked for it again, 0 the first time.
CREATE TABLE deliveries_by_endpoint (
    stream           TEXT    NOT NULL,
    endpoint         TEXT    NOT NULL,
    sequence         INTEGER NOT NULL,
    position         INTEGER NOT NULL,
    chat             INTEGER NOT NULL,
    round            INTEGER NOT NULL DEFAULT 0,
    attempts         INTEGER NOT NULL DEFAULT 0,
    due              TEXT,
    first_attempt_at TEXT,
    PRIMARY KEY (stream, endpoint, sequence)
) STRICT, WITHOUT ROWID;

INSERT INTO deliveries_by_endpoint (stream, endpoint, sequence, position, chat, attempts, due, first_attempt_at)
SELECT stream, 'main', sequence, position, 0, attempts, due, first_attempt_at FROM deliveries;

DROP TABLE deliveries;
ALTER TABLE deliveries_by_endpoint RENAME TO deliveries;

-- The few that have failed and wait for their time.
CREATE INDEX deliveries_held ON deliveries (stream, endpoint, due, chat) WHERE due IS NOT NULL;

ALTER TABLE attempts ADD COLUMN endpoint TEXT NOT NULL DEFAULT 'main';

-- What was given up, until somebody asks for it again.
CREATE TABLE dead_letters (
    stream   TEXT    NOT NULL,
    endpoint TEXT    NOT NULL,
    sequence INTEGER NOT NULL,
    position INTEGER NOT NULL,
    chat     INTEGER NOT NULL,
    at       TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    error    TEXT    NOT NULL,
    PRIMARY KEY (stream, endpoint, sequence)
) STRICT, WITHOUT ROWID;

-- Since when an endpoint has done nothing but fail.
CREATE TABLE outages (
    stream   TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    since    TEXT NOT NULL,
    last     TEXT NOT NULL,
    PRIMARY KEY (stream, endpoint)
) STRICT, WITHOUT ROWID;

-- The log: every fact, in the order in which it was committed.
CREATE TABLE events (
    position    INTEGER PRIMARY KEY,
    stream      TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    sequence    INTEGER,
    id          TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    schema      INTEGER NOT NULL,
    recorded_at TEXT    NOT NULL,
    data        TEXT    NOT NULL,
    hash        BLOB    NOT NULL
) STRICT;

-- The same fact is never stored twice.
CREATE UNIQUE INDEX events_by_id ON events (id);

-- One type in the order of positions (the row id ends every index entry).
CREATE INDEX events_by_type ON events (type);

-- One stream in the order of positions, up to the last full block of 1024; what is newer is found by looking at it.
-- An index in the usual sense would make every commit write a page for each stream in it.
CREATE TABLE stream_positions (
    stream   TEXT    NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (stream, position)
) STRICT, WITHOUT ROWID;

-- Positions have no gap and no fact is replaced, whoever writes here.
CREATE TRIGGER events_only_grow BEFORE INSERT ON events
WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM events)
BEGIN
    SELECT RAISE(ABORT, 'an event goes to the end of the log, without a gap');
END;

-- What has happened is not changed.
CREATE TRIGGER events_are_not_updated BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never changed');
END;

-- What has happened is not forgotten.
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never deleted');
END;

-- Which types and schema versions the log holds, so that a manager that does not know one can refuse at once.
CREATE TABLE vocabulary (
    type   TEXT    NOT NULL,
    schema INTEGER NOT NULL,
    PRIMARY KEY (type, schema)
) STRICT, WITHOUT ROWID;

-- Signed statements of how the chain stood at a position.
CREATE TABLE checkpoints (
    position  INTEGER PRIMARY KEY,
    hash      BLOB NOT NULL,
    at        TEXT NOT NULL,
    key       BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT;

CREATE TRIGGER checkpoints_are_not_updated BEFORE UPDATE ON checkpoints
BEGIN
    SELECT RAISE(ABORT, 'checkpoints are never changed');
END;

CREATE TRIGGER checkpoints_are_not_deleted BEFORE DELETE ON checkpoints
BEGIN
    SELECT RAISE(ABORT, 'checkpoints are never deleted');
END;

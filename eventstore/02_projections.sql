-- Where each stream stands; `snapshot` is the caller's folded state, empty when the stream is closed.
CREATE TABLE streams (
    stream   TEXT PRIMARY KEY,
    version  INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    snapshot BLOB    NOT NULL
) STRICT;

-- Which streams were created under a name.
CREATE TABLE names (
    name     TEXT    NOT NULL,
    position INTEGER NOT NULL,
    stream   TEXT    NOT NULL,
    PRIMARY KEY (name, position)
) STRICT, WITHOUT ROWID;

-- What webhook receivers have not been told yet; a settled delivery has no row.
CREATE TABLE deliveries (
    stream           TEXT    NOT NULL,
    sequence         INTEGER NOT NULL,
    position         INTEGER NOT NULL,
    attempts         INTEGER NOT NULL DEFAULT 0,
    due              TEXT,
    first_attempt_at TEXT,
    PRIMARY KEY (stream, sequence)
) STRICT, WITHOUT ROWID;

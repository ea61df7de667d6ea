-- What every try to deliver came to; old rows may be pruned.
CREATE TABLE attempts (
    number      INTEGER PRIMARY KEY,
    stream      TEXT    NOT NULL,
    sequence    INTEGER NOT NULL,
    at          TEXT    NOT NULL,
    duration_ms INTEGER NOT NULL,
    http_status INTEGER,
    error       TEXT    NOT NULL,
    address     TEXT    NOT NULL,
    answer      TEXT    NOT NULL
) STRICT;

CREATE INDEX attempts_by_stream ON attempts (stream);
CREATE INDEX attempts_by_time ON attempts (at);

-- Idempotency keys; `status` is NULL while the request runs.
CREATE TABLE claims (
    key          TEXT PRIMARY KEY,
    fingerprint  TEXT NOT NULL,
    owner        TEXT NOT NULL,
    claimed_at   TEXT NOT NULL,
    status       INTEGER,
    content_type TEXT,
    body         BLOB
) STRICT;

CREATE INDEX claims_by_time ON claims (claimed_at);

-- One row that is written to see whether writing works.
CREATE TABLE probe (
    pad BLOB NOT NULL
) STRICT;

INSERT INTO probe VALUES (x'');

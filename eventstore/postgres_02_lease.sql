-- Who may append. Each transaction that appends locks the head row anyway, and compares the epoch it works in with the one
-- that stands there: whoever was superseded appends nothing. Times are by the database's clock only.
ALTER TABLE head ADD COLUMN epoch bigint NOT NULL DEFAULT 0;
ALTER TABLE head ADD COLUMN holder text;
ALTER TABLE head ADD COLUMN movable boolean NOT NULL DEFAULT false;
ALTER TABLE head ADD COLUMN lease_until timestamptz;

COMMENT ON COLUMN head.movable IS 'Another node may take over: nothing that is needed for it is on the holder''s machine.';

-- Managers that can take each other's place, and where they are reached.
CREATE TABLE nodes (
    name    text        PRIMARY KEY,
    url     text        NOT NULL,
    seen_at timestamptz NOT NULL
);

-- Several nodes append to one log, each in an epoch of its own, which it compares in each transaction after it has locked the
-- head row. Who finds a lease lapsed raises that node's epoch and gives its instances away, in one transaction. Times are by
-- the database's clock only.
CREATE TABLE nodes (
    name        text        PRIMARY KEY,
    url         text        NOT NULL,
    seen_at     timestamptz NOT NULL,
    epoch       bigint      NOT NULL DEFAULT 0,
    lease_until timestamptz NOT NULL DEFAULT '-infinity'
);

COMMENT ON COLUMN nodes.url IS 'Where others reach it; empty while it does not listen yet.';
COMMENT ON COLUMN nodes.lease_until IS '-infinity: it has ended, or others have what it had.';

-- Whose each instance is, from before its first event until its last delivery. A removed one has no name any more.
CREATE TABLE placements (
    stream text    PRIMARY KEY,
    name   text    UNIQUE,
    node   text    NOT NULL,
    wanted text,
    fixed  boolean NOT NULL DEFAULT false
);

COMMENT ON COLUMN placements.wanted IS 'Who shall have it as soon as node lets go of it.';
COMMENT ON COLUMN placements.fixed IS 'Something that it needs is on the machine of its node.';

CREATE INDEX placements_by_node ON placements (node);

-- How often keys were destroyed, or were about to be: whoever finds another number than last time forgets those it knows.
CREATE TABLE chatbot_erp_keys.losses (count bigint NOT NULL);
INSERT INTO chatbot_erp_keys.losses VALUES (0);

CREATE FUNCTION chatbot_erp_keys.count_loss() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE chatbot_erp_keys.losses SET count = count + 1;
    PERFORM pg_notify('chatbot_erp', 'losses');
    RETURN NULL;
END
$$;

CREATE TRIGGER losses_of_subjects AFTER DELETE ON chatbot_erp_keys.subjects
FOR EACH STATEMENT EXECUTE FUNCTION chatbot_erp_keys.count_loss();

CREATE TRIGGER losses_of_periods AFTER DELETE ON chatbot_erp_keys.periods
FOR EACH STATEMENT EXECUTE FUNCTION chatbot_erp_keys.count_loss();

CREATE TRIGGER losses_to_come AFTER INSERT ON chatbot_erp_keys.erasures
FOR EACH STATEMENT EXECUTE FUNCTION chatbot_erp_keys.count_loss();

-- The advisory locks that are held in this database: who has them, and how.
CREATE VIEW held AS
SELECT classid::bigint, objid::bigint, mode, pid FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 2 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database());

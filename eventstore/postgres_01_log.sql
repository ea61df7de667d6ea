-- The log: every fact, in the order in which it was committed. What each table is for: 01_log.sql to 04_endpoints.sql.
CREATE TABLE events (
    position    bigint  PRIMARY KEY,
    stream      text    COLLATE "C" NOT NULL,
    version     bigint  NOT NULL,
    sequence    bigint,
    id          text    COLLATE "C" NOT NULL,
    type        text    NOT NULL,
    schema      integer NOT NULL,
    recorded_at text    NOT NULL,
    data        text    NOT NULL,
    hash        bytea   NOT NULL
);

CREATE UNIQUE INDEX events_by_id ON events (id);
CREATE INDEX events_by_type ON events (type, position);
CREATE INDEX events_by_stream ON events (stream, position);

-- Where the log ends. Every transaction that appends locks this one row first, whichever node it comes from: so positions
-- have no gap and become visible in their order, which a sequence could not promise.
CREATE TABLE head (
    single        boolean PRIMARY KEY DEFAULT true CHECK (single),
    position      bigint  NOT NULL DEFAULT 0,
    hash          bytea   NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    recorded_at   text,
    checkpoint    bigint  NOT NULL DEFAULT 0,
    checkpoint_at text,
    arriving      boolean NOT NULL DEFAULT false
);

COMMENT ON COLUMN head.arriving IS 'A migration into this database was begun and not finished.';

INSERT INTO head DEFAULT VALUES;

-- The last transaction of each writer, so that one whose connection broke in mid-commit can see what became of it.
CREATE TABLE writers (
    writer text        PRIMARY KEY,
    mark   bigint      NOT NULL,
    at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE vocabulary (
    type   text    NOT NULL,
    schema integer NOT NULL,
    PRIMARY KEY (type, schema)
);

CREATE TABLE checkpoints (
    position  bigint PRIMARY KEY,
    hash      bytea NOT NULL,
    at        text  NOT NULL,
    key       bytea NOT NULL,
    signature bytea NOT NULL
);

CREATE FUNCTION never_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events and checkpoints are never changed';
END
$$;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION never_changed();

CREATE TRIGGER checkpoints_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoints
FOR EACH STATEMENT EXECUTE FUNCTION never_changed();

CREATE TABLE streams (
    stream   text   PRIMARY KEY,
    version  bigint NOT NULL,
    sequence bigint NOT NULL,
    snapshot bytea  NOT NULL
);

CREATE TABLE names (
    name     text   NOT NULL,
    position bigint NOT NULL,
    stream   text   NOT NULL,
    PRIMARY KEY (name, position)
);

-- Where each message is spoken of, by its id or the id of the command that sent it.
CREATE TABLE messages (
    message  text   COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (message, position)
);

CREATE TABLE deliveries (
    stream           text    NOT NULL,
    endpoint         text    NOT NULL,
    sequence         bigint  NOT NULL,
    position         bigint  NOT NULL,
    chat             bigint  NOT NULL,
    round            bigint  NOT NULL DEFAULT 0,
    attempts         integer NOT NULL DEFAULT 0,
    due              text,
    first_attempt_at text,
    PRIMARY KEY (stream, endpoint, sequence)
);

CREATE INDEX deliveries_held ON deliveries (stream, endpoint, due, chat) WHERE due IS NOT NULL;

CREATE TABLE dead_letters (
    stream   text    NOT NULL,
    endpoint text    NOT NULL,
    sequence bigint  NOT NULL,
    position bigint  NOT NULL,
    chat     bigint  NOT NULL,
    at       text    NOT NULL,
    attempts integer NOT NULL,
    error    text    NOT NULL,
    PRIMARY KEY (stream, endpoint, sequence)
);

CREATE TABLE outages (
    stream   text NOT NULL,
    endpoint text NOT NULL,
    since    text NOT NULL,
    last     text NOT NULL,
    PRIMARY KEY (stream, endpoint)
);

CREATE TABLE attempts (
    number      bigint  PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    stream      text    NOT NULL,
    endpoint    text    NOT NULL,
    sequence    bigint  NOT NULL,
    at          text    NOT NULL,
    duration_ms bigint  NOT NULL,
    http_status integer,
    error       text    NOT NULL,
    address     text    NOT NULL,
    answer      text    NOT NULL,
    sealed      text    NOT NULL
);

CREATE INDEX attempts_by_stream ON attempts (stream, endpoint, number);
CREATE INDEX attempts_by_time ON attempts (at);

CREATE TABLE claims (
    key          text PRIMARY KEY,
    fingerprint  text NOT NULL,
    owner        text NOT NULL,
    claimed_at   text NOT NULL,
    status       integer,
    content_type text,
    body         bytea
);

CREATE INDEX claims_by_time ON claims (claimed_at);

-- Secrets and keys of subjects, apart from the log: who backs up or replicates the log alone leaves them out.
CREATE TABLE chatbot_erp_keys.secrets (kind text NOT NULL, owner text NOT NULL, secret bytea NOT NULL, PRIMARY KEY (kind, owner));
CREATE TABLE chatbot_erp_keys.addresses (address text PRIMARY KEY, person text NOT NULL);
CREATE INDEX addresses_by_person ON chatbot_erp_keys.addresses (person);
CREATE TABLE chatbot_erp_keys.subjects (subject text PRIMARY KEY, person text NOT NULL, key bytea NOT NULL);
CREATE INDEX subjects_by_person ON chatbot_erp_keys.subjects (person);
CREATE TABLE chatbot_erp_keys.periods (period text PRIMARY KEY, key bytea NOT NULL);
CREATE TABLE chatbot_erp_keys.erasures (id text PRIMARY KEY, at text NOT NULL, erased text NOT NULL);

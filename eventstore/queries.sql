-- name: known_ids
SELECT id FROM events WHERE id IN (VALUES (?));

-- name: heads
SELECT stream, version, sequence FROM streams WHERE stream IN (VALUES (?));

-- name: insert_events
INSERT INTO events (position, stream, version, sequence, id, type, schema, recorded_at, data, hash)
SELECT * FROM (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)) WHERE column1 IS NOT NULL;

-- name: insert_streams
INSERT INTO streams (stream, version, sequence, snapshot)
SELECT * FROM (VALUES (?, ?, ?, ?)) WHERE column1 IS NOT NULL
ON CONFLICT (stream) DO UPDATE
SET version = excluded.version, sequence = excluded.sequence, snapshot = excluded.snapshot;

-- name: insert_deliveries
INSERT INTO deliveries (stream, endpoint, sequence, position, chat)
SELECT * FROM (VALUES (?, ?, ?, ?, ?)) WHERE column1 IS NOT NULL;

-- name: settle_deliveries
-- A verdict on an earlier round leaves what was asked for again since.
DELETE FROM deliveries WHERE (stream, endpoint, sequence) IN (
    SELECT stream, endpoint, sequence FROM (VALUES (?, ?, ?, ?)) AS verdict
    JOIN deliveries ON stream = verdict.column1 AND endpoint = verdict.column2
        AND sequence = verdict.column3 AND round = verdict.column4
);

-- name: bury
-- Before it is settled: what was given up is kept apart.
INSERT OR REPLACE INTO dead_letters (stream, endpoint, sequence, position, chat, at, attempts, error)
SELECT stream, endpoint, sequence, position, chat, :at, :attempts, :error FROM deliveries
WHERE stream = :stream AND endpoint = :endpoint AND sequence = :sequence AND round = :round;

-- name: redeliver
-- What still waits may have been posted already, and its verdict be on the way: that settles the round before only.
INSERT INTO deliveries (stream, endpoint, sequence, position, chat, round)
VALUES (:stream, :endpoint, :sequence, :position, :chat, :round)
ON CONFLICT DO UPDATE SET round = excluded.round;

-- name: exhume
DELETE FROM dead_letters WHERE stream = :stream AND endpoint = :endpoint AND sequence = :sequence;

-- name: end_deliveries
DELETE FROM deliveries WHERE stream = :stream AND endpoint = :endpoint;

-- name: end_dead_letters
DELETE FROM dead_letters WHERE stream = :stream AND endpoint = :endpoint;

-- name: insert_names
INSERT INTO names (name, position, stream)
SELECT * FROM (VALUES (?, ?, ?)) WHERE column1 IS NOT NULL;

-- name: insert_vocabulary
INSERT INTO vocabulary (type, schema)
SELECT * FROM (VALUES (?, ?)) WHERE column1 IS NOT NULL;

-- name: vocabulary
SELECT type, schema FROM vocabulary;

-- name: head
SELECT position, hash, recorded_at FROM events ORDER BY position DESC LIMIT 1;

-- name: hash_at
SELECT hash FROM events WHERE position = ?;

-- name: insert_checkpoint
INSERT INTO checkpoints (position, hash, at, key, signature) VALUES (?, ?, ?, ?, ?);

-- name: checkpoints
-- Newest first.
SELECT position, hash, at, key, signature FROM checkpoints ORDER BY position DESC LIMIT ?;

-- name: probe
-- Larger than a page, so that a disk with a last free page is not taken for a healthy one.
UPDATE probe SET pad = zeroblob(65536);

-- name: unprobe
UPDATE probe SET pad = x'';

-- name: open_streams
-- A closed stream is listed while deliveries of it wait.
SELECT stream, version, snapshot, coalesce(waiting.pending, 0)
FROM streams LEFT JOIN (SELECT stream, count(*) AS pending FROM deliveries GROUP BY stream) AS waiting USING (stream)
WHERE snapshot <> x'' OR waiting.pending > 0
ORDER BY stream;

-- name: open_stream
SELECT stream, version, snapshot, (SELECT count(*) FROM deliveries WHERE deliveries.stream = streams.stream)
FROM streams WHERE stream = ?;

-- name: streams_named
SELECT stream FROM names WHERE name = ? ORDER BY position DESC;

-- name: read_log
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash FROM events
WHERE position > :after AND position <= :until ORDER BY position LIMIT :limit;

-- name: read_named
-- Of the instances with these names, but for former ones, and of the types besides, whosever: what is of others is passed.
WITH
    own (stream) AS (
        SELECT stream FROM names WHERE name IN (SELECT value FROM json_each(:names))
        EXCEPT SELECT value FROM json_each(:former)
    ),
    wanted (type) AS (SELECT value FROM json_each(:types))
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash FROM events
WHERE position > :after AND position <= :until
  AND (stream IN own OR +type IN (SELECT value FROM json_each(:besides))) AND (:types IS NULL OR +type IN wanted)
ORDER BY position LIMIT :limit;

-- name: read_stream
-- First what full blocks hold, then what is newer than the last of them.
WITH
    indexed (head) AS (SELECT coalesce(max(position), 0) / 1024 * 1024 FROM events),
    wanted (type) AS (SELECT value FROM json_each(:types)),
    old (position) AS (
        SELECT position FROM stream_positions CROSS JOIN events USING (position)
        WHERE stream_positions.stream = :stream AND position > :after AND position <= :until
        AND (:types IS NULL OR type IN wanted)
        ORDER BY position LIMIT :limit
    ),
    new (position) AS (
        SELECT position FROM events
        WHERE stream = :stream AND position > max(:after, (SELECT head FROM indexed)) AND position <= :until
        AND (:types IS NULL OR type IN wanted)
        ORDER BY position LIMIT :limit
    )
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash
FROM (SELECT position FROM old UNION ALL SELECT position FROM new LIMIT :limit) CROSS JOIN events USING (position)
ORDER BY position;

-- name: read_latest
-- As read_stream, from the end: what is newer than the last full block comes before what is older.
WITH
    indexed (head) AS (SELECT coalesce(max(position), 0) / 1024 * 1024 FROM events),
    wanted (type) AS (SELECT value FROM json_each(:types)),
    new (position) AS (
        SELECT position FROM events
        WHERE stream = :stream AND position > max(:after, (SELECT head FROM indexed)) AND position <= :until
        AND (:types IS NULL OR type IN wanted)
        ORDER BY position DESC LIMIT :limit
    ),
    old (position) AS (
        SELECT position FROM stream_positions CROSS JOIN events USING (position)
        WHERE stream_positions.stream = :stream AND position > :after AND position <= :until
        AND (:types IS NULL OR type IN wanted)
        ORDER BY position DESC LIMIT :limit
    )
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash
FROM (SELECT position FROM new UNION ALL SELECT position FROM old LIMIT :limit) CROSS JOIN events USING (position)
ORDER BY position;

-- name: last_until
-- The last event of a stream that was recorded no later than a moment; from the end, as in read_latest.
WITH
    indexed (head) AS (SELECT coalesce(max(position), 0) / 1024 * 1024 FROM events),
    new (position) AS (
        SELECT position FROM events
        WHERE stream = :stream AND position > (SELECT head FROM indexed) AND recorded_at <= :at
        ORDER BY position DESC LIMIT 1
    ),
    old (position) AS (
        SELECT position FROM stream_positions CROSS JOIN events USING (position)
        WHERE stream_positions.stream = :stream AND recorded_at <= :at
        ORDER BY position DESC LIMIT 1
    )
SELECT position FROM new UNION ALL SELECT position FROM old LIMIT 1;

-- name: index_streams
INSERT INTO stream_positions (stream, position)
SELECT stream, position FROM events WHERE position > ? AND position <= ? ORDER BY stream, position;

-- name: index_messages
INSERT OR IGNORE INTO message_positions (block, message, position)
SELECT (position - 1) / 1024, ids.value, position
FROM events, json_each(json_array(json_extract(data, '$.messageId'), json_extract(data, '$.commandId'))) AS ids
WHERE position > ? AND position <= ? AND +events.type GLOB 'message.*' AND ids.value <> ''
ORDER BY 1, 2, 3;

-- name: read_message
-- As in read_stream, first what full blocks hold.
WITH RECURSIVE
    indexed (head) AS (SELECT coalesce(max(position), 0) / 1024 * 1024 FROM events),
    wanted (type) AS (SELECT value FROM json_each(:types)),
    blocks (block) AS (
        SELECT 0 FROM indexed WHERE head > 0
        UNION ALL
        SELECT block + 1 FROM blocks WHERE block + 1 < (SELECT head / 1024 FROM indexed)
    ),
    old (position) AS (
        SELECT position FROM blocks CROSS JOIN message_positions AS m ON m.block = blocks.block AND message = :message
    ),
    new (position) AS (
        SELECT position FROM events
        WHERE position > (SELECT head FROM indexed) AND stream = :stream AND +type GLOB 'message.*'
        AND :message IN (json_extract(data, '$.messageId'), json_extract(data, '$.commandId'))
    )
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash
FROM (SELECT position FROM old UNION ALL SELECT position FROM new) CROSS JOIN events USING (position)
WHERE stream = :stream AND (:types IS NULL OR type IN wanted) ORDER BY position LIMIT :limit;

-- name: positions_of_type
SELECT position FROM events INDEXED BY events_by_type
WHERE type = :type AND position > :after AND position <= :until ORDER BY position LIMIT :limit;

-- name: read_positions
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash FROM events
WHERE position IN (SELECT value FROM json_each(?)) ORDER BY position;

-- name: newest_boxes
-- Whose boxes stand in the newest events and of which days, with the first and last position of each.
SELECT substr(data, mark + 21, 16) AS subject, substr(data, mark + 49, 10) AS period, min(position), max(position)
FROM (
    SELECT position, data, instr(data, '"sealed":{"subject":"') AS mark FROM events
    WHERE position > (SELECT coalesce(max(position), 0) FROM events) - :count
)
WHERE mark > 0 GROUP BY subject, period;

-- name: forgotten
SELECT type, schema, data FROM events INDEXED BY events_by_type WHERE type IN ('subject.erased', 'content.expired');

-- name: read_sealed
-- The mark cannot stand in a text: there its quotes are escaped.
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash FROM events
WHERE position > :after AND position <= :until
  AND substr(data, instr(data, '"sealed":{"subject":"') + 21, 16) IN (SELECT value FROM json_each(:subjects))
ORDER BY position LIMIT :limit;

-- name: version
SELECT version FROM streams WHERE stream = ?;

-- name: deliveries
SELECT d.attempts, d.due, d.first_attempt_at, d.chat, d.round,
       e.position, e.stream, e.version, e.sequence, e.id, e.type, e.schema, e.recorded_at, e.data, e.hash
FROM deliveries AS d JOIN events AS e ON e.position = d.position
WHERE d.stream = :stream AND d.endpoint = :endpoint
  AND (d.sequence, d.round) NOT IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:told))
ORDER BY d.sequence LIMIT :limit;

-- name: deliveries_of_free_chats
-- Only the oldest of a chat is ever held, so whose chat is not held may go.
SELECT d.attempts, d.due, d.first_attempt_at, d.chat, d.round,
       e.position, e.stream, e.version, e.sequence, e.id, e.type, e.schema, e.recorded_at, e.data, e.hash
FROM deliveries AS d JOIN events AS e ON e.position = d.position
WHERE d.stream = :stream AND d.endpoint = :endpoint
  AND d.chat NOT IN (
      SELECT chat FROM deliveries WHERE stream = :stream AND endpoint = :endpoint AND due > :now
      UNION ALL SELECT value FROM json_each(:held)
  )
  AND (d.sequence, d.round) NOT IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:told))
ORDER BY d.sequence LIMIT :limit;

-- name: standing
SELECT count(*), min(sequence), min(due),
       (SELECT count(*) FROM dead_letters WHERE stream = :stream AND endpoint = :endpoint),
       (SELECT since FROM outages WHERE stream = :stream AND endpoint = :endpoint),
       coalesce((SELECT sequence FROM streams WHERE stream = :stream), 0)
FROM deliveries WHERE stream = :stream AND endpoint = :endpoint;

-- name: still_waiting
SELECT sequence, round FROM deliveries
WHERE stream = :stream AND endpoint = :endpoint
  AND sequence IN (SELECT json_extract(value, '$[0]') FROM json_each(:told));

-- name: next_due
-- By the index of the few that are held.
SELECT min(due) FROM deliveries WHERE stream = ? AND endpoint = ? AND due > ?;

-- name: outage
SELECT since, last FROM outages WHERE stream = ? AND endpoint = ?;

-- name: backlog
SELECT (SELECT count(*) FROM deliveries),
       (SELECT recorded_at FROM events WHERE position = (SELECT min(position) FROM deliveries)),
       (SELECT count(*) FROM dead_letters);

-- name: count_attempt
UPDATE deliveries
SET attempts = attempts + 1, due = :due, first_attempt_at = coalesce(first_attempt_at, :at)
WHERE stream = :stream AND endpoint = :endpoint AND sequence = :sequence;

-- name: insert_attempt
INSERT INTO attempts (stream, endpoint, sequence, at, duration_ms, http_status, error, address, answer, sealed)
VALUES (:stream, :endpoint, :sequence, :at, :duration_ms, :http_status, :error, :address, :answer, :sealed);

-- name: count_successes
UPDATE deliveries
SET attempts = attempts + 1, due = NULL, first_attempt_at = coalesce(first_attempt_at, told.column1)
FROM (VALUES (?, ?, ?, ?)) AS told
WHERE stream = told.column2 AND endpoint = told.column3 AND deliveries.sequence = told.column4;

-- name: insert_successes
INSERT INTO attempts (stream, endpoint, sequence, at, duration_ms, http_status, error, address, answer, sealed)
SELECT column1, column2, column3, column4, column5, column6, '', column7, column8, column9
FROM (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)) WHERE column1 IS NOT NULL;

-- name: begin_outage
-- Failures that lie far apart are not one outage: nothing was tried in between.
INSERT INTO outages (stream, endpoint, since, last) VALUES (:stream, :endpoint, :at, :at)
ON CONFLICT DO UPDATE SET since = iif(last < :long_ago, excluded.since, since), last = excluded.last;

-- name: end_outage
DELETE FROM outages WHERE stream = :stream AND endpoint = :endpoint;

-- name: release_deliveries
UPDATE deliveries SET due = NULL WHERE stream = ? AND endpoint = ? AND due IS NOT NULL;

-- name: release_delivery
UPDATE deliveries SET due = NULL WHERE stream = ? AND endpoint = ? AND sequence = ?;

-- name: attempts
-- Newest first.
SELECT sequence, at, duration_ms, http_status, error, address, answer, sealed FROM attempts
WHERE stream = ? AND endpoint = ? ORDER BY number DESC LIMIT ?;

-- name: dead_letters
SELECT d.sequence, d.position, d.chat, d.at, d.attempts, d.error, e.id, e.type
FROM dead_letters AS d JOIN events AS e ON e.position = d.position
WHERE d.stream = ? AND d.endpoint = ? AND d.position > ? ORDER BY d.sequence LIMIT ?;

-- name: prune_attempts
-- A bounded bite, so that appends do not wait for long.
DELETE FROM attempts WHERE number IN (SELECT number FROM attempts WHERE at < ? ORDER BY at LIMIT 1000)
RETURNING 1;

-- name: prune_claims
-- More than one claim adds, and never so many that it is felt.
DELETE FROM claims WHERE key IN (SELECT key FROM claims WHERE claimed_at < ? ORDER BY claimed_at LIMIT 100);

-- name: forget_claim
DELETE FROM claims WHERE key = ?;

-- name: claim
SELECT fingerprint, owner, status, content_type, body FROM claims WHERE key = ?;

-- name: insert_claim
INSERT INTO claims (key, fingerprint, owner, claimed_at) VALUES (?, ?, ?, ?);

-- name: settle_claim
UPDATE claims SET status = ?, content_type = ?, body = ? WHERE key = ?;

-- name: chain
-- All that is hashed, as it stands: SQLite's printf would end a text at its first NUL.
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash FROM events
WHERE position > ? AND position <= ? ORDER BY position;

-- name: count_names
SELECT count(*) FROM names;

-- name: count_messages
SELECT count(*) FROM message_positions;

-- name: count_streams
SELECT count(*) FROM stream_positions;

-- name: names_between
SELECT name, position, stream FROM names WHERE position BETWEEN ? AND ?;

-- name: missing_messages
SELECT CAST(told.key AS INTEGER) FROM json_each(?) AS told
WHERE NOT EXISTS (
    SELECT 1 FROM message_positions AS m
    WHERE m.block = (CAST(told.key AS INTEGER) - 1) / 1024 AND m.message = told.value
      AND m.position = CAST(told.key AS INTEGER)
);

-- name: count_messages_at
SELECT count(*) FROM message_positions WHERE block = (?1 - 1) / 1024 AND position = ?1;

-- name: stream_positions
SELECT json_group_array(position)
FROM (SELECT position FROM stream_positions WHERE stream = ? AND position BETWEEN ? AND ? ORDER BY position);

-- name: triggers
SELECT name, sql FROM sqlite_master WHERE type = 'trigger';

-- name: checkpoints_between
SELECT position, hash, at, key, signature FROM checkpoints WHERE position > ? AND position <= ? ORDER BY position;

-- name: all_streams
SELECT stream, version, sequence FROM streams;

-- name: count_versions
SELECT coalesce(sum(version), 0) FROM streams;

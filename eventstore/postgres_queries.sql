-- The statements of queries.sql as PostgreSQL has them, and those of its writer. Rows of many come as one array a column:
-- %s where all of it are numbers or visible ASCII, else %b.

-- name: lock_head
SELECT position, hash, recorded_at, checkpoint, checkpoint_at FROM head FOR UPDATE;

-- name: move_head
UPDATE head SET position = %s, hash = %s, recorded_at = %s, checkpoint = %s, checkpoint_at = %s;

-- name: mark
INSERT INTO writers (writer, mark) VALUES (%s, %s)
ON CONFLICT (writer) DO UPDATE SET mark = excluded.mark, at = now();

-- name: marked
SELECT mark FROM writers WHERE writer = %s;

-- name: forget_writers
DELETE FROM writers WHERE at < now() - interval '30 days';

-- name: is_arriving
SELECT arriving FROM head;

-- name: own
-- A manager that works alone keeps all others out, nodes only such a one; two of one name keep each other out. The locks end
-- with the connection that appends.
SELECT CASE WHEN %(movable)s THEN pg_try_advisory_lock_shared(7166, 1) ELSE pg_try_advisory_lock(7166, 1) END
   AND pg_try_advisory_lock(7167, hashtext(%(name)s));

-- name: lease
-- How the lease of one name stands, and who else holds the lock of the house.
SELECT coalesce((SELECT lease_until < clock_timestamp() FROM nodes WHERE name = %(name)s), true),
       EXISTS (SELECT FROM held WHERE classid = 7167 AND objid = hashtext(%(name)s)::bigint & 4294967295),
       coalesce((SELECT max(CASE mode WHEN 'ExclusiveLock' THEN 'alone' ELSE 'nodes' END)
                 FROM held WHERE classid = 7166 AND objid = 1
                  AND (mode = 'ExclusiveLock' OR pid NOT IN (
                      SELECT pid FROM held WHERE classid = 7167 AND objid = hashtext(%(name)s)::bigint & 4294967295))),
                'nobody');

-- name: evict
SELECT pg_terminate_backend(pid) FROM held JOIN nodes ON classid = 7167 AND objid = hashtext(name)::bigint & 4294967295
WHERE lease_until < clock_timestamp() AND lease_until <> '-infinity' AND name IS DISTINCT FROM %s::text;

-- name: take_lease
INSERT INTO nodes (name, url, seen_at, epoch, lease_until, directory)
VALUES (%(name)s, '', clock_timestamp(), 1, clock_timestamp() + make_interval(secs => %(lease_s)s), %(directory)s)
ON CONFLICT (name) DO UPDATE
SET url = '', seen_at = excluded.seen_at, epoch = nodes.epoch + 1, lease_until = excluded.lease_until, leaving = false,
    directory = excluded.directory, succeeded = false
RETURNING epoch;

-- name: standing_of_node
SELECT epoch, (SELECT count FROM chatbot_erp_keys.losses) FROM nodes WHERE name = %s;

-- name: renew_lease
-- Whether it had lapsed.
UPDATE nodes AS n
SET url = %(url)s, leaving = %(leaving)s, seen_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
FROM nodes AS former
WHERE former.name = n.name AND n.name = %(name)s AND n.epoch = %(epoch)s AND n.lease_until <> '-infinity'
RETURNING former.lease_until < clock_timestamp();

-- name: give_lease_back
UPDATE nodes SET seen_at = clock_timestamp(), lease_until = '-infinity' WHERE name = %s AND epoch = %s;

-- name: be_seen
UPDATE nodes SET seen_at = clock_timestamp() WHERE name = %s AND epoch = %s;

-- name: supersede
-- Those whose lease has lapsed append nothing any more.
UPDATE nodes SET epoch = epoch + 1, lease_until = '-infinity'
WHERE lease_until < clock_timestamp() AND lease_until <> '-infinity' AND name <> %s
RETURNING name;

-- name: abandon
-- Places of these nodes that were taken for instances which were never made, or of which nothing is left to do.
DELETE FROM placements AS p
WHERE node = ANY(%s) AND NOT EXISTS (
    SELECT FROM streams AS s
    WHERE s.stream = p.stream AND (s.snapshot <> '' OR EXISTS (SELECT FROM deliveries AS d WHERE d.stream = p.stream)));

-- name: supersede_all
-- One that has the database to itself takes over from whoever comes back.
UPDATE nodes SET epoch = epoch + 1, lease_until = '-infinity' WHERE name <> %s RETURNING name;

-- name: forget_nodes
-- So long it is remembered on whose machine something may have to be erased.
DELETE FROM nodes
WHERE seen_at < now() - interval '30 days' AND NOT EXISTS (SELECT FROM placements WHERE node = nodes.name);

-- name: machines
-- Nobody waits for one that was not seen for so long, whatever it still has.
SELECT name, epoch, lease_until > clock_timestamp() FROM nodes
WHERE name <> '' AND NOT succeeded AND seen_at >= now() - interval '30 days';

-- name: former_names
-- The last one first. One that a node works under is none; a manager that shares with nobody has no lease to tell by. Who
-- has no name holds the directory's lock: nobody works there, also where the lease of one that was killed still lasts.
SELECT name FROM nodes
WHERE directory = %(directory)s AND name NOT IN ('', %(name)s) AND NOT succeeded
  AND (%(name)s::text = '' OR lease_until <= clock_timestamp())
ORDER BY seen_at DESC, name;

-- name: succeed
-- The row stays: by its epoch the next life under such a name is another one.
UPDATE nodes SET succeeded = true WHERE name = ANY(%s) AND lease_until <= clock_timestamp();

-- name: living
SELECT name, url, leaving FROM nodes WHERE lease_until <> '-infinity';

-- name: next_lapse
-- In how many seconds the lease of another node lapses; less than none where it has, and nobody has taken what it had.
SELECT extract(epoch FROM min(lease_until) - clock_timestamp())::float8 FROM nodes
WHERE name <> %s AND isfinite(lease_until);

-- name: census
SELECT node, coalesce(wanted, node), fixed, count(*) FROM placements GROUP BY 1, 2, 3;

-- name: placements
SELECT stream, node, wanted, fixed FROM placements ORDER BY stream;

-- name: move_placements
UPDATE placements AS p SET node = told.node, wanted = told.wanted
FROM unnest(%b::text[], %b::text[], %b::text[]) AS told (stream, node, wanted) WHERE p.stream = told.stream;

-- name: adopt
-- What is open and nobody's: from before there were nodes, or moved here.
INSERT INTO placements (stream, name, node)
SELECT stream,
       CASE WHEN snapshot <> '' THEN (SELECT name FROM names WHERE names.stream = streams.stream ORDER BY position DESC LIMIT 1) END,
       %s
FROM streams
WHERE (snapshot <> '' OR stream IN (SELECT stream FROM deliveries)) AND stream NOT IN (SELECT stream FROM placements)
ON CONFLICT DO NOTHING;

-- name: take_all
-- But for what needs something on another machine.
UPDATE placements SET node = %(name)s, wanted = NULL
WHERE NOT fixed AND node <> %(name)s OR node = %(name)s AND wanted IS NOT NULL;

-- name: take_fixed
UPDATE placements SET node = %(name)s, wanted = NULL WHERE fixed AND node <> %(name)s AND stream = ANY(%(streams)s);

-- name: take_former
-- What was fixed to former names of this data directory, as far as it is there. Who still may renew a lease keeps it.
UPDATE placements AS p SET node = %(name)s, wanted = NULL
FROM nodes AS n
WHERE n.name = p.node AND n.directory = %(directory)s AND n.name <> %(name)s AND n.lease_until = '-infinity'
  AND p.fixed AND p.stream = ANY(%(streams)s);

-- name: free_names
UPDATE placements SET name = NULL WHERE stream = ANY(%s);

-- name: reserve
INSERT INTO placements (stream, name, node) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING RETURNING 1;

-- name: unplace
DELETE FROM placements WHERE stream = %s AND node = %s;

-- name: hand_over
UPDATE placements SET node = wanted, wanted = NULL WHERE stream = %s AND node = %s AND wanted IS NOT NULL;

-- name: exchange
UPDATE placements AS p SET wanted = CASE WHEN p.stream = going.stream THEN NULL ELSE going.wanted END
FROM placements AS going, placements AS staying
WHERE going.stream = %(going)s AND going.node = %(name)s AND going.wanted IS NOT NULL
  AND staying.stream = %(staying)s AND staying.node = %(name)s AND staying.wanted IS NULL AND NOT staying.fixed
  AND p.stream IN (going.stream, staying.stream);

-- name: fix
UPDATE placements SET fixed = NOT fixed WHERE node = %(name)s AND fixed <> (stream = ANY(%(streams)s));

-- name: mine
SELECT stream, node, wanted, fixed FROM placements WHERE node = %s;

-- name: placement
SELECT stream, node, wanted, fixed FROM placements WHERE stream = %s;

-- name: seat
SELECT p.stream, p.node, n.url, n.lease_until > clock_timestamp()
FROM placements AS p JOIN nodes AS n ON n.name = p.node WHERE p.name = %s;

-- name: seats
SELECT p.name, p.stream, p.node FROM placements AS p WHERE p.name IS NOT NULL;

-- name: can_part
-- Whether a node has something that another one can be given; a place for what was never made is nothing.
SELECT EXISTS (SELECT FROM placements JOIN streams USING (stream) WHERE node = %(name)s AND NOT fixed)
   AND EXISTS (SELECT FROM nodes
               WHERE name <> %(name)s AND url <> '' AND NOT leaving AND lease_until > clock_timestamp());

-- name: secret_of_nodes
SELECT secret FROM chatbot_erp_keys.nodes;

-- name: nodes
SELECT n.name, n.url, n.seen_at, n.lease_until > clock_timestamp(), count(p.name), n.leaving
FROM nodes AS n LEFT JOIN placements AS p ON p.node = n.name
WHERE n.name <> '' AND (NOT n.succeeded AND n.seen_at >= now() - interval '1 day' OR p.node IS NOT NULL)
GROUP BY n.name ORDER BY n.name;

-- name: is_living
SELECT EXISTS (SELECT FROM nodes WHERE name = %s AND epoch = %s AND lease_until > clock_timestamp());

-- name: tell
SELECT pg_notify('chatbot_erp', %s);

-- name: known_ids
SELECT id FROM events WHERE id = ANY(%s);

-- name: heads
SELECT stream, version, sequence FROM streams WHERE stream = ANY(%s::text[]);

-- name: insert_events
INSERT INTO events (position, stream, version, sequence, id, type, schema, recorded_at, data, hash)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::text[],
                     %s::text[], %s::integer[], %s::text[], %b::text[], %b::bytea[]);

-- name: insert_streams
INSERT INTO streams (stream, version, sequence, snapshot)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %b::bytea[])
ON CONFLICT (stream) DO UPDATE
SET version = excluded.version, sequence = excluded.sequence, snapshot = excluded.snapshot;

-- name: insert_deliveries
INSERT INTO deliveries (stream, endpoint, sequence, position, chat)
SELECT * FROM unnest(%s::text[], %b::text[], %s::bigint[], %s::bigint[], %s::bigint[]);

-- name: settle_deliveries
DELETE FROM deliveries AS d
USING unnest(%s::text[], %b::text[], %s::bigint[], %s::bigint[]) AS told (stream, endpoint, sequence, round)
WHERE d.stream = told.stream AND d.endpoint = told.endpoint AND d.sequence = told.sequence AND d.round = told.round;

-- name: bury
INSERT INTO dead_letters (stream, endpoint, sequence, position, chat, at, attempts, error)
SELECT stream, endpoint, sequence, position, chat, %(at)s, %(attempts)s, %(error)s FROM deliveries
WHERE stream = %(stream)s AND endpoint = %(endpoint)s AND sequence = %(sequence)s AND round = %(round)s
ON CONFLICT (stream, endpoint, sequence) DO UPDATE
SET at = excluded.at, attempts = excluded.attempts, error = excluded.error;

-- name: redeliver
INSERT INTO deliveries (stream, endpoint, sequence, position, chat, round)
VALUES (%(stream)s, %(endpoint)s, %(sequence)s, %(position)s, %(chat)s, %(round)s)
ON CONFLICT (stream, endpoint, sequence) DO UPDATE SET round = excluded.round;

-- name: exhume
DELETE FROM dead_letters WHERE stream = %(stream)s AND endpoint = %(endpoint)s AND sequence = %(sequence)s;

-- name: end_deliveries
DELETE FROM deliveries WHERE stream = %(stream)s AND endpoint = %(endpoint)s;

-- name: end_dead_letters
DELETE FROM dead_letters WHERE stream = %(stream)s AND endpoint = %(endpoint)s;

-- name: insert_names
INSERT INTO names (name, position, stream) SELECT * FROM unnest(%b::text[], %s::bigint[], %s::text[]);

-- name: insert_vocabulary
INSERT INTO vocabulary (type, schema) SELECT * FROM unnest(%s::text[], %s::integer[]) ON CONFLICT DO NOTHING;

-- name: vocabulary
SELECT type, schema FROM vocabulary;

-- name: head
SELECT position, hash, recorded_at FROM events ORDER BY position DESC LIMIT 1;

-- name: hash_at
SELECT hash FROM events WHERE position = %s;

-- name: insert_checkpoint
INSERT INTO checkpoints (position, hash, at, key, signature) VALUES (%s, %s, %s, %s, %s);

-- name: checkpoints
SELECT position, hash, at, key, signature FROM checkpoints ORDER BY position DESC LIMIT %s;

-- name: open_streams
SELECT stream, version, snapshot, coalesce(waiting.pending, 0)
FROM streams LEFT JOIN (SELECT stream, count(*) AS pending FROM deliveries GROUP BY stream) AS waiting USING (stream)
WHERE snapshot <> '' OR waiting.pending > 0
ORDER BY stream;

-- name: open_stream
SELECT stream, version, snapshot, (SELECT count(*) FROM deliveries WHERE deliveries.stream = streams.stream)
FROM streams WHERE stream = %s;

-- name: streams_named
SELECT stream FROM names WHERE name = %s ORDER BY position DESC;

-- name: read_log
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash FROM events
WHERE position > %(after)s AND position <= %(until)s ORDER BY position LIMIT %(limit)s;

-- name: read_named
WITH own AS (
    SELECT stream FROM names WHERE name IN (SELECT json_array_elements_text(%(names)s::json))
    EXCEPT SELECT json_array_elements_text(%(former)s::json)
)
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash FROM events
WHERE position > %(after)s AND position <= %(until)s
  AND (stream IN (SELECT stream FROM own) OR type IN (SELECT json_array_elements_text(%(besides)s::json)))
  AND (%(types)s::text IS NULL OR type IN (SELECT json_array_elements_text(%(types)s::json)))
ORDER BY position LIMIT %(limit)s;

-- name: read_stream
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash FROM events
WHERE stream = %(stream)s AND position > %(after)s AND position <= %(until)s
  AND (%(types)s::text IS NULL OR type IN (SELECT json_array_elements_text(%(types)s::json)))
ORDER BY position LIMIT %(limit)s;

-- name: read_latest
SELECT * FROM (
    SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash FROM events
    WHERE stream = %(stream)s AND position > %(after)s AND position <= %(until)s
      AND (%(types)s::text IS NULL OR type IN (SELECT json_array_elements_text(%(types)s::json)))
    ORDER BY position DESC LIMIT %(limit)s
) AS latest ORDER BY position;

-- name: last_until
SELECT position FROM events WHERE stream = %(stream)s AND recorded_at COLLATE "C" <= %(at)s
ORDER BY position DESC LIMIT 1;

-- name: positions_of_type
SELECT position FROM events
WHERE type = %(type)s AND position > %(after)s AND position <= %(until)s ORDER BY position LIMIT %(limit)s;

-- name: read_positions
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash FROM events
WHERE position IN (SELECT json_array_elements_text(%s::json)::bigint) ORDER BY position;

-- name: read_sealed
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash FROM events
WHERE position > %(after)s AND position <= %(until)s
  AND substr(data, strpos(data, '"sealed":{"subject":"') + 21, 16)
      IN (SELECT json_array_elements_text(%(subjects)s::json))
ORDER BY position LIMIT %(limit)s;

-- name: insert_messages
INSERT INTO messages (message, position) SELECT * FROM unnest(%b::text[], %s::bigint[]);

-- name: read_message
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash
FROM messages JOIN events USING (position)
WHERE message = %(message)s AND stream = %(stream)s
  AND (%(types)s::text IS NULL OR type IN (SELECT json_array_elements_text(%(types)s::json)))
ORDER BY position LIMIT %(limit)s;

-- name: version
SELECT version FROM streams WHERE stream = %s;

-- name: backlog
SELECT (SELECT count(*) FROM deliveries),
       (SELECT recorded_at FROM events WHERE position = (SELECT min(position) FROM deliveries)),
       (SELECT count(*) FROM dead_letters);

-- name: deliveries
SELECT d.attempts, d.due, d.first_attempt_at, d.chat, d.round,
       e.position, e.stream, e.version, e.sequence, e.id, e.type, e.schema, e.recorded_at, e.data, e.hash
FROM deliveries AS d JOIN events AS e ON e.position = d.position
WHERE d.stream = %(stream)s AND d.endpoint = %(endpoint)s
  AND (d.sequence, d.round) NOT IN
      (SELECT (value->>0)::bigint, (value->>1)::bigint FROM json_array_elements(%(told)s::json))
ORDER BY d.sequence LIMIT %(limit)s;

-- name: deliveries_of_free_chats
SELECT d.attempts, d.due, d.first_attempt_at, d.chat, d.round,
       e.position, e.stream, e.version, e.sequence, e.id, e.type, e.schema, e.recorded_at, e.data, e.hash
FROM deliveries AS d JOIN events AS e ON e.position = d.position
WHERE d.stream = %(stream)s AND d.endpoint = %(endpoint)s
  AND d.chat NOT IN (
      SELECT chat FROM deliveries WHERE stream = %(stream)s AND endpoint = %(endpoint)s AND due > %(now)s
      UNION ALL SELECT json_array_elements_text(%(held)s::json)::bigint
  )
  AND (d.sequence, d.round) NOT IN
      (SELECT (value->>0)::bigint, (value->>1)::bigint FROM json_array_elements(%(told)s::json))
ORDER BY d.sequence LIMIT %(limit)s;

-- name: standing
SELECT count(*), min(sequence), min(due),
       (SELECT count(*) FROM dead_letters WHERE stream = %(stream)s AND endpoint = %(endpoint)s),
       (SELECT since FROM outages WHERE stream = %(stream)s AND endpoint = %(endpoint)s),
       coalesce((SELECT sequence FROM streams WHERE stream = %(stream)s), 0)
FROM deliveries WHERE stream = %(stream)s AND endpoint = %(endpoint)s;

-- name: still_waiting
SELECT sequence, round FROM deliveries
WHERE stream = %(stream)s AND endpoint = %(endpoint)s
  AND sequence IN (SELECT (value->>0)::bigint FROM json_array_elements(%(told)s::json));

-- name: next_due
SELECT min(due) FROM deliveries WHERE stream = %s AND endpoint = %s AND due > %s;

-- name: outage
SELECT since, last FROM outages WHERE stream = %s AND endpoint = %s;

-- name: count_attempt
UPDATE deliveries
SET attempts = attempts + 1, due = %(due)s, first_attempt_at = coalesce(first_attempt_at, %(at)s)
WHERE stream = %(stream)s AND endpoint = %(endpoint)s AND sequence = %(sequence)s;

-- name: insert_attempt
INSERT INTO attempts (stream, endpoint, sequence, at, duration_ms, http_status, error, address, answer, sealed)
VALUES (%(stream)s, %(endpoint)s, %(sequence)s, %(at)s, %(duration_ms)s, %(http_status)s, %(error)s, %(address)s,
        %(answer)s, %(sealed)s);

-- name: count_successes
UPDATE deliveries
SET attempts = attempts + 1, due = NULL, first_attempt_at = coalesce(first_attempt_at, told.at)
FROM unnest(%s::text[], %s::text[], %b::text[], %s::bigint[]) AS told (at, stream, endpoint, sequence)
WHERE deliveries.stream = told.stream AND deliveries.endpoint = told.endpoint AND deliveries.sequence = told.sequence;

-- name: insert_successes
INSERT INTO attempts (stream, endpoint, sequence, at, error, duration_ms, http_status, address, answer, sealed)
SELECT stream, endpoint, sequence, at, '', duration_ms, http_status, address, answer, sealed
FROM unnest(%s::text[], %b::text[], %s::bigint[], %s::text[], %s::bigint[], %s::integer[], %b::text[], %b::text[],
            %b::text[])
     AS told (stream, endpoint, sequence, at, duration_ms, http_status, address, answer, sealed);

-- name: begin_outage
INSERT INTO outages AS o (stream, endpoint, since, last) VALUES (%(stream)s, %(endpoint)s, %(at)s, %(at)s)
ON CONFLICT (stream, endpoint) DO UPDATE
SET since = CASE WHEN o.last < %(long_ago)s THEN excluded.since ELSE o.since END, last = excluded.last;

-- name: end_outage
DELETE FROM outages WHERE stream = %(stream)s AND endpoint = %(endpoint)s;

-- name: release_deliveries
UPDATE deliveries SET due = NULL WHERE stream = %s AND endpoint = %s AND due IS NOT NULL;

-- name: release_delivery
UPDATE deliveries SET due = NULL WHERE stream = %s AND endpoint = %s AND sequence = %s;

-- name: attempts
SELECT sequence, at, duration_ms, http_status, error, address, answer, sealed FROM attempts
WHERE stream = %s AND endpoint = %s ORDER BY number DESC LIMIT %s;

-- name: dead_letters
SELECT d.sequence, d.position, d.chat, d.at, d.attempts, d.error, e.id, e.type
FROM dead_letters AS d JOIN events AS e ON e.position = d.position
WHERE d.stream = %s AND d.endpoint = %s AND d.position > %s ORDER BY d.sequence LIMIT %s;

-- name: prune_attempts
DELETE FROM attempts WHERE number IN (SELECT number FROM attempts WHERE at < %s ORDER BY at LIMIT 1000)
RETURNING 1;

-- name: prune_claims
DELETE FROM claims WHERE key IN (SELECT key FROM claims WHERE claimed_at < %s ORDER BY claimed_at LIMIT 100);

-- name: forget_claim
DELETE FROM claims WHERE key = %s;

-- name: claim
SELECT fingerprint, owner, status, content_type, body FROM claims WHERE key = %s;

-- name: insert_claim
INSERT INTO claims (key, fingerprint, owner, claimed_at) VALUES (%s, %s, %s, %s);

-- name: settle_claim
UPDATE claims SET status = %s, content_type = %s, body = %s WHERE key = %s;

-- name: chain
SELECT position, stream, version, sequence, id, type, schema, recorded_at, data, hash FROM events
WHERE position > %s AND position <= %s ORDER BY position;

-- name: checkpoints_between
SELECT position, hash, at, key, signature FROM checkpoints WHERE position > %s AND position <= %s ORDER BY position;

-- name: all_streams
SELECT stream, version, sequence FROM streams;

-- name: count_versions
SELECT coalesce(sum(version), 0)::bigint FROM streams;

-- name: count_names
SELECT count(*) FROM names;

-- name: count_messages
SELECT count(*) FROM messages;

-- name: names_between
SELECT name, position, stream FROM names WHERE position BETWEEN %s AND %s;

-- name: missing_messages
SELECT told.key::bigint FROM json_each_text(%s::json) AS told
WHERE NOT EXISTS (SELECT FROM messages AS m WHERE m.message = told.value AND m.position = told.key::bigint);

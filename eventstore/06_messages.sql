-- Where each message is spoken of, by its id or the id of the command that sent it. Kept as stream_positions is: up to
-- the last full block of 1024. Ids are random: with the block before them, a block's rows stand on a few pages of their
-- own, and a search goes from block to block.
CREATE TABLE message_positions (
    block    INTEGER NOT NULL,
    message  TEXT    NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (block, message, position)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO message_positions (block, message, position)
SELECT (position - 1) / 1024, ids.value, position
FROM events, json_each(json_array(json_extract(data, '$.messageId'), json_extract(data, '$.commandId'))) AS ids
WHERE events.type GLOB 'message.*' AND ids.value <> ''
  AND position <= (SELECT coalesce(max(position), 0) / 1024 * 1024 FROM events);

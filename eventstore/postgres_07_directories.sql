-- By this a data directory is known again that has another name now: what is to be done there is done under that.
ALTER TABLE nodes
    ADD COLUMN directory text NOT NULL DEFAULT '',
    ADD COLUMN succeeded boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN nodes.directory IS 'That of its last life. A copy of the files is another one.';
COMMENT ON COLUMN nodes.succeeded IS 'Nothing is left any more to this name of its directory, which has another one now.';

-- By this a data directory is known again that has another name now: what is to be done there is done under that.
ALTER TABLE nodes ADD COLUMN directory text NOT NULL DEFAULT '';

COMMENT ON COLUMN nodes.directory IS 'That of its last life. A copy of it is another one.';

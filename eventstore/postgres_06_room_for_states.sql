-- A stream's state is rewritten with each of its appends: beside where it was, where its page has room, and then no index
-- changes. Pages that are there already get it as they are written anew.
ALTER TABLE streams SET (fillfactor = 40);

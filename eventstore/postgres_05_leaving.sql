-- A node that ends has what it has until others are given it, one after the other; it is given nothing more.
ALTER TABLE nodes ADD COLUMN leaving boolean NOT NULL DEFAULT false;

-- By this a node knows that a call comes from another one.
CREATE TABLE chatbot_erp_keys.nodes (secret bytea NOT NULL);
INSERT INTO chatbot_erp_keys.nodes VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

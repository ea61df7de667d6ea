-- Whose each device of the WhatsApp library is. The library keeps sessions in tables of its own beside this one.
CREATE TABLE chatbot_erp_sessions.owners (instance text PRIMARY KEY, device text NOT NULL);

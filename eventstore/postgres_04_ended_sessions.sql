-- Why the WhatsApp library has deleted the device of an instance, which it cannot tell later.
ALTER TABLE chatbot_erp_sessions.owners ADD COLUMN ended text;

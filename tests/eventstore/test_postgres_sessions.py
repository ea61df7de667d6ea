"""Which session in PostgreSQL is whose, and what they know of people."""

from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from chatbot_erp.eventstore.errors import StoreError, StoreUnavailable
from chatbot_erp.eventstore.places import open_vault
from chatbot_erp.eventstore.postgres_sessions import Sessions
from postgres_server import PostgresServer

LIBRARY = """
CREATE TABLE whatsmeow_device (jid text PRIMARY KEY);
CREATE TABLE whatsmeow_identity_keys (
    our_jid text REFERENCES whatsmeow_device (jid) ON DELETE CASCADE, their_id text, identity bytea);
CREATE TABLE whatsmeow_contacts (
    our_jid text REFERENCES whatsmeow_device (jid) ON DELETE CASCADE, their_jid text, full_name text);
CREATE TABLE whatsmeow_lid_map (lid text PRIMARY KEY, pn text UNIQUE);
INSERT INTO whatsmeow_device VALUES ('1:1@s.whatsapp.net'), ('2:1@s.whatsapp.net');
INSERT INTO whatsmeow_identity_keys VALUES ('1:1@s.whatsapp.net', '55:0', ''), ('2:1@s.whatsapp.net', '66:0', '');
INSERT INTO whatsmeow_contacts VALUES ('1:1@s.whatsapp.net', '55@s.whatsapp.net', 'Maria');
INSERT INTO whatsmeow_lid_map VALUES ('99', '55');
"""


@pytest.fixture
def sessions(database: str) -> Sessions:
    open_vault(database).close()
    return Sessions(database)


@pytest.fixture
def filled(sessions: Sessions, database: str) -> Sessions:
    """With the tables of the library, as far as they matter here."""
    with psycopg.connect(database, options="-c search_path=chatbot_erp_sessions") as connection:
        connection.execute(LIBRARY.encode())
    return sessions


def rows(database: str, table: str) -> int:
    with psycopg.connect(database) as connection:
        found = connection.execute(f"SELECT count(*) FROM chatbot_erp_sessions.{table}".encode()).fetchone()
    assert found is not None
    return int(found[0])


def test_before_the_library_made_its_tables_there_is_no_session_and_nobody_to_forget(sessions: Sessions) -> None:
    sessions.keep("a", "1:1@s.whatsapp.net")
    assert sessions.device_of("a") is None
    assert sessions.aliases("55") == {"55"}
    sessions.forget({"55"}, {"their_jid"})
    sessions.erase("a")
    sessions.erase("a")


def test_a_device_is_found_again_until_the_library_has_dropped_it(filled: Sessions, database: str) -> None:
    filled.keep("a", "2:1@s.whatsapp.net")
    filled.keep("a", "1:1@s.whatsapp.net")
    assert filled.device_of("a") == "1:1@s.whatsapp.net"
    assert filled.device_of("b") is None
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM chatbot_erp_sessions.whatsmeow_device")
    assert filled.device_of("a") is None


def test_why_a_session_has_ended_is_known_until_another_phone_is_linked(filled: Sessions) -> None:
    filled.end("a", "banned")
    assert filled.ended("a") is None  # it has none
    filled.keep("a", "1:1@s.whatsapp.net")
    assert filled.ended("a") is None
    filled.end("a", "locked")
    filled.adopt("a", "b")
    assert (filled.ended("a"), filled.ended("b")) == (None, "locked")
    filled.keep("b", "2:1@s.whatsapp.net")
    assert filled.ended("b") is None


def test_a_session_goes_to_a_new_instance_once(filled: Sessions) -> None:
    filled.keep("a", "1:1@s.whatsapp.net")
    filled.adopt("a", "b")
    filled.adopt("a", "b")
    assert (filled.device_of("a"), filled.device_of("b")) == (None, "1:1@s.whatsapp.net")
    assert filled.instances() == {"b"}


def test_an_erased_session_leaves_those_of_others(filled: Sessions, database: str) -> None:
    filled.keep("a", "1:1@s.whatsapp.net")
    filled.keep("b", "2:1@s.whatsapp.net")
    filled.erase("a")
    assert (filled.device_of("a"), filled.device_of("b")) == (None, "2:1@s.whatsapp.net")
    assert (rows(database, "whatsmeow_contacts"), rows(database, "whatsmeow_identity_keys")) == (0, 1)


def test_somebody_is_known_by_number_and_lid_and_then_forgotten(filled: Sessions, database: str) -> None:
    assert filled.aliases("55") == filled.aliases("99@lid") == {"55", "99@lid"}
    filled.forget({"55", "99"}, {"their_id", "their_jid", "lid", "pn"})
    assert filled.aliases("55") == {"55"}
    assert (rows(database, "whatsmeow_contacts"), rows(database, "whatsmeow_identity_keys")) == (0, 1)
    assert rows(database, "whatsmeow_device") == 2


def test_the_librarys_address_keeps_what_its_driver_understands() -> None:
    given = "postgresql://me:s%20+crt@a,b:5433/db?sslmode=verify-full&keepalives_idle=9&tcp_user_timeout=1"
    address = Sessions(given).library_address()
    assert address.startswith("postgresql:///db?"), "else neonize makes a file of this name"
    found = conninfo_to_dict(address.partition("&binary_parameters")[0])
    assert {key: found[key] for key in ("user", "password", "dbname", "sslmode") if key in found}[
        "sslmode"
    ] == "verify-full"
    assert "user=me&password=s%20%2Bcrt" in address
    assert "binary_parameters=yes" in address
    # Whoever freezes in a transaction keeps nobody waiting for its rows.
    assert "idle_in_transaction_session_timeout=10000" in address
    assert not [word for word in ("keepalives", "tcp_user") if word in address]


def test_the_librarys_address_to_a_pool_asks_for_nothing_that_would_not_last() -> None:
    address = Sessions("postgresql://me@pool:6432/sessions", pooled=True).library_address()
    words = dict(parse_qsl(urlsplit(address).query))
    assert words.pop("binary_parameters") == "yes"
    assert set(words) == {"host", "port", "user", "sslmode", "connect_timeout", "application_name"}


def test_an_address_that_does_not_lead_to_the_same_sessions_is_refused(
    sessions: Sessions, database: str, postgres: PostgresServer
) -> None:
    def by_way_of(database: str) -> Sessions:
        return Sessions(f"{database}&options=-csearch_path%3Dchatbot_erp_sessions", pooled=True)

    by_way_of(database).must_lead_to(database)
    other = postgres.database()
    open_vault(other).close()
    for wrong in (Sessions(database, pooled=True), by_way_of(other)):
        with pytest.raises(StoreError, match="does not lead to"):
            wrong.must_lead_to(database)


def test_how_many_connections_there_may_be_is_the_servers_word(sessions: Sessions) -> None:
    assert 0 < sessions.room() < 200


def test_a_database_that_is_away_is_said_to_be_so() -> None:
    with pytest.raises(StoreUnavailable):
        Sessions("postgresql://me@/db?host=/nowhere").device_of("a")

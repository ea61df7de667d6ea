"""Two people, what a log holds of them, and files that mention them."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec

from chatbot_erp.actors.erasing import Erased
from chatbot_erp.actors.frames import SocketReceived
from chatbot_erp.eventstore.events import Event, MessageReceived
from chatbot_erp.eventstore.store import EventStore, NewEvent
from fake_sockets import received

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
HER, HIM = "5511987654321", "5511911111111"
HER_LID = "200000000000001"
IMAGE = msgspec.Raw(
    b'{"imageMessage":{"directPath":"/a","mediaKey":"AAAA","fileSHA256":"AAAA","fileEncSHA256":"AAAA"}}'
)


class Nobody:
    """Stands where a manager would that is asked to erase somebody."""

    def erase(self, number: str) -> Erased:
        raise AssertionError("no manager runs on this data directory")


def message(number: str, text: str, *, lid: str | None = None, raw: msgspec.Raw = IMAGE) -> MessageReceived:
    return MessageReceived(
        message_id=f"3EB0{number}"[-8:],
        jid=f"{number}@s.whatsapp.net",
        jid_alt=f"{lid}@lid" if lid else None,
        participant=None,
        push_name="Somebody",
        kind="image",
        text=text,
        sent_at=NOW,
        raw=raw,
    )


def tell(store: EventStore, *events: Event, at: datetime = NOW) -> None:
    new = [NewEvent(id=str(uuid4()), event=each, recorded_at=at) for each in events]
    store.append("shop", store.version("shop"), new, snapshot=b"state").result()


def spoken(text: str, number: str) -> SocketReceived:
    return msgspec.structs.replace(received(text), jid=f"{number}@s.whatsapp.net")


def text_of(store: EventStore) -> list[str]:
    return [each.event.text for each in store.read() if isinstance(each.event, MessageReceived)]


def session(directory: Path, *others: tuple[str, str, str]) -> Path:
    """As the library lays it out, with these others (number, LID, name), and with pages that were used before."""
    path = directory / "sessions" / "shop.db"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.executescript("""
            PRAGMA journal_mode = WAL;
            PRAGMA secure_delete = OFF;
            CREATE TABLE whatsmeow_device (jid TEXT PRIMARY KEY, lid TEXT);
            CREATE TABLE whatsmeow_lid_map (lid TEXT PRIMARY KEY, pn TEXT UNIQUE NOT NULL);
            CREATE TABLE whatsmeow_contacts (our_jid TEXT, their_jid TEXT, push_name TEXT);
            CREATE TABLE whatsmeow_sessions (our_jid TEXT, their_id TEXT, session BLOB);
            CREATE TABLE whatsmeow_sender_keys (our_jid TEXT, chat_id TEXT, sender_id TEXT, sender_key BLOB);
            INSERT INTO whatsmeow_device VALUES ('5511900000000:1@s.whatsapp.net', '300000000000003:1@lid');
        """)
        for number, lid, name in others:
            made.execute("INSERT INTO whatsmeow_lid_map VALUES (?, ?)", (lid, number))
            made.execute("INSERT INTO whatsmeow_contacts VALUES ('us', ?, ?)", (f"{lid}@lid", f"{name} " * 2000))
            made.execute("DELETE FROM whatsmeow_contacts WHERE their_jid = ?", (f"{lid}@lid",))
            made.execute("INSERT INTO whatsmeow_contacts VALUES ('us', ?, ?)", (f"{lid}@lid", name))
            made.execute("INSERT INTO whatsmeow_sessions VALUES ('us', ?, x'00')", (f"{lid}_1:0",))
            made.execute("INSERT INTO whatsmeow_sender_keys VALUES ('us', '1203@g.us', ?, x'00')", (f"{lid}_1:0",))
    return path


def everything(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def damage(directory: Path, position: int) -> None:
    """Make an event of the log unreadable, as a sick disk does."""
    with closing(sqlite3.connect(directory / "events.db")) as log:
        log.execute("DROP TRIGGER IF EXISTS events_are_not_updated")
        log.execute("UPDATE events SET data = replace(data, '\"box\":', '\"bo\":') WHERE position = ?", (position,))
        log.execute("UPDATE events SET data = '[]' WHERE position = ? AND type = 'subject.erased'", (position,))
        log.commit()

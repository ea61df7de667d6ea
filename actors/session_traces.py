"""What the WhatsApp library keeps of other people in its session files: names, keys, which LID is which number.

The files belong to the library, which may have them open in a socket host meanwhile: this is another process, so their
locks hold for both. What it has in memory it may write again when the person writes again.
"""

import re
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from chatbot_erp.eventstore.addresses import canonical, written_forms
from chatbot_erp.eventstore.places import sessions_in

PATIENCE_S = 10.0
CHUNK = 1 << 20
NAMES = ("their_jid", "their_id", "chat_jid", "chat_id", "sender_jid", "sender_id", "lid", "pn")
"""Columns that name somebody else. Our own account stands in others, and in a table of its own."""

OURS = "whatsmeow_device"
_AFTER_USER = re.compile("[@:._]")


def aliases(directory: Path, database: str | None, address: str) -> set[str]:
    """The canonical address, and others that the library knows to be the same person's. A damaged session knows nothing."""
    found = sessions_in(database).aliases(address) if database is not None else {address}
    for session in _sessions(directory):
        with suppress(sqlite3.Error), closing(_open(session, "ro")) as connection:
            if not _has_table(connection, "whatsmeow_lid_map"):
                continue
            for lid, number in connection.execute(
                "SELECT lid, pn FROM whatsmeow_lid_map WHERE lid = ? OR pn IN (SELECT value FROM json_each(?))",
                (address.removesuffix("@lid"), _json(written_forms(address))),
            ):
                pair = {canonical(f"{lid}@lid"), canonical(number)}
                found |= pair if address in pair else set()
    return found


def pairs(session: Path) -> set[tuple[str, str]]:
    """Everybody's LID and number, canonical, as far as the library knows both. A damaged session knows nothing."""
    found: set[tuple[str, str]] = set()
    with suppress(sqlite3.Error), closing(_open(session, "ro")) as connection:
        if _has_table(connection, "whatsmeow_lid_map"):
            known = connection.execute("SELECT lid, pn FROM whatsmeow_lid_map").fetchall()
            found = {(canonical(f"{lid}@lid"), canonical(number)) for lid, number in known}
    return found


def forget(session: Path, forms: Collection[str]) -> None:
    """Leave no byte of these users in a session's files. It can be repeated.

    Raises `OSError` where it stays locked, is damaged or cannot be read.
    """
    try:
        if any(mentions(Path(f"{session}{suffix}"), forms) for suffix in ("", "-wal")):
            _forget_in(session, forms)
    except (sqlite3.Error, OSError) as ex:
        if session.exists():  # else its instance was removed just now
            raise OSError(f"the session {session.stem} cannot be cleaned: {ex}") from ex


def mentions(path: Path, forms: Collection[str]) -> bool:
    """Whether one of the forms stands in a file, of whatever size; in one that has gone there is nothing.

    Also within a longer number: in the pages of a database nothing stands between two texts.
    """
    wanted = [form.encode() for form in forms]
    overlap = max(map(len, wanted), default=1) - 1
    tail = b""
    with suppress(FileNotFoundError), path.open("rb") as file:
        while chunk := file.read(CHUNK):
            window = tail + chunk
            if any(form in window for form in wanted):
                return True
            tail = window[-overlap:] if overlap else b""
    return False


def _forget_in(session: Path, forms: Collection[str]) -> None:
    with closing(_open(session, "rw")) as connection:
        connection.create_function("user_of", 1, _user, deterministic=True)
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("BEGIN IMMEDIATE")
        for table, columns in list(_tables(connection)):
            condition = " OR ".join(f"user_of({column}) IN (SELECT value FROM json_each(?1))" for column in columns)
            connection.execute(f'DELETE FROM "{table}" WHERE {condition}', (_json(forms),))
        connection.execute("COMMIT")
        # Pages that were free already may hold old rows.
        connection.execute("VACUUM")
        deadline = time.monotonic() + PATIENCE_S
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise sqlite3.OperationalError("somebody goes on reading its write-ahead file")
            time.sleep(0.05)


def _tables(connection: sqlite3.Connection) -> Iterator[tuple[str, list[str]]]:
    """Tables about others, and in which columns these are named."""
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = [name for _, name, *_ in connection.execute(f'PRAGMA table_info("{table}")') if name in NAMES]
        if columns and table != OURS:
            yield table, columns


def _sessions(directory: Path) -> list[Path]:
    return sorted((directory / "sessions").glob("*.db"))


def _open(session: Path, mode: str) -> sqlite3.Connection:
    uri = f"{session.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=PATIENCE_S)


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone() is not None


def _user(name: object) -> str:
    """Of a jid, or of the address of a Signal session (`user:device`, `user_agent:device`)."""
    return _AFTER_USER.split(name, maxsplit=1)[0] if isinstance(name, str) else ""


def _json(values: Collection[str]) -> str:
    return msgspec.json.encode(list(values)).decode()

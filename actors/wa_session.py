"""Where the WhatsApp library keeps what links one number: in a file of its own, or with all others in PostgreSQL."""

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import msgspec

from chatbot_erp.actors.wa_client import Client, Hearing, LibraryError
from chatbot_erp.eventstore.database import sync_directory
from chatbot_erp.eventstore.errors import StoreError

log = logging.getLogger(__name__)

LAST_CAUSES = frozenset({"logged_out", "locked", "banned"})
"""With these the library deletes the session: it cannot tell later what has become of it."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What the library opens. `address` may be a credential; `device` is `user:device@server`, None for whichever is there."""

    address: str
    device: str | None
    new: bool
    """Whether a device is made there, whatever others there are."""

    def __repr__(self) -> str:
        return f"Link(device={self.device!r}, new={self.new})"


class Session(Protocol):
    """The session of one number. All but `link` may block; `prepare` and `keep` raise `LibraryError`."""

    @property
    def link(self) -> Link:
        """Known once it is prepared."""

    def prepare(self, lost: Callable[[], None]) -> None:
        """Before the library opens it. `lost` is called, once and on any thread, when it can be read no more."""

    def release(self) -> None:
        """The library does not need it any more: nothing is lost."""

    def keep(self, device: str) -> None:
        """A phone has linked this device: it is found again."""

    def end(self, cause: str) -> None:
        """The library deletes the device for one of `LAST_CAUSES`: whoever opens the session after us is told, too."""

    def ended(self) -> str | None:
        """The cause, where the device was deleted for one."""


ClientFactory = Callable[[Session, Hearing], Client]
"""Makes a client of the library for a session."""


class SessionFile:
    """A `Session` in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # The name goes into an SQLite URI as it is; one that began with "postgres" would be taken for a server.
        self.link = Link(address=quote(str(path.absolute())), device=None, new=False)

    def prepare(self, lost: Callable[[], None]) -> None:
        create_session_file(self._path)

    def release(self) -> None:
        """A file cannot be lost."""

    def keep(self, device: str) -> None:
        """The file is the number's alone."""
        try:
            unmark(self._path, LAST_CAUSES)
        except OSError as ex:
            # Of a device that is linked nobody asks how it ended.
            log.warning("Why a session had ended is still noted: %s", ex)

    def end(self, cause: str) -> None:
        try:
            mark(self._path, cause)
        except OSError as ex:
            log.warning("Why a session has ended is not kept: %s", ex)

    def ended(self) -> str | None:
        return mark_of(self._path, LAST_CAUSES)


class SessionInDatabase:
    """A `Session` in the database at this address, which may be a pool's."""

    def __init__(self, database: str, instance: str, *, pooled: bool = False) -> None:
        # Only here: a socket host whose sessions are files has no use for PostgreSQL.
        from chatbot_erp.eventstore.postgres_sessions import sessions_at

        self._sessions = sessions_at(database, pooled=pooled)
        self._instance = instance
        self._lost: Callable[[], None] | None = None
        self.link = Link(address=self._sessions.library_address(), device=None, new=True)

    def prepare(self, lost: Callable[[], None]) -> None:
        try:
            self._sessions.watch.call(lost)
            self._lost = lost
            device = self._sessions.device_of(self._instance)
        except StoreError as ex:
            raise LibraryError(f"The session was not found: {ex}") from ex
        self.link = Link(address=self.link.address, device=device, new=device is None)

    def release(self) -> None:
        if self._lost is not None:
            self._sessions.watch.drop(self._lost)

    def keep(self, device: str) -> None:
        try:
            self._sessions.keep(self._instance, device)
        except StoreError as ex:
            raise LibraryError(f"The session was not kept: {ex}") from ex

    def end(self, cause: str) -> None:
        try:
            self._sessions.end(self._instance, cause)
        except StoreError as ex:
            log.warning("Why a session has ended is not kept: %s", ex)

    def ended(self) -> str | None:
        try:
            return self._sessions.ended(self._instance)
        except StoreError as ex:
            log.warning("Why a session has ended cannot be seen: %s", ex)
            return None


def create_session_file(path: Path) -> None:
    """Make an empty session in WAL mode, which stays with the file, before the library opens it.

    Only where there is none: this process has a second SQLite (the library's), and opening a file with both would make
    each cancel the other's locks.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(path)) as session:
            session.execute("PRAGMA journal_mode=WAL")


def mark(path: Path, word: str) -> None:
    """Note a word on the file, so that it outlives this process and this machine. Raises `OSError`.

    It is the name of an empty file beside it: there is none that is half written, and it needs next to no disk.
    """
    _marked(path, word).touch(mode=0o600)
    sync_directory(path.parent)


def mark_of(path: Path, words: Iterable[str]) -> str | None:
    """Which of the words is noted on the file."""
    return next((word for word in words if _marked(path, word).exists()), None)


def unmark(path: Path, words: Iterable[str]) -> None:
    for word in words:
        _marked(path, word).unlink(missing_ok=True)


def _marked(path: Path, word: str) -> Path:
    return path.with_name(f"{path.name}.{word}")

"""The WhatsApp sessions of all instances, as the manager sees them: it gives them a place, and takes them away.

A session is where it was paired: in a file of the data directory, or in the database.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.places import sessions_in

log = structlog.get_logger()

RETRY_S = 1.0


class Sessions:
    """Sessions in the files of `directory` and in a database; `shared` says that new ones are in that.

    `part_with` sees a file before it is erased.
    """

    def __init__(
        self,
        directory: Path,
        database: str | None = None,
        *,
        shared: bool = False,
        part_with: Callable[[Path], None] = lambda session: None,
    ) -> None:
        self._directory = directory
        self._shared = shared
        self._part_with = part_with
        self._database = sessions_in(database) if database is not None else None

    def place(self, instance: str) -> str:
        """The path of its file; empty where it is, or is going to be, in the database."""
        path = self._file(instance)
        return "" if self._shared and not path.exists() else str(path)

    def instances(self) -> set[str]:
        """Whose sessions there are, as far as the database can be asked."""
        found = {path.name.partition(".db")[0] for path in self._directory.glob("*.db*")}
        if self._database is not None:
            try:
                found |= self._database.instances()
            except StoreError as ex:
                log.warning("sessions were not listed", action="sessions_not_listed", error=str(ex))
        return found

    def adopt(self, former: str, instance: str) -> None:
        """Take over the kept session of a removed instance; a second time finds nothing to do. Raises `StoreError`."""
        for source in sorted(self._directory.glob(f"{former}.db*")):
            source.rename(self._directory / f"{instance}{source.name.removeprefix(former)}")
        if self._database is not None:
            self._database.adopt(former, instance)

    def erase(self, instance: str) -> None:
        """Leave nothing of a session. What a database holds goes when it can be reached; nobody waits for that."""
        if self._file(instance).exists():
            self._part_with(self._file(instance))
        try:
            for path in self._directory.glob(f"{instance}.db*"):
                path.unlink(missing_ok=True)
        except OSError as ex:
            log.error("a session stays for now", action="session_not_erased", instance=instance, error=str(ex))
        if self._database is not None:
            threading.Thread(target=self._erase_there, args=(instance,), name="erase-session", daemon=True).start()

    def _erase_there(self, instance: str) -> None:
        assert self._database is not None, "there is a database to erase it from"
        while True:
            try:
                self._database.erase(instance)
            except StoreError as ex:
                log.warning("a session is not erased yet", action="erasing_postponed", instance=instance, error=str(ex))
                time.sleep(RETRY_S)
            else:
                return

    def _file(self, instance: str) -> Path:
        return self._directory / f"{instance}.db"

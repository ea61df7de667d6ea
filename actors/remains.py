"""What lies beside the log and may speak of somebody: on this machine, and in the database that nodes share.

Places are named below the data directory. All of it can be repeated.
"""

import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from chatbot_erp.actors import session_traces, spool_exchange, traces
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.host_process import close_spools_of_ended
from chatbot_erp.actors.media_files import MediaFiles
from chatbot_erp.actors.media_specs import media_in
from chatbot_erp.eventstore.addresses import written_forms
from chatbot_erp.eventstore.erasures import SPOOLS, Person
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import MessageEdited, MessageReceived
from chatbot_erp.eventstore.places import sessions_in
from chatbot_erp.eventstore.subjects import Log, legible
from chatbot_erp.eventstore.vault import Vault

SPOOLS_PATIENCE_S = 30.0
"""Longer than a host may take that has something to spool."""

LOOK_EVERY_S = 0.05


class Remains:
    """Any thread may call, one at a time."""

    def __init__(self, config: Config, shelf: Vault | None, spools: Lock) -> None:
        """`shelf` is where nodes leave spools for each other, if anywhere. Who has `spools` may touch them."""
        self._directory = config.data_dir
        self._database = config.database
        self._shelf = shelf
        self._spools = spools
        self._files = MediaFiles(config)

    def drop_spooled(self, addresses: Collection[str]) -> None:
        """Take them out of the spools, here and on their way between nodes. Raises `OSError`, `StoreError`.

        While their keys are there: later a word of theirs on its way is one of a new life.
        """
        forms = _forms_of(addresses)
        with self._having_spools():
            traces.drop_spooled(self._directory, set(addresses), forms)
            if self._shelf is not None:
                spool_exchange.forget(self._shelf, set(addresses), forms)

    def has_media(self) -> bool:
        """Whether there are files of messages, of whomever, on this machine."""
        return self._files.any()

    def media_of(self, log: Log, person: Person) -> Iterator[str]:
        """Files of their messages: only who can read a message knows the name of its file."""
        for record in legible(log, person):
            if isinstance(record.event, MessageReceived | MessageEdited):
                media = media_in(record.event.raw, record.event.message_id)
                if media is not None:
                    yield self._below(self._files.place(record.stream, media))

    def places(self) -> Iterator[str]:
        """All places but media and the database."""
        yield SPOOLS
        for pattern in ("parked/*", "hosts/*.log", "sessions/*.db"):
            yield from map(self._below, self._directory.glob(pattern))

    def forget_in(self, places: Iterable[str], addresses: Collection[str]) -> dict[str, str]:
        """Clean them; which of them, by its place below the data directory, refused it and why."""
        forms = _forms_of(addresses)
        refusals = {}
        for place in places:
            path, parts = self._directory / place, Path(place).parts
            if ".." in parts:  # the database is no way out of the data directory
                continue
            try:
                match parts[0]:
                    case "media":
                        path.unlink(missing_ok=True)
                    case "parked":
                        traces.drop_parked(path, forms)
                    case "hosts":
                        traces.blank_last_words(path, forms)
                    case "sessions":
                        session_traces.forget(path, forms)
                    case "spool":
                        with self._having_spools():
                            traces.drop_spooled(self._directory, set(addresses), forms)
                    case "database" if self._database is not None:
                        sessions_in(self._database).forget(forms, session_traces.NAMES)
            except (OSError, StoreError) as ex:
                refusals[place] = str(ex)
        return refusals

    @contextmanager
    def _having_spools(self) -> Iterator[None]:
        """With all that is to be read of them: who still writes one is waited for."""
        deadline = time.monotonic() + SPOOLS_PATIENCE_S
        while not self._take_spools(deadline):
            if time.monotonic() > deadline:
                raise OSError("a socket process that ends is still writing one")
            time.sleep(LOOK_EVERY_S)
        try:
            yield
        finally:
            self._spools.release()

    def _take_spools(self, deadline: float) -> bool:
        """Whether this has them now, and nobody writes one."""
        if not self._spools.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise OSError("they are just read into the log")
        are_whole = False
        try:
            are_whole = close_spools_of_ended(self._directory)
        finally:
            if not are_whole:
                self._spools.release()
        return are_whole

    def _below(self, path: Path) -> str:
        return str(path.relative_to(self._directory))


def _forms_of(addresses: Collection[str]) -> set[str]:
    return {form for address in addresses for form in written_forms(address)}

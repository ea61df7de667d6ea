"""Where a log and its keys are, as operators say it, and how each is opened there.

What PostgreSQL needs (`pip install '.[postgres]'`) is imported only where somebody names a database.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatbot_erp.eventstore import verify as files
from chatbot_erp.eventstore.checkpoints import Checkpoint
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.lease import ALONE, Node
from chatbot_erp.eventstore.log_reader import LogReader
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.vault import Vault
from chatbot_erp.eventstore.walk import Progress, Report

if TYPE_CHECKING:
    from chatbot_erp.eventstore.postgres_sessions import Sessions

Place = Path | str
"""A data directory, or the address of a PostgreSQL database."""

MOVED = "moved-to-postgresql"
"""The file that `chatbot-erp migrate` leaves in a data directory whose log is in a database now."""


def open_store(
    directory: Path, database: str | None, node: Node = ALONE, lost: Callable[[], None] = lambda: None
) -> EventStore:
    """The store of a manager. `lost` is called, on some thread, when other nodes took over what this one had.

    Raises LogTooNew, LogCorrupt, KeysMissing, StoreUnavailable (`locked`: it is another manager's), StoreError.
    """
    if database is not None:
        store: EventStore = _postgres("postgres_store").open_store(database, directory, node=node, lost=lost)
        return store
    return EventStore.open(_unmoved(directory))


def open_vault(place: Place) -> Vault:
    """Raises KeysMissing, LogTooNew, StoreUnavailable, StoreError."""
    if isinstance(place, Path):
        return Vault.open(_unmoved(place))
    vault: Vault = _postgres("postgres_store").open_vault(place)
    return vault


def open_log(place: Place, *, follow: bool = False) -> LogReader:
    """With `follow` it sees what is written later, too. Raises StoreError where there is no log that can be opened, LogTooNew for one of a newer manager."""
    if isinstance(place, Path):
        return LogReader.open(_unmoved(place), follow=follow)
    log: LogReader = _postgres("postgres_store").open_log(place)
    return log


def verify(place: Place, *, kept: Iterable[Checkpoint] = (), progress: Progress | None = None) -> Report:
    """As verify.py's. Raises also StoreError where the log is no more."""
    if isinstance(place, Path):
        return files.verify(_unmoved(place), kept=kept, progress=progress)
    report: Report = _postgres("postgres_store").verify(place, kept=kept, progress=progress)
    return report


def move(directory: Path, database: str, progress: Progress | None = None) -> Report:
    """As postgres_arrival.py's."""
    report: Report = _postgres("postgres_arrival").move(directory, database, progress)
    return report


def _unmoved(directory: Path) -> Path:
    """The directory, where its log and keys are not out of date. Raises StoreError."""
    if (directory / MOVED).exists():
        raise StoreError(
            f"The log of {directory} was moved to PostgreSQL: say --database, or remove the file {MOVED} to go back to"
            " the log as it was then."
        )
    return directory


def sessions_in(database: str, *, pooled: bool = False) -> "Sessions":
    """WhatsApp sessions in a database. Raises StoreError where PostgreSQL cannot be spoken with at all."""
    sessions: Sessions = _postgres("postgres_sessions").Sessions(database, pooled=pooled)
    return sessions


def _postgres(module: str) -> Any:
    try:
        return import_module(f"chatbot_erp.eventstore.{module}")
    except ModuleNotFoundError as ex:
        raise StoreError(f"PostgreSQL needs {ex.name}: pip install '.[postgres]'.") from None

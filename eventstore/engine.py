"""What a database must be able to do to carry the event store: everything else is the same for all of them.

An engine is a writer, readers and a place for keys. There are two: SQLite (writer.py, reader.py, keys_file.py) and
PostgreSQL (the files whose names begin with `postgres`). Statements are asked for by name; each engine has its own text
for every name that the rooms' common code uses.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from chatbot_erp.eventstore.errors import StoreUnavailable
    from chatbot_erp.eventstore.work import Work

T = TypeVar("T")


class Answer(Protocol):
    """The rows of one statement; may be read once."""

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Ask(Protocol):
    """Runs statements by their names, on a connection that is the caller's for now."""

    def __call__(self, name: str, values: Sequence[Any] | Mapping[str, Any] = (), /) -> Answer:
        """The statement of that name."""

    def rows(self, name: str, flat: list[Any], /) -> Any:
        """One that takes any number of rows: `flat` has the values of all, one row after another. None is fine, too."""


class Writer(Protocol):
    """Commits groups of work, each durable before its future resolves. Any thread may call."""

    def submit(self, work: "Work", /) -> None:
        """Queue `work`. Raises StoreClosed, StoreOverloaded."""

    def trouble(self) -> "StoreUnavailable | None":
        """Why writes fail now."""

    def await_beyond(self, position: int, timeout_s: float, /) -> bool:
        """Wait until the log ends behind `position`; whether it does."""

    def close(self) -> None:
        """Write what is queued, sign the log's end. Idempotent."""


class Readers(Protocol):
    """Reads that wait for no writer. Any thread may call."""

    def run(self, question: Callable[[Ask], T], /) -> T:
        """The answer to `question`. Raises StoreClosed, StoreUnavailable, LogCorrupt, LogTooNew."""

    def close(self) -> None:
        """Wait for running reads, then refuse all others. Idempotent."""

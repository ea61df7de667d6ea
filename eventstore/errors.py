"""What can go wrong in the event store, as a tree; each has a stable code, a sentence and what to do.

StoreError
├── VersionConflict      somebody else appended to the stream first: read again, decide again
├── NotStorable          the data itself cannot be stored: it never will
├── StoreOverloaded      too much is queued: try again in a moment
├── StoreUnavailable     the disk refuses writes now; nothing was written
├── StoreClosed          the store is shut down
├── OutcomeUnknown       the disk failed in mid-commit and the store was closed before it could be read again
├── NoLog                there is no log where one was looked for
├── LogTooNew            a newer manager wrote this log
├── LogCorrupt           the log does not fit together
└── KeysMissing          the log has what only keys can open that are not where they were
    └── KeysOutdated     they are older than the log
"""

from typing import ClassVar, Literal

Trouble = Literal["full", "locked", "io"]


class StoreError(Exception):
    """The root of all errors of this room; `str()` is one sentence for people."""

    code: ClassVar[str] = "store-error"
    action: ClassVar[str] = "Look at the manager's log."
    retryable: ClassVar[bool] = False
    """Whether the same call can succeed later without anybody's decision."""


class VersionConflict(StoreError):
    """Raised when a stream has moved on since the caller read it; nothing of this append was written."""

    code = "version-conflict"
    action = "Read the stream again and decide again."

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"Stream {stream} is at version {actual}, not at {expected}.")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class NotStorable(StoreError):
    """Raised when data cannot be put into the log: text that is no Unicode, broken JSON, an event far too large."""

    code = "not-storable"
    action = "Correct the data; repeating the call does not help."


class StoreOverloaded(StoreError):
    """Raised at once when too much waits for the disk already; nothing of this call was written."""

    code = "store-overloaded"
    action = "Try again in a moment."
    retryable = True

    def __init__(self, queued: int) -> None:
        super().__init__(f"{queued} writes wait for the disk already.")
        self.queued = queued


class StoreUnavailable(StoreError):
    """Raised when the disk refused the write: certainly nothing was written. The store heals by itself."""

    code = "store-unavailable"
    action = "Free disk space or end whatever locks the event log; the manager goes on by itself."
    retryable = True

    def __init__(self, trouble: Trouble, detail: str) -> None:
        sentence = {
            "full": "The disk of the event log is full",
            "locked": "Another program holds the event log locked",
            "io": "The event log cannot be written",
        }[trouble]
        super().__init__(f"{sentence} ({detail}).")
        self.trouble = trouble


class StoreClosed(StoreError):
    """Raised when the store was closed before the call."""

    code = "store-closed"
    action = "Start the manager again."

    def __init__(self) -> None:
        super().__init__("The event store is closed.")


class OutcomeUnknown(StoreError):
    """Raised when nobody can say whether a write is on the disk; the next start reads it as it is."""

    code = "store-outcome-unknown"
    action = "Start the manager again and look whether the event is there."

    def __init__(self) -> None:
        super().__init__(
            "The disk failed in the middle of a commit, and the store was closed before it was read again."
        )


class NoLog(StoreError):
    """Raised where somebody wants to look at a log that is not there."""

    code = "no-log"
    action = "Say where the manager keeps it: --data-dir, or --database."


class LogTooNew(StoreError):
    """Raised when a log holds what only a newer manager understands; nothing was changed."""

    code = "log-too-new"
    action = "Start the manager version that wrote this log, or a newer one."


class LogCorrupt(StoreError):
    """Raised when stored events do not fit together; `position` is the first that does not, where it is known."""

    code = "log-corrupt"
    action = "Keep a copy of the data directory, run `chatbot-erp verify`, and restore a backup."

    def __init__(self, sentence: str, position: int | None = None) -> None:
        super().__init__(sentence)
        self.position = position


class KeysMissing(StoreError):
    """Raised where new keys would be made for a log whose own have gone: all people in it would look erased."""

    code = "keys-missing"
    action = "Put keys.db back from a backup; to go on without it for ever, make an empty file of that name."


class KeysOutdated(KeysMissing):
    """Raised where the keys are of a backup from before the log's newest events: whoever came since would look erased."""

    code = "keys-outdated"
    action = "Put the newest keys.db back; to go on with this one for ever, make an empty file keys.older beside it."

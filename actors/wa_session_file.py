"""The file in which the library keeps the session of one number, and what is known of it beside it."""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from chatbot_erp.eventstore.database import sync_directory


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

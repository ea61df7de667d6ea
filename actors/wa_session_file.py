"""The file in which the library keeps the session of one number."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path


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

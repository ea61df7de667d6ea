"""Whole copies of a data directory, also of one that a manager is working in.

Each database is copied as it stood at one moment, which holds nobody up: a reader of a write-ahead log does not block
its writer. The event log's moment comes first, because whatever its events refer to was on disk before them. Right after
it comes the one of the keys. Where somebody was forgotten in between, both are chosen anew: their key would be missing from
the copy, and the event that says why.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from chatbot_erp.eventstore import keys_file
from chatbot_erp.eventstore.database import FILE, create_private, sync_directory, sync_file

_OF_THIS_LIFE = ("*.lock", "*-wal", "*-shm", "*-journal", "hosts/*")
"""What is of no use to another process."""

_DRAFT = "copy.partial"

_NOTHING = {"lost+found", _DRAFT}
"""What a directory may hold and still be called empty: it comes with a disk, or is left of a copy that was killed."""

Progress = Callable[[int, int], None]
"""Told how many of how many files are copied."""


def contents(directory: Path) -> list[Path]:
    """What a copy of `directory` consists of, as relative paths, the keys first, then the event log."""
    files = [path.relative_to(directory) for path in directory.rglob("*") if path.is_file()]
    wanted = [path for path in files if not any(path.match(pattern) for pattern in _OF_THIS_LIFE)]
    return sorted(wanted, key=lambda path: (path != Path(keys_file.FILE), path != Path(FILE), path))


def is_vacant(directory: Path) -> bool:
    """Whether there is nothing in it, or no such directory. Raises OSError (NotADirectoryError where it is a file)."""
    return not directory.exists() or {path.name for path in directory.iterdir()} <= _NOTHING


def copy(source: Path, target: Path, progress: Progress = lambda done, count: None) -> int:
    """Copy the data directory `source` to `target`, which must not be there or be empty; how many files that were.

    What is copied appears when it is whole and on disk. Raises FileExistsError, OSError, sqlite3.Error; then nothing
    has appeared.
    """
    target = target.resolve()
    if target.is_relative_to(source.resolve()):
        raise FileExistsError(f"{target} is in what is to be copied")
    if not is_vacant(target):
        raise FileExistsError(f"{target} is there already, and not empty")
    # A mounted directory cannot be replaced by another, and neither can one whose parent belongs to somebody else.
    is_in_place = target.exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target / _DRAFT if is_in_place else target.with_name(target.name + ".partial")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    try:
        with ExitStack() as held:
            log = held.enter_context(closing(_open(source / FILE))) if (source / FILE).exists() else None
            files = _begin(source, draft, log, progress)
            for done, path in enumerate(files):
                if path == Path(keys_file.FILE):
                    continue
                progress(done, len(files))
                if path != Path(FILE) or log is None:
                    _copy_file(source / path, draft / path)
                else:
                    _copy_database(log, draft / path)
                    held.close()  # no long read keeps the write-ahead file growing
        progress(len(files), len(files))
        if is_in_place:
            _move_in(draft, target)
        else:
            draft.rename(target)
            sync_directory(target.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return len(files)


def _begin(source: Path, draft: Path, log: sqlite3.Connection | None, progress: Progress) -> list[Path]:
    """Choose the log's moment, and copy the keys; all that the copy consists of."""
    while True:
        forgotten = 0
        if log is not None:
            log.execute("BEGIN")
            forgotten = _forgotten(log)  # its moment is that of the first look
        files = contents(source)  # after it: to what is made later no event of the copy refers
        progress(0, len(files))
        _copy_file(source / keys_file.FILE, draft / keys_file.FILE)
        if log is None:
            return files
        with closing(_open(source / FILE)) as later:
            if _forgotten(later) == forgotten:
                return files
        log.execute("ROLLBACK")


def _forgotten(log: sqlite3.Connection) -> int:
    """How often somebody, or what was said long ago, was forgotten."""
    (count,) = log.execute(
        "SELECT count(*) FROM events INDEXED BY events_by_type WHERE type IN ('subject.erased', 'content.expired')"
    ).fetchone()
    return int(count)


def _move_in(draft: Path, target: Path) -> None:
    """The log comes last: without it nobody takes what is there for a data directory."""
    for path in sorted(draft.iterdir(), key=lambda path: path.name == FILE):
        path.rename(target / path.name)
    draft.rmdir()
    with suppress(PermissionError):
        target.chmod(0o700)
    sync_directory(target)


def _copy_file(source: Path, target: Path) -> None:
    """A file that has gone since it was listed (a spool that was read, a session that was erased) is left out."""
    try:
        if source.suffix == ".db":
            with closing(_open(source)) as original:
                _copy_database(original, target)
        else:
            create_private(target)
            shutil.copyfile(source, target)
            # Spools are read, and files end, by their times.
            seen = source.stat()
            os.utime(target, ns=(seen.st_atime_ns, seen.st_mtime_ns))
            sync_file(target)
    except (FileNotFoundError, sqlite3.OperationalError):
        target.unlink(missing_ok=True)
        if source.exists():
            raise


def _copy_database(original: sqlite3.Connection, target: Path) -> None:
    create_private(target)
    with closing(sqlite3.connect(target)) as made:
        original.backup(made)
        # A copy at rest is one file: nothing of it shall stand in a write-ahead log beside it.
        made.execute("PRAGMA journal_mode=DELETE")
    sync_file(target)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=30)

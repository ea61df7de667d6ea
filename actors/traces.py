"""What files beside the log say of somebody, and how it is taken out of them. `directory` holds all our data.

Forms are the ways in which a number or LID is written, without the server. Functions raise `OSError`, and can be repeated.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from chatbot_erp.actors.frames import Said
from chatbot_erp.actors.spool import read_spools, rewrite_spool
from chatbot_erp.eventstore.addresses import canonical

CHUNK = 1 << 20


def drop_parked(directory: Path, forms: Collection[str]) -> None:
    """Remove whatever was parked that mentions one of the forms."""
    for path in (directory / "parked").glob("*"):
        if mentions(path, forms):
            path.unlink(missing_ok=True)


def drop_parked_before(directory: Path, moment: datetime) -> None:
    """Remove what was parked longer ago."""
    for path in (directory / "parked").glob("*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < moment.timestamp():
                path.unlink()


def drop_spooled(directory: Path, addresses: Collection[str]) -> None:
    """Take out of the spools what came from, or went to, one of the canonical addresses: it is not in the log yet."""
    for spool in read_spools(directory):
        kept = [said for said in spool.words if not _concerns(said, addresses)]
        if len(kept) < len(spool.words):
            rewrite_spool(spool, kept)


def blank_last_words(directory: Path, forms: Collection[str]) -> None:
    """Overwrite the forms where socket hosts quoted them in their logs. A host that is still writing is not disturbed."""
    for path in (directory / "hosts").glob("*.log"):
        if not mentions(path, forms):
            continue
        with suppress(FileNotFoundError), path.open("rb+") as file:
            written = file.read()
            for form in map(str.encode, forms):
                at = written.find(form)
                while at >= 0:
                    os.pwrite(file.fileno(), b"x" * len(form), at)
                    at = written.find(form, at + len(form))


def mentions(path: Path, forms: Collection[str]) -> bool:
    """Whether one of the forms stands in a file, of whatever size; in one that has gone there is nothing."""
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


def _concerns(said: Said, addresses: Collection[str]) -> bool:
    names = (getattr(said.observation, field, None) for field in ("jid", "jid_alt", "participant", "by"))
    return any(canonical(name) in addresses for name in names if name)
